"""The leg of flow X7 on the business books: goods under receipts become other receipts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from bizchain.contracts.incidents.queries import is_lost
from bizchain.contracts.lineage.keys import LINEAGE, OFFSPRING, STORAGE
from bizchain.contracts.lineage.queries import (
    lineage_of,
    offspring_of,
    shared_valuations,
    stored_since,
)
from bizchain.contracts.lineage.types import Offspring, RecastLeg, Storage
from bizchain.contracts.logistics.keys import HEAD
from bizchain.contracts.logistics.queries import check_no_handover, first_head, head_of
from bizchain.contracts.receipts.keys import CARVED, RECASTING, RECEIPT, RESERVATION
from bizchain.contracts.receipts.queries import (
    carved_of,
    check_goods_free,
    check_unreserved,
    recasts_of,
    receipt_of,
    tokenised_receipt,
)
from bizchain.contracts.receipts.types import (
    TRANSITIONS,
    Carved,
    Recasting,
    Receipt,
    ReceiptState,
    Reservation,
)
from bizchain.contracts.valuations.operations import keep_valuation
from bizchain.reasons import BusinessReason
from common.encoding import encode
from common.errors import Refused
from common.ledger.chain import Context, LegRules, Rule
from common.ledger.holds import check_free
from common.ledger.identity import active_party
from common.ledger.lineage import (
    Lineage,
    ancestors_of,
    check_bounds,
    check_shape,
    descent,
    sum_of,
)
from common.transfer.facts import RecastFacts
from common.transfer.machine import Role

__all__ = ["LEGS", "OPERATIONS", "count_offspring"]


def check_leg(context: Context, leg: RecastLeg, _: bytes) -> None:
    """Tokenised receipts of this warehouse that nothing takes out, and names that are new."""
    check_shape(leg.parents, leg.children)
    active_party(context.state, leg.owner)
    parents = [tokenised_receipt(context.state, receipt_id) for receipt_id in leg.parents]
    for parent in parents:
        _check_whole(context, leg, parent)
        if _nature(context, parent) != _nature(context, parents[0]):
            raise Refused(
                BusinessReason.NOT_ALIKE, f"{parent.receipt_id} is of other goods or elsewhere"
            )
    taken, there = sum_of(leg.children), sum(parent.quantity for parent in parents)
    if taken > there or (len(parents) > 1 and taken != there):
        raise Refused(BusinessReason.NOT_COVERED, f"children of {taken}, parents of {there}")
    check_bounds(_descent(context, leg, b""), BusinessReason.TOO_DEEP)
    for child in leg.children:
        if receipt_of(context.state, child.receipt_id) is not None:
            raise Refused(BusinessReason.RECEIPT_EXISTS, f"there is a receipt {child.receipt_id}")
        check_unreserved(context.state, child.receipt_id)


def _check_whole(context: Context, leg: RecastLeg, parent: Receipt) -> None:
    if parent.warehouse != leg.warehouse:
        raise Refused(BusinessReason.NOT_THE_WAREHOUSE, f"{parent.warehouse} keeps the goods")
    if is_lost(context.state, parent.receipt_id):
        message = f"goods of {parent.receipt_id} are lost, or reported so"
        raise Refused(BusinessReason.RECEIPT_IMPAIRED, message)
    head = head_of(context.state, parent)
    if head.open_cases:
        raise Refused(BusinessReason.CASE_OPEN, f"a case of {parent.receipt_id} is open")
    if head.custodian != leg.warehouse:
        raise Refused(BusinessReason.NOT_THE_CUSTODIAN, f"the goods are with {head.custodian}")
    check_no_handover(context.state, parent.receipt_id, context.time_unix_ms)


def check_leg_unheld(context: Context, leg: RecastLeg) -> None:
    """No hold lies on a parent, on the name of a child, on the owner or on the warehouse."""
    for receipt_id in leg.parents:
        check_goods_free(context.state, receipt_id)
    for child in leg.children:
        check_free(context.state, "receipt", child.receipt_id)
    for party in (leg.owner, leg.warehouse):
        check_free(context.state, "party", party)


def reserve_leg(context: Context, transfer_id: bytes, leg: RecastLeg) -> bytes:
    """Reserve the children's names, and publish what the lots must agree with.

    The parents stay free for others: whoever names goods they do not have would keep their holders
    from them. The asset chain takes what agrees with what is left, and only of units that are free.
    """
    for child in leg.children:
        key = RESERVATION.key(child.receipt_id)
        context.state.put(RESERVATION, key, Reservation(transfer_id))
    _count(context, leg, 1)
    parents = [_known(context, receipt_id) for receipt_id in leg.parents]
    return encode(
        RecastFacts(
            leg.owner,
            leg.warehouse,
            leg.parents,
            tuple(parent.quantity for parent in parents),
            leg.children,
            parents[0].goods_code,
            parents[0].unit,
        )
    )


def settle_leg(context: Context, transfer_id: bytes, leg: RecastLeg) -> None:
    """The children are there, and each parent has what remains of it, or is superseded."""
    parents = [_known(context, receipt_id) for receipt_id in leg.parents]
    place = head_of(context.state, parents[0]).expected_place
    since = min(stored_since(context.state, parent) for parent in parents)
    counted = min(head_of(context.state, parent).stock_take_unix_ms for parent in parents)
    lineage = _descent(context, leg, transfer_id)
    valuations = shared_valuations(
        context.state, leg.owner, parents, leg.children, context.time_unix_ms
    )
    _unreserve(context, leg)
    for parent in parents:
        remainder = _remainder(leg, parent)
        _keep(context, remainder)
        if remainder.quantity < parent.quantity:
            _carve(context, parent, parent.quantity - remainder.quantity)
        if remainder.state == ReceiptState.SUPERSEDED:
            count_offspring(context, parent, -1)
    for child in leg.children:
        made = replace(
            parents[0],
            receipt_id=child.receipt_id,
            owner=leg.owner,
            quantity=child.quantity,
            place=place,
            document_commitments=(),
            reported_unix_ms=context.time_unix_ms,
            transfer_id=transfer_id,
            state=ReceiptState.TOKENISED.value,
        )
        _keep(context, made)
        context.state.put(LINEAGE, LINEAGE.key(child.receipt_id), lineage)
        context.state.put(STORAGE, STORAGE.key(child.receipt_id), Storage(since))
        head = replace(first_head(made), stock_take_unix_ms=counted)
        context.state.put(HEAD, HEAD.key(child.receipt_id), head)
    count_offspring(context, made, len(leg.children))  # all have the same names behind them
    for valuation in valuations:
        keep_valuation(context, valuation)


def release_leg(context: Context, _: bytes, leg: RecastLeg) -> None:
    """The parents are as they were, or as others made them, and the names are free."""
    _unreserve(context, leg)


def count_offspring(context: Context, receipt: Receipt, by: int) -> None:
    """Count so many receipts of this owner more, or less, for every name behind this one.

    These are at most `ANCESTORS_MAX`: whoever asks what is made of a receipt need walk nothing.
    """
    for name in ancestors_of(context.state, LINEAGE, receipt.receipt_id):
        for owner in ((), (receipt.owner,)):
            key = OFFSPRING.key(name, *owner)
            alive = offspring_of(context.state, name, *owner) + by
            assert alive >= 0, (name, owner, alive)
            if alive:
                context.state.put(OFFSPRING, key, Offspring(alive))
            else:
                context.state.delete(OFFSPRING, key)


# --- parts --------------------------------------------------------------------------------------


def _remainder(leg: RecastLeg, parent: Receipt) -> Receipt:
    """A parent once its children are made: what remains under its name, or nothing any more."""
    if len(leg.parents) > 1:
        return _moved(parent, "merge")
    remains = parent.quantity - sum_of(leg.children)
    return replace(parent, quantity=remains) if remains else _moved(parent, "split_whole")


def _carve(context: Context, parent: Receipt, quantity: int) -> None:
    """Remember what was split off: the events of the goods began with all of it."""
    carved = Carved(carved_of(context.state, parent.receipt_id) + quantity)
    context.state.put(CARVED, CARVED.key(parent.receipt_id), carved)


def _nature(context: Context, receipt: Receipt) -> tuple[str, ...]:
    """What receipts must share to be merged: the place is where the goods are expected by now."""
    place = head_of(context.state, receipt).expected_place
    return (receipt.goods_code, receipt.unit, receipt.warehouse, receipt.quality, place)


def _count(context: Context, leg: RecastLeg, by: int) -> None:
    for receipt_id in leg.parents:
        key, left = RECASTING.key(receipt_id), recasts_of(context.state, receipt_id) + by
        if left:
            context.state.put(RECASTING, key, Recasting(left))
        else:
            context.state.delete(RECASTING, key)


def _descent(context: Context, leg: RecastLeg, transfer_id: bytes) -> Lineage:
    rows = [lineage_of(context.state, receipt_id) for receipt_id in leg.parents]
    return descent(leg.parents, rows, transfer_id)


def _unreserve(context: Context, leg: RecastLeg) -> None:
    for child in leg.children:
        context.state.delete(RESERVATION, RESERVATION.key(child.receipt_id))
    _count(context, leg, -1)


def _keep(context: Context, receipt: Receipt) -> None:
    context.state.put(RECEIPT, RECEIPT.key(receipt.receipt_id), receipt)
    context.emit("receipt", receipt.receipt_id, receipt)


def _moved(receipt: Receipt, what: str) -> Receipt:
    return replace(receipt, state=TRANSITIONS[ReceiptState(receipt.state), what].value)


def _known(context: Context, receipt_id: str) -> Receipt:
    receipt = receipt_of(context.state, receipt_id)
    assert receipt is not None, "a receipt that is recast was found before"
    return receipt


OPERATIONS: Mapping[str, Rule[Any, Any]] = {}

LEGS: Mapping[str, LegRules[Any]] = {
    "X7": LegRules(
        kind=RecastLeg,
        role=Role.FOLLOWER,
        owners=lambda leg: tuple(sorted({leg.owner, leg.warehouse})),
        check=check_leg,
        check_unheld=check_leg_unheld,
        reserve=reserve_leg,
        settle=settle_leg,
        release=release_leg,
    ),
}
