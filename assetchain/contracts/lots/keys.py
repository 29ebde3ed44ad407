"""Where lots are stored: `lot/<lot id>`, the live lot of a receipt: `root/<receipt id>`, and what
of a receipt's goods is lost: `impairment/<receipt id>`.
"""

from __future__ import annotations

from assetchain.contracts.lots.types import Lot, Root
from common.ledger.impairment import ImpairmentNotice
from common.ledger.state import Commitment, Table

__all__ = ["IMPAIRMENT", "LOT", "ROOT"]

LOT = Table(b"\x40", "lot", Lot, Commitment.TREE)
ROOT = Table(b"\x41", "root", Root, Commitment.TREE)
IMPAIRMENT = Table(b"\x57", "impairment", ImpairmentNotice, Commitment.TREE)
