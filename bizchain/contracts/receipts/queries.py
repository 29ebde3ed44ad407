"""Reads of receipts."""

from __future__ import annotations

from bizchain.contracts.receipts.keys import CARVED, DELIVERY, RECEIPT, RESERVATION
from bizchain.contracts.receipts.types import Delivery, Receipt
from bizchain.reasons import BusinessReason
from common.errors import Refused
from common.ledger.state import Reader

__all__ = ["carved_of", "check_unreserved", "delivery_of", "receipt_of", "reserving_transfer"]


def receipt_of(state: Reader, receipt_id: str) -> Receipt | None:
    """The receipt with this id, or None."""
    return state.get(RECEIPT, RECEIPT.key(receipt_id))


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
    """Raise `Refused(RECEIPT_RESERVED)` while an open X6 or X7 has this receipt or its name."""
    transfer_id = reserving_transfer(state, receipt_id)
    if transfer_id:
        raise Refused(
            BusinessReason.RECEIPT_RESERVED,
            f"{receipt_id} is reserved by transfer {transfer_id.hex()}",
        )
