"""Where lots are stored: `lot/<lot id>`, the live lot of a receipt: `root/<receipt id>`, what of a
receipt's goods is lost: `impairment/<receipt id>`, and what they are worth: `valuation/<receipt>`.
What a lot was minted on: `lot_backing/<lot id>`.
"""

from __future__ import annotations

from assetchain.contracts.lots.types import Backing, Lot, Root
from common.ledger.impairment import ImpairmentNotice
from common.ledger.state import Commitment, Table
from common.ledger.valuation import ValuationNotice

__all__ = ["BACKING", "IMPAIRMENT", "LOT", "ROOT", "VALUATION"]

LOT = Table(b"\x40", "lot", Lot, Commitment.TREE)
ROOT = Table(b"\x41", "root", Root, Commitment.TREE)
IMPAIRMENT = Table(b"\x57", "impairment", ImpairmentNotice, Commitment.TREE)
VALUATION = Table(b"\x68", "valuation_notice", ValuationNotice, Commitment.TREE)
BACKING = Table(b"\x6e", "lot_backing", Backing, Commitment.TREE)
