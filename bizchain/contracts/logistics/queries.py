"""Reads of the watch over goods, and what its rules say of what was seen.

    fired(Sighting(receipt, head, event, claims, impaired, WATCH_LIMITS, time_unix_ms))
    # (WatchRule.SHORT,)

A rule is a row of `RULES`: its id, and a function that looks at one sighting. A sighting has all
that rules may know, so nothing else decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from bizchain.contracts.incidents.queries import case_of
from bizchain.contracts.incidents.types import Case, WatchRule, rule_of
from bizchain.contracts.lineage.keys import LINEAGE
from bizchain.contracts.lineage.queries import offspring_of
from bizchain.contracts.logistics.keys import GOODS_EVENT, HANDOVER, HEAD, SSCC, event_key
from bizchain.contracts.logistics.types import (
    COUNTED_KINDS,
    MOVE_KINDS,
    WATCH_LIMITS,
    Claim,
    GoodsEvent,
    GoodsKind,
    Handover,
    HandoverState,
    Head,
    Origin,
    WatchLimits,
    event_hash,
    origin_hash,
)
from bizchain.contracts.receipts.queries import carved_of, receipt_of
from bizchain.contracts.receipts.types import Receipt, ReceiptState
from bizchain.reasons import BusinessReason
from common.crypto.digest import DIGEST_BYTES
from common.deadline import expired
from common.errors import CommonReason, Refused
from common.ledger.lineage import ancestors_of
from common.ledger.state import Reader
from common.ledger.versions import PARAMETER, in_force

__all__ = [
    "EVENTS_KEPT",
    "RULES",
    "WATCHED_STATES",
    "Sighting",
    "check_digest",
    "check_no_handover",
    "claim_of",
    "fired",
    "first_head",
    "handover_of",
    "head_of",
    "is_immobilised",
    "is_overdue",
    "is_overtaken",
    "kept_events",
    "limits_in_force",
    "open_case_of",
    "origin_in",
    "origin_of",
    "watched",
]

EVENTS_KEPT = 16
"""The newest events of a receipt stay in the state; all of them are in the blocks."""

BASIS_POINTS = 10_000

WATCHED_STATES = frozenset(
    {ReceiptState.DRAFT, ReceiptState.ISSUED, ReceiptState.TOKENISED, ReceiptState.RELEASING}
)
"""States of a receipt whose goods are still there to be seen."""
STORED_STATES = frozenset({ReceiptState.ISSUED, ReceiptState.TOKENISED})
"""States of a receipt whose goods are counted at intervals."""


class Sighting(NamedTuple):
    """An event, and what was known before it. `claims` are of the codes the event names."""

    receipt: Receipt
    head: Head
    event: GoodsEvent
    claims: Mapping[str, Claim]
    impaired: int
    limits: WatchLimits
    time_unix_ms: int


# --- the rules ----------------------------------------------------------------------------------


def is_overdue(receipt: Receipt, head: Head, limits: WatchLimits, time_unix_ms: int) -> bool:
    """Whether the goods of a receipt ought to have been counted by now."""
    due = head.stock_take_unix_ms + limits.stock_take_every_ms
    return ReceiptState(receipt.state) in STORED_STATES and expired(time_unix_ms, due)


def is_immobilised(receipt: Receipt) -> bool:
    """Whether there is a lot on the goods, or a transfer under way that makes one."""
    state = ReceiptState(receipt.state)
    is_reserved = state is ReceiptState.ISSUED and bool(receipt.transfer_id)
    return is_reserved or state is ReceiptState.TOKENISED


def _moved(seen: Sighting) -> bool:
    return seen.event.kind in MOVE_KINDS and is_immobilised(seen.receipt)


def _short(seen: Sighting) -> bool:
    """Less than the receipt's quantity, without what is known as lost and what may be missing."""
    if seen.event.kind not in COUNTED_KINDS or seen.event.quantity is None:
        return False
    least = BASIS_POINTS - seen.limits.quantity_tolerance_basis_points
    due = seen.receipt.quantity - seen.impaired
    return seen.event.quantity * BASIS_POINTS < due * least


def _overdue(seen: Sighting) -> bool:
    counts = seen.event.kind == GoodsKind.STOCK_TAKE
    return not counts and is_overdue(seen.receipt, seen.head, seen.limits, seen.time_unix_ms)


def _misplaced(seen: Sighting) -> bool:
    return seen.event.kind not in MOVE_KINDS and seen.event.place != seen.head.expected_place


def _alarm(seen: Sighting) -> bool:
    return bool(seen.event.alarm)


def _gap(seen: Sighting) -> bool:
    return seen.event.named_hash != seen.event.previous_hash


def _twice(seen: Sighting) -> bool:
    """A code that is another receipt's, or that was elsewhere and did not move."""
    return any(
        claim.receipt_id != seen.receipt.receipt_id
        or (claim.place != seen.event.place and seen.event.kind not in MOVE_KINDS)
        for claim in seen.claims.values()
    )


RULES: Mapping[WatchRule, Callable[[Sighting], bool]] = {
    WatchRule.MOVED: _moved,
    WatchRule.SHORT: _short,
    WatchRule.OVERDUE: _overdue,
    WatchRule.MISPLACED: _misplaced,
    WatchRule.ALARM: _alarm,
    WatchRule.GAP: _gap,
    WatchRule.TWICE: _twice,
}
"""Rule -> whether it fires. Every rule judges every event."""


def fired(seen: Sighting) -> tuple[WatchRule, ...]:
    """The rules that fire at a sighting, in the order of the table."""
    return tuple(rule for rule, judge in RULES.items() if judge(seen))


# --- reads --------------------------------------------------------------------------------------


def limits_in_force(state: Reader, height: int) -> WatchLimits:
    """What the rules allow in the block at `height`: as voted, or as they were to begin with."""
    voted = {
        name: row.value
        for name in WatchLimits._fields
        if (row := in_force(state, PARAMETER, name, height)) is not None
    }
    return WATCH_LIMITS._replace(**voted)


def origin_of(receipt: Receipt) -> Origin:
    """The report a receipt began with."""
    return Origin(
        receipt.receipt_id,
        receipt.warehouse,
        receipt.goods_code,
        receipt.quantity,
        receipt.unit,
        receipt.quality,
        receipt.place,
        receipt.document_commitments,
        receipt.reported_unix_ms,
    )


def origin_in(state: Reader, receipt: Receipt) -> Origin:
    """The report a receipt began with: what was split off it since was part of that."""
    origin = origin_of(receipt)
    return replace(origin, quantity=origin.quantity + carved_of(state, receipt.receipt_id))


def head_of(state: Reader, receipt: Receipt) -> Head:
    """Where the events of a receipt stand; before the first one, as its report says."""
    head = state.get(HEAD, HEAD.key(receipt.receipt_id))
    return head or first_head(receipt, carved_of(state, receipt.receipt_id))


def first_head(receipt: Receipt, carved: int = 0) -> Head:
    """The head of a receipt without events, of which so much was split off since its report."""
    origin = origin_of(receipt)
    return Head(
        receipt.receipt_id,
        0,
        origin_hash(replace(origin, quantity=origin.quantity + carved)),
        receipt.place,
        receipt.place,
        receipt.quantity,
        receipt.reported_unix_ms,
        receipt.warehouse,
        (),
    )


def kept_events(head: Head) -> range:
    """The numbers of the newest events, which stay in the state."""
    return range(max(1, head.count - EVENTS_KEPT + 1), head.count + 1)


def is_overtaken(state: Reader, receipt: Receipt, head: Head, named_hash: bytes) -> bool:
    """Whether a hash is that of an event which is known here and no longer the newest."""
    numbers = kept_events(head)
    events = [
        state.get(GOODS_EVENT, event_key(receipt.receipt_id, number)) for number in numbers[:-1]
    ]
    known = [event_hash(event) for event in events if event is not None]
    if 1 in numbers:
        known.append(origin_hash(origin_in(state, receipt)))
    return named_hash in known


def claim_of(state: Reader, sscc: str, receipt_id: str) -> Claim | None:
    """Whose a container is. A claim of another receipt ends with that receipt's goods.

    What was made of goods may show their containers as its own; until it does, they stay claimed
    by what they were, which has goods as long as anything that was made of it: at whatever depth,
    but counted there, so that this is one look.
    """
    claim = state.get(SSCC, SSCC.key(sscc))
    if claim is None or claim.receipt_id == receipt_id:
        return claim
    if claim.receipt_id in ancestors_of(state, LINEAGE, receipt_id):
        return replace(claim, receipt_id=receipt_id)
    other = receipt_of(state, claim.receipt_id)
    if other is None:
        return None
    is_there = other.state in WATCHED_STATES or offspring_of(state, other.receipt_id) > 0
    return claim if is_there else None


def open_case_of(state: Reader, head: Head, rule: WatchRule) -> Case | None:
    """The case of a rule that is not lifted yet: there is at most one."""
    for case_id in head.open_cases:
        if rule_of(case_id) == rule:
            return case_of(state, head.receipt_id, case_id)
    return None


def handover_of(state: Reader, receipt_id: str) -> Handover | None:
    """The newest handover of a receipt's goods, or None."""
    return state.get(HANDOVER, HANDOVER.key(receipt_id))


def check_no_handover(state: Reader, receipt_id: str, time_unix_ms: int) -> None:
    """Refuse goods of which a handover awaits its receiver. Raises `Refused(HANDOVER_OPEN)`."""
    before = handover_of(state, receipt_id)
    if (
        before is not None
        and before.state == HandoverState.PROPOSED
        and not expired(time_unix_ms, before.deadline_unix_ms)
    ):
        raise Refused(
            BusinessReason.HANDOVER_OPEN, f"handover {before.number} awaits {before.receiver}"
        )


def watched(state: Reader, receipt_id: str) -> tuple[Receipt, Head]:
    """A receipt whose goods are still there, and the head of its events.

    Raises `Refused`: NOT_FOUND, WRONG_STATE.
    """
    receipt = receipt_of(state, receipt_id)
    if receipt is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no receipt {receipt_id}")
    if ReceiptState(receipt.state) not in WATCHED_STATES:
        raise Refused(BusinessReason.WRONG_STATE, f"{receipt_id} is {receipt.state}")
    return receipt, head_of(state, receipt)


def check_digest(digest: bytes) -> None:
    """Refuse what cannot be a hash. Raises `Refused(INVALID_ARGUMENT)`."""
    if len(digest) != DIGEST_BYTES:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"a hash has {DIGEST_BYTES} bytes")
