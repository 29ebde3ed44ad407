"""Reads of receipts."""

from __future__ import annotations

from bizchain.contracts.lineage.keys import LINEAGE
from bizchain.contracts.lineage.types import RecastLeg
from bizchain.contracts.receipts.keys import CARVED, DELIVERY, RECASTING, RECEIPT, RESERVATION
from bizchain.contracts.receipts.types import Delivery, Receipt, ReceiptLeg, ReceiptState
from bizchain.reasons import BusinessReason
from common.encoding import decode
from common.errors import CommonReason, Refused
from common.ledger.holds import check_free
from common.ledger.identity import PartyStatus, party_of
from common.ledger.lineage import ancestors_of
from common.ledger.state import Reader
from common.transfer.machine import record_of

__all__ = [
    "carved_of",
    "check_goods_free",
    "check_issue_free",
    "check_not_recast",
    "check_unreserved",
    "delivery_of",
    "lot_named_by",
    "recasts_of",
    "receipt_of",
    "reserving_transfer",
    "tokenised_receipt",
    "warehouse_signs",
]


def receipt_of(state: Reader, receipt_id: str) -> Receipt | None:
    """The receipt with this id, or None."""
    return state.get(RECEIPT, RECEIPT.key(receipt_id))


def warehouse_signs(state: Reader, receipt: Receipt) -> bool:
    """Whether the warehouse of a receipt can say anything: it is neither closed nor suspended."""
    warehouse = party_of(state, receipt.warehouse)
    return warehouse is not None and warehouse.status == PartyStatus.ACTIVE


def delivery_of(state: Reader, receipt_id: str) -> Delivery | None:
    """The newest delivery of a receipt's goods, or None."""
    return state.get(DELIVERY, DELIVERY.key(receipt_id))


def carved_of(state: Reader, receipt_id: str) -> int:
    """How much of what a receipt was reported with was split off since."""
    row = state.get(CARVED, CARVED.key(receipt_id))
    return 0 if row is None else row.quantity


def reserving_transfer(state: Reader, receipt_id: str) -> bytes:
    """The open X6 or X7 that has this receipt, or this name of one to be; empty where none has."""
    row = state.get(RESERVATION, RESERVATION.key(receipt_id))
    return b"" if row is None else row.transfer_id


def check_unreserved(state: Reader, receipt_id: str) -> None:
    """Raise `Refused(RECEIPT_RESERVED)` while an open X6 has this receipt, or an X7 its name."""
    _check_no_transfer(receipt_id, reserving_transfer(state, receipt_id))


def recasts_of(state: Reader, receipt_id: str) -> int:
    """How many open X7s would make others of this receipt."""
    row = state.get(RECASTING, RECASTING.key(receipt_id))
    return 0 if row is None else row.open_transfers


def check_not_recast(state: Reader, receipt_id: str) -> None:
    """As `check_unreserved`, and while an open X7 would make others of this receipt."""
    check_unreserved(state, receipt_id)
    if recasts_of(state, receipt_id):
        message = f"{receipt_id} is being split or merged by a transfer that is open"
        raise Refused(BusinessReason.RECEIPT_RESERVED, message)


def check_issue_free(state: Reader, receipt_id: str) -> None:
    """Raise `Refused(RECEIPT_RESERVED)` while an open X1 has this receipt."""
    receipt = receipt_of(state, receipt_id)
    if receipt is not None and receipt.state == ReceiptState.ISSUED:
        _check_no_transfer(receipt_id, receipt.transfer_id)


def lot_named_by(state: Reader, receipt_id: str) -> str:
    """The lot that the goods of a receipt are or were, by the transfer that made it; or ""."""
    receipt = receipt_of(state, receipt_id)
    row = record_of(state, receipt.transfer_id) if receipt and receipt.transfer_id else None
    if row is not None and row.record.flow == "X1":
        return decode(ReceiptLeg, row.leg).lot_id
    if row is not None and row.record.flow == "X7":
        children = decode(RecastLeg, row.leg).children
        return next(child.lot_id for child in children if child.receipt_id == receipt_id)
    return ""


def check_goods_free(state: Reader, receipt_id: str) -> None:
    """Raise `Refused(SUBJECT_HELD)` where a hold lies on a receipt or on the lot of its goods.

    Or on any that it was made of, be it alive or not.
    """
    for one in (receipt_id, *ancestors_of(state, LINEAGE, receipt_id)):
        check_free(state, "receipt", one)
        lot_id = lot_named_by(state, one)
        if lot_id:
            check_free(state, "lot", lot_id)


def tokenised_receipt(state: Reader, receipt_id: str) -> Receipt:
    """A receipt whose goods stand behind a lot, and that no transfer takes out.

    Raises `Refused`: NOT_FOUND, WRONG_STATE, RECEIPT_RESERVED.
    """
    receipt = receipt_of(state, receipt_id)
    if receipt is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no receipt {receipt_id}")
    if receipt.state != ReceiptState.TOKENISED:
        raise Refused(BusinessReason.WRONG_STATE, f"{receipt_id} is {receipt.state}")
    check_unreserved(state, receipt_id)
    return receipt


def _check_no_transfer(receipt_id: str, transfer_id: bytes) -> None:
    if transfer_id:
        raise Refused(
            BusinessReason.RECEIPT_RESERVED,
            f"{receipt_id} is reserved by transfer {transfer_id.hex()}",
        )
