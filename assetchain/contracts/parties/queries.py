"""Reads of parties and holds."""

from __future__ import annotations

from common.ledger.holds import holds_of
from common.ledger.identity import party_of

__all__ = ["holds_of", "party_of"]
