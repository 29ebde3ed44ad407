"""Reads of receipts."""

from __future__ import annotations

from bizchain.contracts.receipts.keys import DELIVERY, RECEIPT
from bizchain.contracts.receipts.types import Delivery, Receipt
from common.ledger.state import Reader

__all__ = ["delivery_of", "receipt_of"]


def receipt_of(state: Reader, receipt_id: str) -> Receipt | None:
    """The receipt with this id, or None."""
    return state.get(RECEIPT, RECEIPT.key(receipt_id))


def delivery_of(state: Reader, receipt_id: str) -> Delivery | None:
    """The newest delivery of a receipt's goods, or None."""
    return state.get(DELIVERY, DELIVERY.key(receipt_id))
