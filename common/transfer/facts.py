"""Facts a follower publishes about its reserved leg, for the decider's leg to agree with."""

from __future__ import annotations

from common.encoding import Canonical

__all__ = ["CashFacts", "ReceiptFacts"]


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
