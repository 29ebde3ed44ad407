"""The leg of flow X7 on the business books: goods under receipts become other receipts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from bizchain.contracts.incidents.operations import open_cases
from bizchain.contracts.incidents.queries import case_of, loss_of
from bizchain.contracts.incidents.types import RULE_AUTHORITY, Case
from bizchain.contracts.lineage.keys import LINEAGE, STORAGE
from bizchain.contracts.lineage.queries import depth_of, shared_valuations, stored_since
from bizchain.contracts.lineage.types import RecastLeg, Storage
from bizchain.contracts.logistics.keys import HEAD
from bizchain.contracts.logistics.queries import first_head, head_of
from bizchain.contracts.receipts.keys import CARVED, RECEIPT, RESERVATION
from bizchain.contracts.receipts.queries import carved_of, check_unreserved, receipt_of
from bizchain.contracts.receipts.types import (
    TRANSITIONS,
    Carved,
    Receipt,
    ReceiptState,
    Reservation,
)
from bizchain.contracts.valuations.operations import apply_value_receipt
from bizchain.reasons import BusinessReason
from bizchain.v1.operation_pb2 import ValueReceipt
from common.encoding import encode
from common.errors import CommonReason, Refused
from common.ledger.chain import Context, LegRules, Rule
from common.ledger.holds import HoldNotice, apply_notice, check_free, holds_of
from common.ledger.identity import active_party
from common.ledger.lineage import DEPTH_MAX, Lineage, check_shape, sum_of
from common.transfer.facts import RecastFacts
from common.transfer.machine import Role

__all__ = ["LEGS", "OPERATIONS"]


def check_leg(context: Context, leg: RecastLeg, _: bytes) -> None:
    """Tokenised receipts of this warehouse that nothing reserves, and names that are new."""
    check_shape(leg.parents, leg.children)
    active_party(context.state, leg.owner)
    parents = [_tokenised(context, receipt_id) for receipt_id in leg.parents]
    for parent in parents:
        _check_whole(context, leg, parent)
        if _nature(parent) != _nature(parents[0]):
            raise Refused(
                BusinessReason.NOT_ALIKE, f"{parent.receipt_id} is of other goods or elsewhere"
            )
    taken, there = sum_of(leg.children), sum(parent.quantity for parent in parents)
    if taken > there or (len(parents) > 1 and taken != there):
        raise Refused(BusinessReason.NOT_COVERED, f"children of {taken}, parents of {there}")
    if _depth(context, leg) > DEPTH_MAX:
        raise Refused(BusinessReason.TOO_DEEP, f"at most {DEPTH_MAX} splits and merges in a row")
    for child in leg.children:
        if receipt_of(context.state, child.receipt_id) is not None:
            raise Refused(BusinessReason.RECEIPT_EXISTS, f"there is a receipt {child.receipt_id}")
        check_unreserved(context.state, child.receipt_id)


def _check_whole(context: Context, leg: RecastLeg, parent: Receipt) -> None:
    if parent.warehouse != leg.warehouse:
        raise Refused(BusinessReason.NOT_THE_WAREHOUSE, f"{parent.warehouse} keeps the goods")
    if loss_of(context.state, parent.receipt_id) is not None:
        message = f"goods of {parent.receipt_id} are lost, or reported so"
        raise Refused(BusinessReason.RECEIPT_IMPAIRED, message)
    if head_of(context.state, parent).open_cases:
        raise Refused(BusinessReason.CASE_OPEN, f"a case of {parent.receipt_id} is open")


def check_leg_unheld(context: Context, leg: RecastLeg) -> None:
    """No hold lies on a parent, on the name of a child, on the owner or on the warehouse."""
    for receipt_id in (*leg.parents, *(child.receipt_id for child in leg.children)):
        check_free(context.state, "receipt", receipt_id)
    for party in (leg.owner, leg.warehouse):
        check_free(context.state, "party", party)


def reserve_leg(context: Context, transfer_id: bytes, leg: RecastLeg) -> bytes:
    """Reserve the parents and the children's names, and publish what the lots must agree with."""
    for receipt_id in _names(leg):
        context.state.put(RESERVATION, RESERVATION.key(receipt_id), Reservation(transfer_id))
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
    since = min(stored_since(context.state, parent) for parent in parents)
    lineage = Lineage(leg.parents, _depth(context, leg), transfer_id)
    valuations = shared_valuations(context.state, parents, leg.children, context.time_unix_ms)
    _unreserve(context, leg)
    for parent in parents:
        remainder = _remainder(leg, parent)
        _keep(context, remainder)
        if remainder.quantity < parent.quantity:
            _carve(context, parent, parent.quantity - remainder.quantity)
    for child in leg.children:
        made = replace(
            parents[0],
            receipt_id=child.receipt_id,
            owner=leg.owner,
            quantity=child.quantity,
            document_commitments=(),
            reported_unix_ms=context.time_unix_ms,
            transfer_id=transfer_id,
            state=ReceiptState.TOKENISED.value,
        )
        _keep(context, made)
        context.state.put(LINEAGE, LINEAGE.key(child.receipt_id), lineage)
        context.state.put(STORAGE, STORAGE.key(child.receipt_id), Storage(since))
        _pass_on_holds(context, parents, made)
    for valuation in valuations:
        apply_value_receipt(context, ValueReceipt(), valuation)


def release_leg(context: Context, _: bytes, leg: RecastLeg) -> None:
    """The parents are as they were, and the names are free."""
    _unreserve(context, leg)


# --- parts --------------------------------------------------------------------------------------


def _remainder(leg: RecastLeg, parent: Receipt) -> Receipt:
    """A parent once its children are made: what remains under its name, or nothing any more."""
    if len(leg.parents) > 1:
        return _moved(parent, "merge")
    remains = parent.quantity - sum_of(leg.children)
    return replace(parent, quantity=remains) if remains else _moved(parent, "split_whole")


def _pass_on_holds(context: Context, parents: Sequence[Receipt], child: Receipt) -> None:
    """What was held after the transfer was decided arrives held: with its cases, if rules did it.

    A hold of the same authority and case on several parents is one on the child.
    """
    cases: dict[str, Case] = {}
    for parent in parents:
        for case_id in head_of(context.state, parent).open_cases:
            case = case_of(context.state, parent.receipt_id, case_id)
            assert case is not None, "a head lists cases that are there"
            cases.setdefault(case_id, replace(case, receipt_id=child.receipt_id))
        for hold in holds_of(context.state, "receipt", parent.receipt_id):
            if hold.authority != RULE_AUTHORITY:
                notice = HoldNotice("receipt", child.receipt_id, hold, placed=True)
                apply_notice(context.state, notice)
                context.emit("hold", f"receipt/{child.receipt_id}", notice)
                context.send("hold", notice)
    if cases:
        head = replace(first_head(child), open_cases=tuple(sorted(cases)))
        context.state.put(HEAD, HEAD.key(child.receipt_id), head)
        open_cases(context, [cases[case_id] for case_id in sorted(cases)])


def _carve(context: Context, parent: Receipt, quantity: int) -> None:
    """Remember what was split off: the events of the goods began with all of it."""
    carved = Carved(carved_of(context.state, parent.receipt_id) + quantity)
    context.state.put(CARVED, CARVED.key(parent.receipt_id), carved)


def _nature(receipt: Receipt) -> tuple[str, ...]:
    """What receipts must share to be merged."""
    return (receipt.goods_code, receipt.unit, receipt.warehouse, receipt.quality, receipt.place)


def _names(leg: RecastLeg) -> tuple[str, ...]:
    return (*leg.parents, *(child.receipt_id for child in leg.children))


def _depth(context: Context, leg: RecastLeg) -> int:
    return 1 + max(depth_of(context.state, receipt_id) for receipt_id in leg.parents)


def _unreserve(context: Context, leg: RecastLeg) -> None:
    for receipt_id in _names(leg):
        context.state.delete(RESERVATION, RESERVATION.key(receipt_id))


def _keep(context: Context, receipt: Receipt) -> None:
    context.state.put(RECEIPT, RECEIPT.key(receipt.receipt_id), receipt)
    context.emit("receipt", receipt.receipt_id, receipt)


def _moved(receipt: Receipt, what: str) -> Receipt:
    return replace(receipt, state=TRANSITIONS[ReceiptState(receipt.state), what].value)


def _tokenised(context: Context, receipt_id: str) -> Receipt:
    receipt = receipt_of(context.state, receipt_id)
    if receipt is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no receipt {receipt_id}")
    if receipt.state != ReceiptState.TOKENISED:
        raise Refused(BusinessReason.WRONG_STATE, f"{receipt_id} is {receipt.state}")
    check_unreserved(context.state, receipt_id)
    return receipt


def _known(context: Context, receipt_id: str) -> Receipt:
    receipt = receipt_of(context.state, receipt_id)
    assert receipt is not None, "a receipt that is recast was found before"
    return receipt


OPERATIONS: Mapping[str, Rule[Any, Any]] = {}

LEGS: Mapping[str, LegRules[Any]] = {
    "X7": LegRules(
        kind=RecastLeg,
        role=Role.FOLLOWER,
        owners=lambda leg: (leg.warehouse,),
        check=check_leg,
        check_unheld=check_leg_unheld,
        reserve=reserve_leg,
        settle=settle_leg,
        release=release_leg,
    ),
}
