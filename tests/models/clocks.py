"""A leader whose clock is wrong: what it may do to finality and to deadlines.

Ticks stand for half of delta, the most that a block's time may lie ahead of a node's own clock.
A fast leader proposes a block far in the future and vanishes; the question is when a good leader's
next block is final, since block times only ever rise. A leader whose clock stands still stops every
deadline; the question is whether anything takes its place.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.models.checker import Expected, Model, Step, Variant

__all__ = ["VARIANTS", "FastLeaderModel", "StoppedLeaderModel"]

DELTA = 2
HORIZON = 12
PATIENCE = 4
"""Ticks within which a good leader's block must be final: delta, one for the parent, one to act."""

AHEAD = "a block is committed further ahead than delta: deadlines pass before their time"


class Judged(enum.Enum):
    """Where a block's time is judged against a node's own clock."""

    BEFORE_ACKNOWLEDGEMENT = "before an append is acknowledged"
    BEFORE_SIGNATURE = "before a committed block is signed"


class FastState(NamedTuple):
    """Honest time, the parent's block time, and the good leader's block if it is committed."""

    now: int = 0
    parent_time: int = 0
    fast_leads: bool = True
    good_time: int = 0
    final: bool = False
    ahead: bool = False


class FastLeaderModel(Model[FastState]):
    """A leader whose clock is `jump` ticks ahead, then a good one."""

    def __init__(self, jump: int, judged: Judged) -> None:
        self.jump = jump
        self.judged = judged

    def initial(self) -> FastState:
        return FastState()

    def steps(self, state: FastState) -> Iterator[Step[FastState]]:
        if state.now < HORIZON:
            yield Step("a tick", state._replace(now=state.now + 1))
        if state.fast_leads:
            time = state.now + self.jump
            ahead = state.ahead or time > state.now + DELTA
            if time > state.parent_time and self._acknowledged(time, state.now):
                block = state._replace(parent_time=time, ahead=ahead)
                yield Step("the fast leader's block is committed", block, False)
            yield Step("a good leader takes over", state._replace(fast_leads=False))
        elif not state.good_time:
            time = max(state.parent_time + 1, state.now)
            if self._acknowledged(time, state.now):
                committed = state._replace(good_time=time)
                yield Step("the good leader's block is committed", committed)
        elif not state.final and self._signed(state):
            yield Step("the good leader's block is final", state._replace(final=True))

    def violations(self, state: FastState) -> Iterable[str]:
        if state.ahead:
            yield AHEAD

    def settled(self, state: FastState) -> bool:
        return state.final

    def promised(self, state: FastState) -> bool:
        return state.now <= HORIZON - PATIENCE

    def _acknowledged(self, time: int, now: int) -> bool:
        return self.judged is Judged.BEFORE_SIGNATURE or time <= now + DELTA

    def _signed(self, state: FastState) -> bool:
        return self.judged is Judged.BEFORE_ACKNOWLEDGEMENT or state.good_time <= state.now + DELTA


class StoppedState(NamedTuple):
    """Honest time, block time, who leads, and whether a reservation due at tick 3 has ended."""

    now: int = 0
    block_time: int = 0
    stopped_leads: bool = True
    expired: bool = False


class StoppedLeaderModel(Model[StoppedState]):
    """A leader whose clock stands at 0 while a reservation waits for its deadline."""

    DEADLINE = 3

    def __init__(self, hands_over: bool) -> None:
        self.hands_over = hands_over

    def initial(self) -> StoppedState:
        return StoppedState()

    def steps(self, state: StoppedState) -> Iterator[Step[StoppedState]]:
        if state.now < HORIZON:
            yield Step("a tick", state._replace(now=state.now + 1))
        clock = 0 if state.stopped_leads else state.now
        if clock > state.block_time:
            yield Step("a block", state._replace(block_time=clock))
        if self.hands_over and state.stopped_leads and state.now > DELTA:
            yield Step("the leader sees the others' clocks and hands over", _handed_over(state))
        if state.block_time >= self.DEADLINE and not state.expired:
            yield Step("the reservation expires", state._replace(expired=True))

    def violations(self, state: StoppedState) -> Iterable[str]:
        if state.block_time > state.now + DELTA:
            yield AHEAD

    def settled(self, state: StoppedState) -> bool:
        return state.expired


def _handed_over(state: StoppedState) -> StoppedState:
    return state._replace(stopped_leads=False)


def _fast(name: str, jump: int, judged: Judged, *broken: str, stuck: bool = False) -> Variant:
    expected = Expected(frozenset(broken), stuck)
    return Variant(name, FastLeaderModel(jump, judged), expected, states_min=30)


VARIANTS: tuple[Variant, ...] = (
    _fast("a leader fast by less than delta", 1, Judged.BEFORE_ACKNOWLEDGEMENT),
    _fast("a leader fast by delta", DELTA, Judged.BEFORE_ACKNOWLEDGEMENT),
    _fast("a leader fast by years", 100, Judged.BEFORE_ACKNOWLEDGEMENT),
    _fast(
        "control: time judged before the signature, years fast",
        100,
        Judged.BEFORE_SIGNATURE,
        AHEAD,
        stuck=True,
    ),
    Variant("a stopped leader hands over", StoppedLeaderModel(True), Expected(), states_min=30),
    Variant(
        "control: a stopped leader stays",
        StoppedLeaderModel(False),
        Expected(stuck=True),
        states_min=HORIZON,
    ),
)
