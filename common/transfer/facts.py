"""Facts a follower publishes about its reserved leg, for the decider's leg to agree with."""

from __future__ import annotations

from common.encoding import Canonical
from common.ledger.lineage import Part

__all__ = ["BurnFacts", "CashFacts", "RecastFacts", "ReceiptFacts"]


class ReceiptFacts(Canonical, frozen=True):
    """What is true of a warehouse receipt that is reserved to be tokenised (flow X1).

    `quantity` is in base units of `unit` (UN/ECE Recommendation 20). `receipt_hash` names the
    receipt as it was issued, `valuation_hash` the valuation by which it was approved.
    """

    receipt_id: str
    owner: str
    warehouse: str
    goods_code: str
    quantity: int
    unit: str
    quality: str
    place: str
    receipt_hash: bytes
    valuation_hash: bytes
    lot_id: str


class CashFacts(Canonical, frozen=True):
    """Who pays whom for what is traded (flow X2).

    What is paid for a listed sale is public, as the listing's price is: `currency`, `amount` in
    minor units, and the listing the payer named. What two parties agreed on between them stays on
    the business books: then these three are empty and 0.
    """

    payer: str
    payee: str
    currency: str
    amount: int
    listing_id: str


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
