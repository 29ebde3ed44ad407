"""Posting events, judging them, handing the goods over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from bizchain.contracts.incidents.operations import check_stands_in, fired_case, open_cases
from bizchain.contracts.incidents.queries import impaired_of
from bizchain.contracts.incidents.types import CASE_ACTORS, Case, WatchRule
from bizchain.contracts.logistics.keys import GOODS_EVENT, HANDOVER, HEAD, SSCC, event_key
from bizchain.contracts.logistics.queries import (
    EVENTS_KEPT,
    Sighting,
    check_digest,
    check_no_handover,
    claim_of,
    fired,
    handover_of,
    is_immobilised,
    is_overdue,
    is_overtaken,
    limits_in_force,
    open_case_of,
    watched,
)
from bizchain.contracts.logistics.types import (
    COUNTED_KINDS,
    CUSTODY_ROLES,
    HANDOVER_ACTORS,
    HANDOVER_TRANSITIONS,
    MOVE_KINDS,
    POSTED_KINDS,
    SSCCS_MAX,
    Claim,
    GoodsEvent,
    GoodsKind,
    Handover,
    HandoverState,
    Head,
    event_hash,
)
from bizchain.contracts.receipts.queries import (
    check_goods_free,
    check_not_recast,
    warehouse_signs,
)
from bizchain.contracts.receipts.types import Receipt
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.amount import check_amount
from common.deadline import expired, lies_within
from common.errors import CommonReason, Refused
from common.identifiers import is_sscc
from common.ledger.actors import is_named
from common.ledger.chain import Context, Rule
from common.ledger.identity import active_party

__all__ = ["OPERATIONS"]

HANDOVER_MS_MAX = 30 * 24 * 3_600_000
TEXT_CHARACTERS_MAX = 100


class Sighted(NamedTuple):
    """An event as it is recorded, and what follows from it."""

    event: GoodsEvent
    head: Head
    claims: Mapping[str, Claim]
    cases: tuple[Case, ...]


# --- events -------------------------------------------------------------------------------------


def check_post_event(context: Context, operation: pb.PostEvent) -> Sighted:
    """The event, the head after it, and the cases of the rules that fire."""
    context.require_role(*CUSTODY_ROLES, *CASE_ACTORS["stand_in"])
    receipt, head = watched(context.state, operation.receipt_id)
    _check_poster(context, receipt, head, operation.kind)
    event = GoodsEvent(
        receipt.receipt_id,
        head.count + 1,
        operation.kind,
        context.sender,
        operation.event_unix_ms,
        operation.place,
        operation.quantity if operation.HasField("quantity") else None,
        tuple(operation.ssccs),
        operation.alarm,
        head.hash,
        operation.previous_hash,
        operation.evidence_hash,
    )
    _check_event(context, event)
    if event.named_hash != head.hash and is_overtaken(
        context.state, receipt, head, event.named_hash
    ):
        raise Refused(
            BusinessReason.EVENT_CHAIN_MOVED,
            f"{receipt.receipt_id} has {head.count} events, the newest is {head.hash.hex()}",
        )
    return _sighted(context, receipt, head, event)


def apply_post_event(context: Context, _: pb.PostEvent, sighted: Sighted) -> None:
    """Record the event, and hold the receipt for every rule that fired."""
    _record(context, sighted)


def check_judge_overdue(context: Context, operation: pb.JudgeOverdue) -> tuple[Head, Case]:
    """The case of a stock-take that is overdue at block time. Anybody may ask for it."""
    receipt, head = watched(context.state, operation.receipt_id)
    limits = limits_in_force(context.state, context.height)
    if not is_overdue(receipt, head, limits, context.time_unix_ms):
        raise Refused(
            BusinessReason.STOCK_TAKE_NOT_OVERDUE,
            f"the goods of {receipt.receipt_id} need not have been counted by now",
        )
    if open_case_of(context.state, head, WatchRule.OVERDUE) is not None:
        raise Refused(BusinessReason.CASE_OPEN, f"{receipt.receipt_id} is held for it already")
    case = fired_case(context, head, WatchRule.OVERDUE, head.count, head.hash)
    return _with_cases(head, [case]), case


def apply_judge_overdue(context: Context, _: pb.JudgeOverdue, judged: tuple[Head, Case]) -> None:
    """Hold the receipt."""
    head, case = judged
    context.state.put(HEAD, HEAD.key(head.receipt_id), head)
    open_cases(context, [case])


# --- handovers ----------------------------------------------------------------------------------


def check_propose_handover(context: Context, operation: pb.ProposeHandover) -> Handover:
    """The handover offered by whoever has the goods, to a warehouse or a carrier.

    Not while an open transfer splits, merges or lets out the goods: it ends, by its deadline.
    """
    receipt, head = watched(context.state, operation.receipt_id)
    if not is_named(context.sender, head, HANDOVER_ACTORS["lapse"]):
        raise Refused(BusinessReason.NOT_THE_CUSTODIAN, f"the goods are with {head.custodian}")
    if operation.receiver == context.sender:
        raise Refused(BusinessReason.SAME_PARTY, "giver and receiver are two parties")
    receiver = active_party(context.state, operation.receiver)
    if all(grant.role not in CUSTODY_ROLES for grant in receiver.roles):
        raise Refused(CommonReason.PERMISSION_DENIED, f"{operation.receiver} keeps no goods")
    _check_seen(operation.place, operation.ssccs, operation.evidence_hash)
    check_amount(operation.quantity, "quantity")
    _check_deadline(context, operation.deadline_unix_ms)
    check_goods_free(context.state, receipt.receipt_id)
    check_not_recast(context.state, receipt.receipt_id)
    check_no_handover(context.state, receipt.receipt_id, context.time_unix_ms)
    before = handover_of(context.state, receipt.receipt_id)
    return Handover(
        receipt.receipt_id,
        1 if before is None else before.number + 1,
        HandoverState.PROPOSED.value,
        context.sender,
        operation.receiver,
        operation.place,
        operation.quantity,
        tuple(operation.ssccs),
        operation.deadline_unix_ms,
        operation.evidence_hash,
    )


def apply_propose_handover(context: Context, _: pb.ProposeHandover, proposed: Handover) -> None:
    """Keep the offer. One before it that nobody took has lapsed."""
    before = handover_of(context.state, proposed.receipt_id)
    if before is not None and before.state == HandoverState.PROPOSED:
        context.emit("handover", before.receipt_id, _handed(before, "lapse"))
    _keep_handover(context, proposed)


def check_accept_handover(
    context: Context, operation: pb.AcceptHandover
) -> tuple[Handover, Sighted]:
    """The handover taken by its receiver before its deadline, and the event that it is."""
    context.require_role(*CUSTODY_ROLES)
    receipt, head = watched(context.state, operation.receipt_id)
    handover = _handover(context, operation.receipt_id, operation.number)
    if not is_named(context.sender, handover, HANDOVER_ACTORS["accept"]):
        raise Refused(BusinessReason.NOT_THE_CUSTODIAN, f"it is offered to {handover.receiver}")
    accepted = _handed(handover, "accept")
    if expired(context.time_unix_ms, handover.deadline_unix_ms):
        raise Refused(BusinessReason.HANDOVER_EXPIRED, f"handover {handover.number} has expired")
    check_goods_free(context.state, receipt.receipt_id)
    event = GoodsEvent(
        receipt.receipt_id,
        head.count + 1,
        GoodsKind.HANDOVER.value,
        context.sender,
        context.time_unix_ms,
        handover.place,
        handover.quantity,
        handover.ssccs,
        "",
        head.hash,
        head.hash,
        handover.evidence_hash,
    )
    sighted = _sighted(context, receipt, replace(head, custodian=context.sender), event)
    return accepted, sighted


def apply_accept_handover(
    context: Context, _: pb.AcceptHandover, taken: tuple[Handover, Sighted]
) -> None:
    """The goods are with the receiver, and the event is recorded."""
    handover, sighted = taken
    _keep_handover(context, handover)
    _record(context, sighted)


def check_decline_handover(context: Context, operation: pb.DeclineHandover) -> Handover:
    """The handover turned down by its receiver or taken back by its giver."""
    handover = _handover(context, operation.receipt_id, operation.number)
    if not is_named(context.sender, handover, HANDOVER_ACTORS["decline"]):
        raise Refused(BusinessReason.NOT_THE_CUSTODIAN, "it is neither offered by you nor to you")
    return _handed(handover, "decline")


def apply_decline_handover(context: Context, _: pb.DeclineHandover, handover: Handover) -> None:
    """Keep the handover in its new state."""
    _keep_handover(context, handover)


# --- parts: what follows from an event ----------------------------------------------------------


def _sighted(context: Context, receipt: Receipt, head: Head, event: GoodsEvent) -> Sighted:
    """An event, judged. `head` is that before it, but for who has the goods."""
    known = {
        sscc: claim
        for sscc in event.ssccs
        if (claim := claim_of(context.state, sscc, receipt.receipt_id)) is not None
    }
    seen = Sighting(
        receipt,
        head,
        event,
        known,
        impaired_of(context.state, receipt.receipt_id),
        limits_in_force(context.state, context.height),
        context.time_unix_ms,
    )
    reached = _after(receipt, head, event)
    cases = [
        fired_case(context, head, rule, event.number, event.evidence_hash)
        for rule in fired(seen)
        if rule is not WatchRule.OVERDUE or open_case_of(context.state, head, rule) is None
    ]
    own = Claim(receipt.receipt_id, event.place)
    claims = {
        sscc: own
        for sscc in event.ssccs
        if sscc not in known or known[sscc].receipt_id == receipt.receipt_id
    }
    return Sighted(event, _with_cases(reached, cases), claims, tuple(cases))


def _record(context: Context, sighted: Sighted) -> None:
    event, state = sighted.event, context.state
    state.put(GOODS_EVENT, event_key(event.receipt_id, event.number), event)
    if event.number > EVENTS_KEPT:
        state.delete(GOODS_EVENT, event_key(event.receipt_id, event.number - EVENTS_KEPT))
    for sscc, claim in sighted.claims.items():
        state.put(SSCC, SSCC.key(sscc), claim)
    state.put(HEAD, HEAD.key(event.receipt_id), sighted.head)
    context.emit("goods-event", event.receipt_id, event)
    open_cases(context, sighted.cases)


def _after(receipt: Receipt, head: Head, event: GoodsEvent) -> Head:
    """The head after an event. Goods behind a lot are expected where they were, wherever moved."""
    moves = event.kind in MOVE_KINDS and not is_immobilised(receipt)
    counts = event.kind in COUNTED_KINDS and event.quantity is not None
    is_stock_take = event.kind == GoodsKind.STOCK_TAKE
    return replace(
        head,
        count=event.number,
        hash=event_hash(event),
        place=event.place,
        expected_place=event.place if moves else head.expected_place,
        quantity=event.quantity if counts else head.quantity,
        stock_take_unix_ms=max(
            head.stock_take_unix_ms, event.event_unix_ms if is_stock_take else 0
        ),
    )


def _with_cases(head: Head, cases: Sequence[Case]) -> Head:
    return replace(
        head, open_cases=tuple(sorted({*head.open_cases, *(case.case_id for case in cases)}))
    )


def _keep_handover(context: Context, handover: Handover) -> None:
    context.state.put(HANDOVER, HANDOVER.key(handover.receipt_id), handover)
    context.emit("handover", handover.receipt_id, handover)


# --- parts: checks ------------------------------------------------------------------------------


def _check_poster(context: Context, receipt: Receipt, head: Head, kind: str) -> None:
    """Whoever keeps or has the goods; who counts them for a warehouse that is not active, too."""
    if context.sender in (receipt.warehouse, head.custodian):
        context.require_role(*CUSTODY_ROLES)
    elif kind == GoodsKind.STOCK_TAKE and not warehouse_signs(context.state, receipt):
        check_stands_in(context, receipt)
    else:
        raise Refused(
            BusinessReason.NOT_THE_CUSTODIAN,
            f"{receipt.receipt_id} is stored by {receipt.warehouse}, with {head.custodian} now",
        )


def _check_event(context: Context, event: GoodsEvent) -> None:
    if event.kind not in POSTED_KINDS:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"kinds are {', '.join(POSTED_KINDS)}")
    _check_seen(event.place, event.ssccs, event.evidence_hash)
    check_digest(event.named_hash)
    if len(event.alarm) > TEXT_CHARACTERS_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, "an alarm is said in short")
    if event.quantity is not None:
        check_amount(event.quantity, "quantity")
    elif event.kind in COUNTED_KINDS:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"a {event.kind} says how much there is")
    if event.event_unix_ms <= 0:
        raise Refused(CommonReason.INVALID_ARGUMENT, "an event has a time")
    if not expired(context.time_unix_ms, event.event_unix_ms):
        raise Refused(BusinessReason.EVENT_IN_THE_FUTURE, f"{event.event_unix_ms} is yet to come")


def _check_seen(place: str, ssccs: Sequence[str], evidence_hash: bytes) -> None:
    if not 0 < len(place) <= TEXT_CHARACTERS_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a place is said, in short")
    if len(ssccs) > SSCCS_MAX or not all(is_sscc(sscc) for sscc in ssccs):
        raise Refused(
            CommonReason.INVALID_ARGUMENT,
            f"at most {SSCCS_MAX} SSCCs, of 18 digits with their check digit",
        )
    if list(ssccs) != sorted(set(ssccs)):
        raise Refused(CommonReason.INVALID_ARGUMENT, "SSCCs stand in order, each once")
    check_digest(evidence_hash)


def _check_deadline(context: Context, deadline_unix_ms: int) -> None:
    if not lies_within(HANDOVER_MS_MAX, context.time_unix_ms, deadline_unix_ms):
        raise Refused(CommonReason.INVALID_ARGUMENT, "an offer ends within thirty days")


def _handover(context: Context, receipt_id: str, number: int) -> Handover:
    handover = handover_of(context.state, receipt_id)
    if handover is None or handover.number != number:
        raise Refused(CommonReason.NOT_FOUND, f"{receipt_id} has no handover {number} now")
    return handover


def _handed(handover: Handover, what: str) -> Handover:
    reached = HANDOVER_TRANSITIONS.get((HandoverState(handover.state), what))
    if reached is None:
        raise Refused(
            BusinessReason.WRONG_STATE, f"{what}: handover {handover.number} is {handover.state}"
        )
    return replace(handover, state=reached.value)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "post_event": Rule(pb.PostEvent, check_post_event, apply_post_event),
    "judge_overdue": Rule(pb.JudgeOverdue, check_judge_overdue, apply_judge_overdue),
    "propose_handover": Rule(pb.ProposeHandover, check_propose_handover, apply_propose_handover),
    "accept_handover": Rule(pb.AcceptHandover, check_accept_handover, apply_accept_handover),
    "decline_handover": Rule(pb.DeclineHandover, check_decline_handover, apply_decline_handover),
}
