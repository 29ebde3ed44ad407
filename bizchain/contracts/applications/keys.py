"""Where applications are stored: `application/<receipt id>`."""

from __future__ import annotations

from bizchain.contracts.applications.types import AssetApplication
from common.ledger.state import Commitment, Table

__all__ = ["APPLICATION"]

APPLICATION = Table(b"\x6d", "application", AssetApplication, Commitment.TREE)
