"""Facts a follower publishes about its reserved leg, for the decider's leg to agree with."""

from __future__ import annotations

from common.encoding import Canonical

__all__ = ["ReceiptFacts"]


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
