"""What receipts were made of: `lineage/<receipt id>`; since when their goods are in store.

A receipt that a warehouse reported has no row of either.
"""

from __future__ import annotations

from bizchain.contracts.lineage.types import Storage
from common.ledger.lineage import Lineage
from common.ledger.state import Commitment, Table

__all__ = ["LINEAGE", "STORAGE"]

LINEAGE = Table(b"\x61", "receipt_lineage", Lineage, Commitment.TREE)
STORAGE = Table(b"\x62", "storage", Storage, Commitment.TREE)
