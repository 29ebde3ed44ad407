"""The values of the listings contract.

Quantities are in base units of the lot's unit, prices and amounts in minor units of the currency.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from assetchain.contracts.holdings.types import TitleLeg
from common.encoding import Canonical
from common.ledger.actors import BY_ANYONE, BY_RULE, BY_TRANSFER, Actors

__all__ = [
    "ACTORS",
    "TRANSITIONS",
    "Disclosure",
    "Limits",
    "ListedTitleLeg",
    "Listing",
    "ListingState",
    "OpenListing",
    "Sale",
    "Step",
]


class ListingState(enum.StrEnum):
    """What a listing awaits, or what became of it."""

    OPEN = "OPEN"
    SOLD_OUT = "SOLD_OUT"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


class Step(enum.StrEnum):
    """What can happen to a listing. A sale reserves, then settles or releases."""

    RESERVE = "reserve"
    SETTLE = "settle"
    SELL_OUT = "sell_out"
    RELEASE = "release"
    CANCEL = "cancel"
    EXPIRE = "expire"


_L, _S = ListingState, Step

TRANSITIONS: Mapping[tuple[ListingState, Step], ListingState] = {
    (_L.OPEN, _S.RESERVE): _L.OPEN,
    (_L.OPEN, _S.SETTLE): _L.OPEN,
    (_L.OPEN, _S.SELL_OUT): _L.SOLD_OUT,
    (_L.OPEN, _S.RELEASE): _L.OPEN,
    (_L.OPEN, _S.CANCEL): _L.CANCELLED,
    (_L.OPEN, _S.EXPIRE): _L.EXPIRED,
    (_L.CANCELLED, _S.SETTLE): _L.CANCELLED,
    (_L.CANCELLED, _S.RELEASE): _L.CANCELLED,
    (_L.EXPIRED, _S.SETTLE): _L.EXPIRED,
    (_L.EXPIRED, _S.RELEASE): _L.EXPIRED,
}
"""(state, what happens) -> state. What was reserved before the end still settles or goes back."""

ACTORS: Actors = {
    _S.RESERVE: (BY_TRANSFER,),
    _S.SETTLE: (BY_TRANSFER,),
    _S.SELL_OUT: (BY_TRANSFER,),
    _S.RELEASE: (BY_TRANSFER,),
    _S.CANCEL: (".seller", BY_RULE),
    _S.EXPIRE: (BY_ANYONE,),
}
"""Who does it. The rule that cancels is the closing of the seller."""


class Limits(Canonical, frozen=True):
    """To whom the seller sells, and how much at least.

    `minimum_grade` is empty where any grade will do, UNRATED too. `roles` are those of which a
    buyer needs one in force; empty: any party. `excluded` are party ids. A sale is of at least
    `minimum_quantity`, or of all that is left.
    """

    minimum_grade: str
    roles: tuple[str, ...]
    excluded: tuple[str, ...]
    minimum_quantity: int


class Listing(Canonical, frozen=True):
    """Units of a lot for sale at a fixed price: a mandate of their owner.

    Of `quantity`, `remaining` are on order, `reserved` are in escrow for open transfers and `sold`
    have gone to buyers; what is missing was given back. `price_quantity` base units cost `price`.
    """

    listing_id: str
    seller: str
    lot_id: str
    state: str
    quantity: int
    remaining: int
    reserved: int
    sold: int
    currency: str
    price: int
    price_quantity: int
    limits: Limits
    until_unix_ms: int


class OpenListing(Canonical, frozen=True):
    """That a seller's listing is OPEN, and of which lot."""

    lot_id: str


class Disclosure(Canonical, frozen=True):
    """What buyer and seller are told of each other's credit before they trade.

    The grades in force at `disclosed_unix_ms` (block time), UNRATED where there is none, and the
    version of the policy that says what they open; 0 where there is no policy.
    """

    seller: str
    seller_grade: str
    buyer: str
    buyer_grade: str
    policy_version: int
    disclosed_unix_ms: int


class ListedTitleLeg(TitleLeg, frozen=True):
    """Flow X2 by mandate: title of listed units goes to a buyer, without the seller's signature.

    `disclosure_hash` is that of the `Disclosure` made at `disclosed_unix_ms`.
    """

    listing_id: str
    disclosed_unix_ms: int
    disclosure_hash: bytes


class Sale(Canonical, frozen=True):
    """A settled sale: what was paid by the listing, and what both sides had been told."""

    transfer_id: bytes
    listing_id: str
    lot_id: str
    quantity: int
    currency: str
    amount: int
    disclosure: Disclosure
    disclosure_hash: bytes
    sold_unix_ms: int
