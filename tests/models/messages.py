"""Holds and one-way messages: what a freeze recorded on one chain does on the other.

The business chain puts holds on a receipt and lifts them, under two authorities, and sends each
act as a numbered message; the asset chain applies messages, mints the receipt's lot (X1), sells it
(X2) or splits it (X7) on proofs that relays hold back for as long as they like.
`FreshnessModel` adds time: how long a trade that was reserved before a freeze can still win.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tests.models.checker import Expected, Model, Step, Variant

__all__ = ["VARIANTS", "FreshnessModel", "MessageRules", "MessagesModel", "MessagesState"]

OUTBOX_MAX = 3

UNHELD = "held on one chain, every message applied, and free to move on the other"
OVERHELD = "lifted on one chain, every message applied, and held for ever on the other"
FREEZE_LOST = "a trade committed on a reservation proven after a freeze that still stands"


class Act(enum.Enum):
    """One message. `ROLE` names a party that the asset chain has never heard of."""

    HOLD_WAREHOUSE = "the warehouse's case puts a hold"
    HOLD_REGULATOR = "the regulator's case puts a hold"
    LIFT_WAREHOUSE = "the warehouse's hold is lifted"
    ROLE = "a role for an unknown party"


class Flow(enum.Enum):
    """The transfer that races the hold."""

    MINT = "X1"
    TRADE = "X2"
    SPLIT = "X7"


class UnknownSubject(enum.Enum):
    """What becomes of a hold whose receipt has no lot yet."""

    RECORDED = "recorded by the receipt's root"
    SKIPPED = "skipped"
    WAITS = "waits for the lot"


class Order(enum.Enum):
    """Which of the messages a relay shows are applied."""

    NUMBERED = "exactly the next number"
    ANY_ONCE = "any number not applied before"
    REPEATED = "any number, again too"


@dataclass(frozen=True)
class MessageRules:
    """The rules in force. The defaults are those of the product."""

    flow: Flow
    barrier: bool = True
    lineage: bool = True
    holds_are_a_set: bool = True
    unknown_subject: UnknownSubject = UnknownSubject.RECORDED
    order: Order = Order.NUMBERED
    poison_is_rejected: bool = True


class Lot(enum.IntEnum):
    """The receipt's lot on the asset chain."""

    NONE = 0
    LIVE = 1
    SPLIT = 2


class MessagesState(NamedTuple):
    """Both chains. `proofs` are the outbox lengths of the headers that prove a reservation."""

    outbox: tuple[Act, ...] = ()
    reserved: bool = False
    proofs: tuple[int, ...] = ()
    applied: tuple[int, ...] = ()
    lot: Lot = Lot.NONE
    root_holds: tuple[str, ...] = ()
    parent_holds: tuple[str, ...] = ()
    moved: bool = False
    moved_after_freeze: bool = False


def holds_after(acts: Iterable[Act], as_set: bool = True) -> tuple[str, ...]:
    """The holds in force after these acts, by the name of their authority."""
    holds: tuple[str, ...] = ()
    for act in acts:
        holds = holds_with(holds, act, as_set)
    return holds


def holds_with(holds: tuple[str, ...], act: Act, as_set: bool = True) -> tuple[str, ...]:
    """`holds` changed by one act; where holds are one flag, any lift clears it."""
    if act is Act.LIFT_WAREHOUSE:
        return tuple(hold for hold in holds if hold != "warehouse") if as_set else ()
    name = {Act.HOLD_WAREHOUSE: "warehouse", Act.HOLD_REGULATOR: "regulator"}.get(act)
    return holds if name is None or name in holds else tuple(sorted((*holds, name)))


class MessagesModel(Model[MessagesState]):
    """All schedules of acts, messages and one racing transfer under `rules`."""

    def __init__(self, rules: MessageRules) -> None:
        self.rules = rules

    def initial(self) -> MessagesState:
        return MessagesState(lot=Lot.NONE if self.rules.flow is Flow.MINT else Lot.LIVE)

    def steps(self, state: MessagesState) -> Iterator[Step[MessagesState]]:
        yield from self._business_acts(state)
        yield from self._messages(state)
        yield from self._transfer(state)

    def violations(self, state: MessagesState) -> Iterable[str]:
        if state.moved_after_freeze:
            yield FREEZE_LOST
        if set(state.applied) == set(range(len(state.outbox))) and state.lot is not Lot.NONE:
            due, here = bool(holds_after(state.outbox)), bool(self._holds(state))
            if due and not here:
                yield UNHELD
            if here and not due:
                yield OVERHELD

    def settled(self, state: MessagesState) -> bool:
        return len(set(state.applied)) == len(state.outbox)

    def _holds(self, state: MessagesState) -> tuple[str, ...]:
        """The holds that the live lot, or its live children, feel."""
        if self.rules.lineage:
            return state.root_holds
        return state.parent_holds if state.lot is Lot.LIVE else ()

    def _business_acts(self, state: MessagesState) -> Iterator[Step[MessagesState]]:
        holds = holds_after(state.outbox)
        if len(state.outbox) < OUTBOX_MAX:
            for act in self._possible_acts(state, holds):
                yield Step(act.value, state._replace(outbox=(*state.outbox, act)), False)
        refused = holds and self.rules.flow is Flow.MINT
        if not state.reserved and not refused:
            yield Step("the transfer is reserved", state._replace(reserved=True), False)
        here = len(state.outbox)
        if state.reserved and here not in state.proofs:
            proofs = tuple(sorted((*state.proofs, here)))
            yield Step("a header proves the reservation", state._replace(proofs=proofs))

    def _possible_acts(self, state: MessagesState, holds: tuple[str, ...]) -> Iterator[Act]:
        if "warehouse" not in holds:
            yield Act.HOLD_WAREHOUSE
        else:
            yield Act.LIFT_WAREHOUSE
        if "regulator" not in holds:
            yield Act.HOLD_REGULATOR
        if Act.ROLE not in state.outbox:
            yield Act.ROLE

    def _messages(self, state: MessagesState) -> Iterator[Step[MessagesState]]:
        for number, act in enumerate(state.outbox):
            if not self._accepts(state, number):
                continue
            applied = tuple(sorted({*state.applied, number}))
            later = state._replace(applied=applied)
            if act is Act.ROLE:
                if self.rules.poison_is_rejected:
                    yield Step("a message about nobody is recorded as rejected", later)
                continue
            waits = self.rules.unknown_subject is UnknownSubject.WAITS
            if state.lot is Lot.NONE and waits:
                continue
            yield Step(f"message {number} is applied", self._with_act(later, act))

    def _accepts(self, state: MessagesState, number: int) -> bool:
        if self.rules.order is Order.NUMBERED:
            return number == len(state.applied)
        return self.rules.order is Order.REPEATED or number not in state.applied

    def _with_act(self, state: MessagesState, act: Act) -> MessagesState:
        as_set = self.rules.holds_are_a_set
        parent = state.parent_holds
        if state.lot is not Lot.NONE:
            parent = holds_with(parent, act, as_set)
        root = state.root_holds
        if state.lot is not Lot.NONE or self.rules.unknown_subject is UnknownSubject.RECORDED:
            root = holds_with(root, act, as_set)
        return state._replace(root_holds=root, parent_holds=parent)

    def _transfer(self, state: MessagesState) -> Iterator[Step[MessagesState]]:
        if state.moved or (self._holds(state) and self.rules.flow is not Flow.MINT):
            return
        for outbox_length in state.proofs:
            if self.rules.barrier and len(state.applied) < outbox_length:
                continue
            lengths = range(outbox_length, len(state.outbox) + 1)
            frozen_since = all(holds_after(state.outbox[:length]) for length in lengths)
            lost = frozen_since and not self._holds(state) and self.rules.flow is not Flow.MINT
            lot = Lot.SPLIT if self.rules.flow is Flow.SPLIT else Lot.LIVE
            yield Step(
                f"{self.rules.flow.value} commits on a proof with {outbox_length} messages before",
                state._replace(moved=True, lot=lot, moved_after_freeze=lost),
                needs_nobody=False,
            )


FREEZE_LAG_MAX = 2
HORIZON = 6
COMMIT_TOO_LATE = "a trade committed later than the freeze plus the allowed lag"


class FreshnessState(NamedTuple):
    """One shared time; `seen_at` is the newest business header whose outbox is wholly applied."""

    time: int = 0
    frozen_at: int = -1
    seen_at: int = 0
    committed_at: int = -1


class FreshnessModel(Model[FreshnessState]):
    """A trade reserved at time 0, a freeze at any later time, a relay that shows headers late."""

    def __init__(self, freshness_required: bool) -> None:
        self.freshness_required = freshness_required

    def initial(self) -> FreshnessState:
        return FreshnessState()

    def steps(self, state: FreshnessState) -> Iterator[Step[FreshnessState]]:
        if state.time < HORIZON:
            yield Step("time passes", state._replace(time=state.time + 1))
        if state.frozen_at < 0:
            yield Step("the freeze is final", state._replace(frozen_at=state.time), False)
        for header in range(state.seen_at + 1, state.time + 1):
            yield Step(f"the header of time {header} is applied", state._replace(seen_at=header))
        held = 0 <= state.frozen_at <= state.seen_at
        fresh = state.time - state.seen_at < FREEZE_LAG_MAX
        if state.committed_at < 0 and not held and (fresh or not self.freshness_required):
            yield Step("the trade commits", state._replace(committed_at=state.time), False)

    def violations(self, state: FreshnessState) -> Iterable[str]:
        if 0 <= state.frozen_at < state.committed_at - FREEZE_LAG_MAX:
            yield COMMIT_TOO_LATE

    def settled(self, state: FreshnessState) -> bool:
        return state.seen_at == state.time


def _variant(
    name: str,
    rules: MessageRules,
    *broken: str,
    stuck: bool = False,
    states_min: int = 500,
) -> Variant:
    return Variant(name, MessagesModel(rules), Expected(frozenset(broken), stuck), states_min)


VARIANTS: tuple[Variant, ...] = (
    _variant("X1 against a hold, the product's rules", MessageRules(Flow.MINT)),
    _variant("X2 against a hold, the product's rules", MessageRules(Flow.TRADE)),
    _variant("X7 against a hold, the product's rules", MessageRules(Flow.SPLIT)),
    _variant(
        "control: a hold of an unknown subject is skipped",
        MessageRules(Flow.MINT, unknown_subject=UnknownSubject.SKIPPED),
        UNHELD,
    ),
    _variant(
        "control: a hold of an unknown subject waits",
        MessageRules(Flow.MINT, unknown_subject=UnknownSubject.WAITS),
        stuck=True,
    ),
    _variant("control: no barrier", MessageRules(Flow.TRADE, barrier=False), FREEZE_LOST),
    _variant(
        "control: a hold does not follow lineage", MessageRules(Flow.SPLIT, lineage=False), UNHELD
    ),
    _variant(
        "control: a poison message blocks the queue",
        MessageRules(Flow.TRADE, poison_is_rejected=False),
        stuck=True,
    ),
    _variant(
        "control: a hold is one flag",
        MessageRules(Flow.TRADE, holds_are_a_set=False),
        UNHELD,
        FREEZE_LOST,
    ),
    _variant(
        "control: messages in any order",
        MessageRules(Flow.TRADE, order=Order.ANY_ONCE),
        OVERHELD,
        UNHELD,
        FREEZE_LOST,
    ),
    _variant(
        "control: messages applied again",
        MessageRules(Flow.TRADE, order=Order.REPEATED),
        OVERHELD,
        UNHELD,
        FREEZE_LOST,
    ),
    Variant(
        "a freeze beats every commit later than the allowed lag",
        FreshnessModel(freshness_required=True),
        Expected(),
        states_min=150,
    ),
    Variant(
        "control: a stale view of the other chain may trade",
        FreshnessModel(freshness_required=False),
        Expected(frozenset([COMMIT_TOO_LATE])),
        states_min=150,
    ),
)
