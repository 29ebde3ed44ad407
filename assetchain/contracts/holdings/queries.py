"""Reads of holdings."""

from __future__ import annotations

from assetchain.contracts.holdings.keys import HOLDING
from assetchain.contracts.holdings.types import Holding
from common.ledger.state import Reader

__all__ = ["holding_of"]


def holding_of(state: Reader, party: str, lot_id: str) -> Holding:
    """A party's units of a lot; zeros where it never had any."""
    return state.get(HOLDING, HOLDING.key(party, lot_id)) or Holding(0, 0, 0, 0)
