"""Where lots are stored: `lot/<lot id>`, and the live lot of a receipt: `root/<receipt id>`."""

from __future__ import annotations

from assetchain.contracts.lots.types import Lot, Root
from common.ledger.state import Commitment, Table

__all__ = ["LOT", "ROOT"]

LOT = Table(b"\x40", "lot", Lot, Commitment.TREE)
ROOT = Table(b"\x41", "root", Root, Commitment.TREE)
