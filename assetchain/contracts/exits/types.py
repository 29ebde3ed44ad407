"""The values of the exits contract. Quantities are in base units of the lot's unit."""

from __future__ import annotations

from common.encoding import Canonical

__all__ = ["BurnLeg"]


class BurnLeg(Canonical, frozen=True):
    """Flow X6 on the asset chain: `quantity` is all that is left of the lot, and the holder's."""

    lot_id: str
    holder: str
    quantity: int
