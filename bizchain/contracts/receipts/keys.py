"""Where receipts are stored: `receipt/<receipt id>` and `delivery/<receipt id>`."""

from __future__ import annotations

from bizchain.contracts.receipts.types import Delivery, Receipt
from common.ledger.state import Commitment, Table

__all__ = ["DELIVERY", "RECEIPT"]

RECEIPT = Table(b"\x20", "receipt", Receipt, Commitment.TREE)
DELIVERY = Table(b"\x56", "delivery", Delivery, Commitment.TREE)
