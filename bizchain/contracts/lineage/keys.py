"""What receipts were made of: `lineage/<receipt id>`; since when their goods are in store.

A receipt that a warehouse reported has no row of either. What is alive of all that was made of a
receipt: `offspring/<receipt id>`, and `offspring/<receipt id>/<owner>` for what is one party's.
"""

from __future__ import annotations

from bizchain.contracts.lineage.types import Offspring, Storage
from common.ledger.lineage import Lineage
from common.ledger.state import Commitment, Table

__all__ = ["LINEAGE", "OFFSPRING", "STORAGE"]

LINEAGE = Table(b"\x61", "receipt_lineage", Lineage, Commitment.TREE)
STORAGE = Table(b"\x62", "storage", Storage, Commitment.TREE)
OFFSPRING = Table(b"\x76", "receipt_offspring", Offspring, Commitment.DIGEST)
