"""Reporting, issuing, rejecting, cancelling, delivering receipts, and the leg of flow X1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from bizchain.contracts.applications.operations import use_application
from bizchain.contracts.applications.queries import application_of, check_approved
from bizchain.contracts.lineage.operations import count_offspring
from bizchain.contracts.receipts.keys import DELIVERY, RECEIPT
from bizchain.contracts.receipts.queries import (
    check_goods_free,
    check_issue_free,
    check_unreserved,
    delivery_of,
    receipt_of,
)
from bizchain.contracts.receipts.types import (
    ACTORS,
    DELIVERY_ACTORS,
    DELIVERY_TRANSITIONS,
    TRANSITIONS,
    Delivery,
    DeliveryState,
    Receipt,
    ReceiptLeg,
    ReceiptState,
    receipt_hash,
)
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.amount import check_amount, unit_of
from common.crypto.digest import DIGEST_BYTES
from common.deadline import expired, lies_within
from common.encoding import encode
from common.errors import CommonReason, Refused
from common.ledger.actors import is_named
from common.ledger.chain import Context, LegRules, Rule
from common.ledger.holds import check_free
from common.ledger.identity import active_party, check_identifier
from common.transfer.facts import ReceiptFacts
from common.transfer.machine import Role

__all__ = ["LEGS", "OPERATIONS"]

TEXT_CHARACTERS_MAX = 100
COMMITMENTS_MAX = 16
DELIVERY_MS_MAX = 30 * 24 * 3_600_000

_GOODS_CODE = re.compile(r"[0-9]{6,10}\Z")


def check_report_receipt(context: Context, operation: pb.ReportReceipt) -> Receipt:
    """The draft receipt a warehouse reports for goods of an active owner."""
    context.require_role("warehouse")
    check_identifier(operation.receipt_id, "receipt id", long=True)
    _check_goods(operation)
    active_party(context.state, operation.owner)
    if receipt_of(context.state, operation.receipt_id) is not None:
        raise Refused(BusinessReason.RECEIPT_EXISTS, f"there is a receipt {operation.receipt_id}")
    check_unreserved(context.state, operation.receipt_id)
    return Receipt(
        operation.receipt_id,
        ReceiptState.DRAFT.value,
        operation.owner,
        context.sender,
        operation.goods_code,
        operation.quantity,
        operation.unit,
        operation.quality,
        operation.place,
        tuple(operation.document_commitments),
        context.time_unix_ms,
        b"",
    )


def check_issue_receipt(context: Context, operation: pb.IssueReceipt) -> Receipt:
    """The receipt issued by an administrator, who is not its owner."""
    context.require_role(*ACTORS["issue"])
    receipt = _known(context, operation.receipt_id)
    if context.sender == receipt.owner:
        raise Refused(BusinessReason.OWN_FIRM, "nobody issues a receipt of their own")
    return _moved(receipt, "issue")


def check_reject_receipt(context: Context, operation: pb.RejectReceipt) -> Receipt:
    """The receipt rejected by an administrator."""
    context.require_role(*ACTORS["reject"])
    if not 0 < len(operation.ground) <= TEXT_CHARACTERS_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a rejection says why, in short")
    return _moved(_known(context, operation.receipt_id), "reject")


def check_cancel_receipt(context: Context, operation: pb.CancelReceipt) -> Receipt:
    """The receipt cancelled by its owner, while nothing reserves or holds it."""
    receipt = _known(context, operation.receipt_id)
    if not is_named(context.sender, receipt, ACTORS["cancel"]):
        raise Refused(BusinessReason.NOT_THE_OWNER, f"{receipt.receipt_id} is another party's")
    check_issue_free(context.state, receipt.receipt_id)
    _check_unheld(context, receipt.receipt_id, receipt.owner)
    return _moved(receipt, "cancel")


def apply_receipt(
    context: Context,
    _: pb.ReportReceipt | pb.IssueReceipt | pb.RejectReceipt | pb.CancelReceipt,
    receipt: Receipt,
) -> None:
    """Keep the receipt as checked."""
    context.state.put(RECEIPT, RECEIPT.key(receipt.receipt_id), receipt)
    context.emit("receipt", receipt.receipt_id, receipt)


# --- delivery -----------------------------------------------------------------------------------


def check_propose_delivery(context: Context, operation: pb.ProposeDelivery) -> Delivery:
    """The delivery offered by the receipt's warehouse: of goods let out, which nothing holds."""
    receipt = _known(context, operation.receipt_id)
    if not is_named(context.sender, receipt, DELIVERY_ACTORS["lapse"]):
        raise Refused(BusinessReason.NOT_THE_WAREHOUSE, f"{receipt.warehouse} keeps the goods")
    _moved(receipt, "deliver")
    _check_unheld(context, receipt.receipt_id, receipt.owner)
    if len(operation.evidence_hash) != DIGEST_BYTES:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"a hash has {DIGEST_BYTES} bytes")
    now, deadline = context.time_unix_ms, operation.deadline_unix_ms
    if not lies_within(DELIVERY_MS_MAX, now, deadline):
        raise Refused(CommonReason.INVALID_ARGUMENT, "an offer ends within thirty days")
    before = delivery_of(context.state, receipt.receipt_id)
    awaits = before is not None and before.state == DeliveryState.PROPOSED
    if before is not None and awaits and not expired(now, before.deadline_unix_ms):
        raise Refused(BusinessReason.DELIVERY_OPEN, f"a delivery awaits {before.owner}")
    return Delivery(
        receipt.receipt_id,
        DeliveryState.PROPOSED.value,
        receipt.warehouse,
        receipt.owner,
        deadline,
        operation.evidence_hash,
    )


def apply_propose_delivery(context: Context, _: pb.ProposeDelivery, proposed: Delivery) -> None:
    """Keep the offer. One before it that was not taken has lapsed."""
    before = delivery_of(context.state, proposed.receipt_id)
    if before is not None and before.state == DeliveryState.PROPOSED:
        context.emit("delivery", before.receipt_id, _delivered(before, "lapse"))
    _keep_delivery(context, proposed)


def check_accept_delivery(
    context: Context, operation: pb.AcceptDelivery
) -> tuple[Receipt, Delivery]:
    """The receipt DELIVERED: its owner takes what was offered, in time, while nothing holds it."""
    receipt = _known(context, operation.receipt_id)
    delivery = _offered(context, operation.receipt_id)
    named = is_named(context.sender, delivery, DELIVERY_ACTORS["accept"])
    if not named or not is_named(context.sender, receipt, ACTORS["deliver"]):
        raise Refused(BusinessReason.NOT_THE_OWNER, f"it is offered to {delivery.owner}")
    accepted = _delivered(delivery, "accept")
    moved = _moved(receipt, "deliver")
    if expired(context.time_unix_ms, delivery.deadline_unix_ms):
        raise Refused(BusinessReason.DELIVERY_EXPIRED, "it was offered until its deadline")
    if operation.evidence_hash != delivery.evidence_hash:
        raise Refused(CommonReason.INVALID_ARGUMENT, "another delivery note was offered")
    _check_unheld(context, receipt.receipt_id, receipt.owner)
    return moved, accepted


def apply_accept_delivery(
    context: Context, _: pb.AcceptDelivery, taken: tuple[Receipt, Delivery]
) -> None:
    """The goods are gone, and the receipt is at its end."""
    receipt, delivery = taken
    context.state.put(RECEIPT, RECEIPT.key(receipt.receipt_id), receipt)
    context.emit("receipt", receipt.receipt_id, receipt)
    count_offspring(context, receipt, -1)
    _keep_delivery(context, delivery)


def check_decline_delivery(context: Context, operation: pb.DeclineDelivery) -> Delivery:
    """The delivery turned down by the owner or taken back by the warehouse."""
    delivery = _offered(context, operation.receipt_id)
    if not is_named(context.sender, delivery, DELIVERY_ACTORS["decline"]):
        raise Refused(BusinessReason.NOT_THE_OWNER, "it is neither offered by you nor to you")
    return _delivered(delivery, "decline")


def apply_decline_delivery(context: Context, _: pb.DeclineDelivery, delivery: Delivery) -> None:
    """Keep the delivery in its new state."""
    _keep_delivery(context, delivery)


def _keep_delivery(context: Context, delivery: Delivery) -> None:
    context.state.put(DELIVERY, DELIVERY.key(delivery.receipt_id), delivery)
    context.emit("delivery", delivery.receipt_id, delivery)


def _offered(context: Context, receipt_id: str) -> Delivery:
    delivery = delivery_of(context.state, receipt_id)
    if delivery is None:
        raise Refused(CommonReason.NOT_FOUND, f"no delivery of {receipt_id} was offered")
    return delivery


def _delivered(delivery: Delivery, what: str) -> Delivery:
    reached = DELIVERY_TRANSITIONS.get((DeliveryState(delivery.state), what))
    if reached is None:
        raise Refused(BusinessReason.WRONG_STATE, f"{what}: the delivery is {delivery.state}")
    return replace(delivery, state=reached.value)


# --- flow X1: issue -----------------------------------------------------------------------------


def check_leg(context: Context, leg: ReceiptLeg, _: bytes) -> None:
    """An issued receipt of the leg's owner that nothing reserves, by an approved application."""
    check_identifier(leg.lot_id, "lot id", long=True)
    receipt = _known(context, leg.receipt_id)
    if receipt.owner != leg.owner:
        raise Refused(BusinessReason.NOT_THE_OWNER, f"{leg.receipt_id} is another party's")
    if receipt.state == ReceiptState.TOKENISED:
        raise Refused(
            BusinessReason.RECEIPT_TOKENISED,
            f"{leg.receipt_id} was tokenised by transfer {receipt.transfer_id.hex()}",
        )
    check_issue_free(context.state, receipt.receipt_id)
    _moved(receipt, "tokenise")
    check_approved(context, leg.receipt_id, leg.owner)


def check_leg_unheld(context: Context, leg: ReceiptLeg) -> None:
    """No hold lies on the receipt or its owner."""
    _check_unheld(context, leg.receipt_id, leg.owner)


def reserve_leg(context: Context, transfer_id: bytes, leg: ReceiptLeg) -> bytes:
    """Mark the receipt as reserved, and publish what the lot must agree with."""
    application = application_of(context.state, leg.receipt_id)
    assert application is not None, "what is reserved for X1 was applied for"
    receipt = replace(_known(context, leg.receipt_id), transfer_id=transfer_id)
    context.state.put(RECEIPT, RECEIPT.key(leg.receipt_id), receipt)
    return encode(
        ReceiptFacts(
            receipt.receipt_id,
            receipt.owner,
            receipt.warehouse,
            receipt.goods_code,
            receipt.quantity,
            receipt.unit,
            receipt.quality,
            receipt.place,
            receipt_hash(receipt),
            application.valuation_hash,
            leg.lot_id,
        )
    )


def settle_leg(context: Context, _: bytes, leg: ReceiptLeg) -> None:
    """The goods are immobilised for as long as the lot lives."""
    receipt = _moved(_known(context, leg.receipt_id), "tokenise")
    context.state.put(RECEIPT, RECEIPT.key(leg.receipt_id), receipt)
    use_application(context, leg.receipt_id)


def release_leg(context: Context, _: bytes, leg: ReceiptLeg) -> None:
    """The receipt is free again."""
    receipt = replace(_known(context, leg.receipt_id), transfer_id=b"")
    context.state.put(RECEIPT, RECEIPT.key(leg.receipt_id), receipt)


# --- parts --------------------------------------------------------------------------------------


def _check_goods(operation: pb.ReportReceipt) -> None:
    if operation.quantity <= 0:
        raise Refused(CommonReason.AMOUNT_OUT_OF_RANGE, "a receipt is for more than nothing")
    check_amount(operation.quantity, "quantity")
    unit = unit_of(operation.unit)
    if unit.code != unit.base:
        raise Refused(CommonReason.UNKNOWN_UNIT, f"{unit.code} is counted in {unit.base} here")
    if _GOODS_CODE.match(operation.goods_code) is None:
        raise Refused(CommonReason.INVALID_ARGUMENT, "goods_code is 6 to 10 digits (HS)")
    texts = (operation.quality, operation.place)
    if not all(0 < len(text) <= TEXT_CHARACTERS_MAX for text in texts):
        raise Refused(CommonReason.INVALID_ARGUMENT, "quality and place are said, in short")
    commitments = operation.document_commitments
    if len(commitments) > COMMITMENTS_MAX or any(len(one) != DIGEST_BYTES for one in commitments):
        raise Refused(CommonReason.INVALID_ARGUMENT, "at most 16 commitments of 32 bytes")


def _check_unheld(context: Context, receipt_id: str, owner: str) -> None:
    check_goods_free(context.state, receipt_id)
    check_free(context.state, "party", owner)


def _moved(receipt: Receipt, what: str) -> Receipt:
    reached = TRANSITIONS.get((ReceiptState(receipt.state), what))
    if reached is None:
        raise Refused(
            BusinessReason.WRONG_STATE, f"{what}: {receipt.receipt_id} is {receipt.state}"
        )
    return replace(receipt, state=reached.value)


def _known(context: Context, receipt_id: str) -> Receipt:
    receipt = receipt_of(context.state, receipt_id)
    if receipt is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no receipt {receipt_id}")
    return receipt


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "report_receipt": Rule(pb.ReportReceipt, check_report_receipt, apply_receipt),
    "issue_receipt": Rule(pb.IssueReceipt, check_issue_receipt, apply_receipt),
    "reject_receipt": Rule(pb.RejectReceipt, check_reject_receipt, apply_receipt),
    "cancel_receipt": Rule(pb.CancelReceipt, check_cancel_receipt, apply_receipt),
    "propose_delivery": Rule(pb.ProposeDelivery, check_propose_delivery, apply_propose_delivery),
    "accept_delivery": Rule(pb.AcceptDelivery, check_accept_delivery, apply_accept_delivery),
    "decline_delivery": Rule(pb.DeclineDelivery, check_decline_delivery, apply_decline_delivery),
}

LEGS: Mapping[str, LegRules[Any]] = {
    "X1": LegRules(
        kind=ReceiptLeg,
        role=Role.FOLLOWER,
        owners=lambda leg: (leg.owner,),
        check=check_leg,
        check_unheld=check_leg_unheld,
        reserve=reserve_leg,
        settle=settle_leg,
        release=release_leg,
    ),
}
