"""Reads of votes and of what is in force."""

from __future__ import annotations

from common.governance.types import ballot_of, standing
from common.ledger.versions import in_force

__all__ = ["ballot_of", "in_force", "standing"]
