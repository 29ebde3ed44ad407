"""Reads of lineage."""

from __future__ import annotations

from assetchain.contracts.lineage.keys import LINEAGE
from common.ledger.lineage import Lineage
from common.ledger.state import Reader

__all__ = ["lineage_of"]


def lineage_of(state: Reader, lot_id: str) -> Lineage | None:
    """What a lot was made of, or None where it was minted on an issued receipt."""
    return state.get(LINEAGE, LINEAGE.key(lot_id))
