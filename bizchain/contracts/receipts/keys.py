"""Where receipts are stored: `receipt/<receipt id>`."""

from __future__ import annotations

from bizchain.contracts.receipts.types import Receipt
from common.ledger.state import Commitment, Table

__all__ = ["RECEIPT"]

RECEIPT = Table(b"\x20", "receipt", Receipt, Commitment.TREE)
