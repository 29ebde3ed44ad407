"""Reads of receipts."""

from __future__ import annotations

from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.contracts.receipts.types import Receipt
from common.ledger.state import Reader

__all__ = ["receipt_of"]


def receipt_of(state: Reader, receipt_id: str) -> Receipt | None:
    """The receipt with this id, or None."""
    return state.get(RECEIPT, RECEIPT.key(receipt_id))
