"""Reads of lineage and of storage."""

from __future__ import annotations

from bizchain.contracts.lineage.keys import LINEAGE, STORAGE
from bizchain.contracts.receipts.types import Receipt
from common.ledger.lineage import Lineage
from common.ledger.state import Reader

__all__ = ["depth_of", "lineage_of", "stored_since"]


def lineage_of(state: Reader, receipt_id: str) -> Lineage | None:
    """What a receipt was made of, or None where its warehouse reported it."""
    return state.get(LINEAGE, LINEAGE.key(receipt_id))


def depth_of(state: Reader, receipt_id: str) -> int:
    """How many splits and merges lie between a receipt and what was issued."""
    row = lineage_of(state, receipt_id)
    return 0 if row is None else row.depth


def stored_since(state: Reader, receipt: Receipt) -> int:
    """Since when the goods are in store: their report, or that of the goods they are made of."""
    row = state.get(STORAGE, STORAGE.key(receipt.receipt_id))
    return receipt.reported_unix_ms if row is None else row.since_unix_ms
