"""What lots were made of: `lineage/<lot id>`. A lot minted on an issued receipt has no row."""

from __future__ import annotations

from common.ledger.lineage import Lineage
from common.ledger.state import Commitment, Table

__all__ = ["LINEAGE"]

LINEAGE = Table(b"\x70", "lot_lineage", Lineage, Commitment.TREE)
