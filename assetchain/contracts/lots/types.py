"""The values of the lots contract."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from common.encoding import Canonical
from common.ledger.actors import BY_TRANSFER, Actors

__all__ = ["ACTORS", "NO_LOT", "TRANSITIONS", "Backing", "Lot", "LotState", "MintLeg", "Root"]

NO_LOT = ""
"""The state of no lot: before it is reserved, and after its transfer was aborted."""


class LotState(enum.StrEnum):
    """What a lot awaits, or what became of it."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    BURNED = "BURNED"


TRANSITIONS: Mapping[tuple[str, str], str] = {
    (NO_LOT, "reserve"): LotState.PENDING,
    (LotState.PENDING, "commit"): LotState.ACTIVE,
    (LotState.PENDING, "abort"): NO_LOT,
    (LotState.ACTIVE, "burn"): LotState.BURNED,
}
"""(state, what is done) -> state. Nothing else is possible."""

ACTORS: Actors = {step: (BY_TRANSFER,) for _, step in TRANSITIONS}
"""Who does it: only what two chains agreed on makes a lot, or ends one."""


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


class Backing(Canonical, frozen=True):
    """What a lot was minted on: its receipt as issued, and the valuation it was approved by.

    What is split off a lot has its parent's; what lots were merged to has none: its lineage leads
    to theirs.
    """

    receipt_hash: bytes
    valuation_hash: bytes
