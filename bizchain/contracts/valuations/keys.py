"""Where valuations are stored: `valuation/<receipt id>`."""

from __future__ import annotations

from bizchain.contracts.valuations.types import Valuation
from common.ledger.state import Commitment, Table

__all__ = ["VALUATION"]

VALUATION = Table(b"\x60", "valuation", Valuation, Commitment.TREE)
