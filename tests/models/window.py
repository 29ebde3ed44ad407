"""Exactly once: the window of recent transaction ids, its expiry, its eviction, its snapshots.

One signed transaction, submitted by anybody, again and again, into blocks whose times may jump.
A second node may join from a snapshot served by a dishonest peer, and then applies the same
blocks. Time is block time; the transaction is valid until `VALID_UNTIL`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.models.checker import Expected, Model, Step, Variant

__all__ = ["VARIANTS", "WindowModel", "WindowRules", "WindowState"]

VALID_UNTIL = 3
GRACE = 2
TIME_MAX = VALID_UNTIL + GRACE + 2

RAN_TWICE = "a transaction ran twice"
WRONG_ANSWER = "a client is told 'expired' of a transaction that ran"
DIVERGED = "a node that joined by snapshot computes another state"


class Eviction(enum.Enum):
    """When an id leaves the window."""

    GRACE = "a grace period after it expired"
    AT_EXPIRY = "at the moment it expires"
    EARLY = "one tick before it expires"
    WHEN_FULL = "when the window is full, whatever its age"


class Snapshot(enum.Enum):
    """What a joiner gets and checks."""

    COMMITTED = "the window is in the snapshot and its digest in the certified header"
    WITHOUT = "the snapshot carries no window"
    UNCOMMITTED = "the window is in the snapshot and nothing proves it"


@dataclass(frozen=True)
class WindowRules:
    """The rules in force. The defaults are those of the product."""

    eviction: Eviction = Eviction.GRACE
    accepted_at_expiry: bool = False
    repeat_before_expiry: bool = True
    snapshot: Snapshot = Snapshot.COMMITTED
    joiner_evicts_by_own_clock: bool = False


class WindowState(NamedTuple):
    """The chain, the client's last answer, and the joiner if it has joined."""

    time: int = 0
    known: bool = False
    runs: int = 0
    told_expired: bool = False
    joined: bool = False
    joiner_known: bool = False
    joiner_runs: int = 0


class WindowModel(Model[WindowState]):
    """All schedules of blocks, repeats and one joiner under `rules`."""

    def __init__(self, rules: WindowRules) -> None:
        self.rules = rules

    def initial(self) -> WindowState:
        return WindowState()

    def steps(self, state: WindowState) -> Iterator[Step[WindowState]]:
        for jump in (1, 2):
            if state.time + jump <= TIME_MAX:
                later = self._evicted(state._replace(time=state.time + jump, told_expired=False))
                yield Step(f"an empty block, time +{jump}", later)
                yield Step(f"a block with the transaction, time +{jump}", self._applied(later))
        if self.rules.eviction is Eviction.WHEN_FULL and state.known:
            yield Step(
                "other transactions push the id out",
                state._replace(known=False, joiner_known=False),
            )
        if self.rules.joiner_evicts_by_own_clock and state.joined and state.joiner_known:
            yield Step("the joiner's clock evicts the id", state._replace(joiner_known=False))
        if not state.joined:
            yield from self._joins(state)

    def violations(self, state: WindowState) -> Iterable[str]:
        if state.runs > 1:
            yield RAN_TWICE
        if state.told_expired and state.runs:
            yield WRONG_ANSWER
        if state.joined and state.joiner_runs != state.runs:
            yield DIVERGED

    def settled(self, state: WindowState) -> bool:
        return state.time >= VALID_UNTIL

    def _joins(self, state: WindowState) -> Iterator[Step[WindowState]]:
        joined = state._replace(joined=True, joiner_runs=state.runs)
        if self.rules.snapshot is Snapshot.WITHOUT:
            yield Step("a node joins by snapshot, without the window", joined)
            return
        yield Step("a node joins by snapshot", joined._replace(joiner_known=state.known))
        if self.rules.snapshot is Snapshot.UNCOMMITTED:
            tampered = joined._replace(joiner_known=not state.known)
            yield Step("a node joins by a snapshot with a tampered window", tampered)

    def _evicted(self, state: WindowState) -> WindowState:
        evict_at = {
            Eviction.GRACE: VALID_UNTIL + GRACE,
            Eviction.AT_EXPIRY: VALID_UNTIL,
            Eviction.EARLY: VALID_UNTIL - 1,
            Eviction.WHEN_FULL: VALID_UNTIL + GRACE,
        }[self.rules.eviction]
        if state.time < evict_at:
            return state
        return state._replace(known=False, joiner_known=False)

    def _expired(self, time: int) -> bool:
        return time > VALID_UNTIL if self.rules.accepted_at_expiry else time >= VALID_UNTIL

    def _applied(self, state: WindowState) -> WindowState:
        """The block's one transaction, on the chain and on the joiner by its own window."""
        runs, known, expired = self._outcome(state, state.known, state.runs)
        told = expired and not self._claims_nothing(state)
        applied = state._replace(runs=runs, known=known, told_expired=told)
        if state.joined:
            runs, known, _ = self._outcome(state, state.joiner_known, state.joiner_runs)
            applied = applied._replace(joiner_runs=runs, joiner_known=known)
        return applied

    def _outcome(self, state: WindowState, known: bool, runs: int) -> tuple[int, bool, bool]:
        """(runs, known, refused as expired) after one submission."""
        expired = self._expired(state.time)
        if self.rules.repeat_before_expiry and known:
            return runs, known, False
        if expired:
            return runs, known, True
        if known:
            return runs, known, False
        return min(2, runs + 1), True, False

    def _claims_nothing(self, state: WindowState) -> bool:
        """Past the grace period the answer is NOT_IN_WINDOW, which claims nothing."""
        return self.rules.eviction is Eviction.GRACE and state.time >= VALID_UNTIL + GRACE


def _variant(name: str, rules: WindowRules, *broken: str, states_min: int = 30) -> Variant:
    return Variant(name, WindowModel(rules), Expected(frozenset(broken)), states_min)


VARIANTS: tuple[Variant, ...] = (
    _variant("window kept a grace period, its digest in the header", WindowRules()),
    _variant(
        "control: window evicted when the transaction expires",
        WindowRules(eviction=Eviction.AT_EXPIRY),
        WRONG_ANSWER,
    ),
    _variant(
        "control: eviction mismatch, one tick early",
        WindowRules(eviction=Eviction.EARLY),
        RAN_TWICE,
        WRONG_ANSWER,
    ),
    _variant(
        "control: eviction mismatch, accepted while evicted",
        WindowRules(eviction=Eviction.AT_EXPIRY, accepted_at_expiry=True),
        RAN_TWICE,
        WRONG_ANSWER,
    ),
    _variant(
        "control: a full window forgets",
        WindowRules(eviction=Eviction.WHEN_FULL),
        RAN_TWICE,
        WRONG_ANSWER,
    ),
    _variant(
        "control: expiry is checked before the repeat",
        WindowRules(repeat_before_expiry=False),
        WRONG_ANSWER,
    ),
    _variant(
        "control: a snapshot without the window",
        WindowRules(snapshot=Snapshot.WITHOUT),
        DIVERGED,
    ),
    _variant(
        "control: an uncommitted window, tampered in the snapshot",
        WindowRules(snapshot=Snapshot.UNCOMMITTED),
        DIVERGED,
    ),
    _variant(
        "control: a node evicts by its own clock",
        WindowRules(joiner_evicts_by_own_clock=True),
        DIVERGED,
    ),
)
