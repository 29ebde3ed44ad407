"""Facts a follower publishes about its reserved leg, for the decider's leg to agree with."""

from __future__ import annotations

from common.encoding import Canonical
from common.ledger.lineage import Part

__all__ = ["BurnFacts", "RecastFacts", "ReceiptFacts"]


class ReceiptFacts(Canonical, frozen=True):
    """What is true of a warehouse receipt that is reserved to be tokenised (flow X1).

    `quantity` is in base units of `unit` (UN/ECE Recommendation 20).
    """

    receipt_id: str
    owner: str
    warehouse: str
    goods_code: str
    quantity: int
    unit: str
    quality: str
    place: str


class BurnFacts(Canonical, frozen=True):
    """What is true of a lot that is reserved to be burned whole (flow X6)."""

    lot_id: str
    receipt_id: str
    holder: str
    quantity: int
    unit: str


class RecastFacts(Canonical, frozen=True):
    """What is true of receipts that are reserved to be split or merged (flow X7).

    `parents` are receipt ids and `quantities` what each of them is for, in base units of `unit`.
    """

    owner: str
    warehouse: str
    parents: tuple[str, ...]
    quantities: tuple[int, ...]
    children: tuple[Part, ...]
    goods_code: str
    unit: str
