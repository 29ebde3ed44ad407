"""The values of the lots contract."""

from __future__ import annotations

import enum

from common.encoding import Canonical

__all__ = ["Lot", "LotState", "MintLeg", "Root"]


class LotState(enum.StrEnum):
    """What a lot awaits, or what became of it."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    BURNED = "BURNED"


class Lot(Canonical, frozen=True):
    """A digital asset. `minted` and `burned` count base units; `receipt_id` is its root."""

    lot_id: str
    state: str
    receipt_id: str
    goods_code: str
    unit: str
    minted: int
    burned: int
    transfer_id: bytes


class Root(Canonical, frozen=True):
    """The live lot of a receipt."""

    lot_id: str


class MintLeg(Canonical, frozen=True):
    """Flow X1 on the asset chain: units of a new lot appear, owned by the receipt's owner."""

    lot_id: str
    receipt_id: str
    owner: str
    goods_code: str
    quantity: int
    unit: str
