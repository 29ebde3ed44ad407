"""Reads of lots."""

from __future__ import annotations

from assetchain.contracts.lineage.keys import LINEAGE
from assetchain.contracts.lots.keys import BACKING, IMPAIRMENT, LOT, ROOT, VALUATION
from assetchain.contracts.lots.types import TRANSITIONS, Backing, Lot, LotState
from assetchain.reasons import AssetReason
from common.errors import CommonReason, Refused
from common.ledger.holds import check_free
from common.ledger.impairment import ImpairmentNotice
from common.ledger.lineage import ancestors_of
from common.ledger.state import Reader
from common.ledger.valuation import ValuationNotice

__all__ = [
    "active_lot",
    "backing_of",
    "check_lot_free",
    "impairment_of",
    "known_lot",
    "left_of",
    "live_lot_of",
    "lot_of",
    "stepped",
    "valuation_of",
]


def lot_of(state: Reader, lot_id: str) -> Lot | None:
    """The lot with this id, or None."""
    return state.get(LOT, LOT.key(lot_id))


def backing_of(state: Reader, lot_id: str) -> Backing | None:
    """What a lot was minted on, or None: of no lot, or of what was merged."""
    return state.get(BACKING, BACKING.key(lot_id))


def active_lot(state: Reader, lot_id: str) -> Lot:
    """The lot with this id, which is active. Raises `Refused`: NOT_FOUND, LOT_NOT_ACTIVE."""
    lot = lot_of(state, lot_id)
    if lot is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no lot {lot_id}")
    if lot.state != LotState.ACTIVE:
        raise Refused(AssetReason.LOT_NOT_ACTIVE, f"lot {lot_id} is {lot.state}")
    return lot


def known_lot(state: Reader, lot_id: str) -> Lot:
    """The lot of a leg that was checked: it is there."""
    lot = lot_of(state, lot_id)
    assert lot is not None, "a checked leg names lots that are there"
    return lot


def stepped(state: str, what: str) -> str:
    """Where a step of a checked leg leads: what is no row of the table cannot happen."""
    return str(TRANSITIONS[state, what])


def left_of(lot: Lot) -> int:
    """How many units of a lot there are: what was minted and not burned."""
    return lot.minted - lot.burned


def live_lot_of(state: Reader, receipt_id: str) -> Lot | None:
    """The live lot of a receipt, or None."""
    root = state.get(ROOT, ROOT.key(receipt_id))
    return None if root is None else lot_of(state, root.lot_id)


def impairment_of(state: Reader, receipt_id: str) -> ImpairmentNotice | None:
    """What is lost of the goods of a receipt, or None."""
    return state.get(IMPAIRMENT, IMPAIRMENT.key(receipt_id))


def valuation_of(state: Reader, receipt_id: str) -> ValuationNotice | None:
    """The newest valuation of a receipt's goods, losses not deducted, or None."""
    return state.get(VALUATION, VALUATION.key(receipt_id))


def check_lot_free(state: Reader, lot: Lot) -> None:
    """Raise `Refused(SUBJECT_HELD)` where a hold lies on a lot or on the receipt it came from.

    Or on any that it was made of, be it alive or not.
    """
    behind = [known_lot(state, name) for name in ancestors_of(state, LINEAGE, lot.lot_id)]
    for one in (lot, *behind):
        check_free(state, "lot", one.lot_id)
        check_free(state, "receipt", one.receipt_id)
