"""Reads of listings, the price of a sale, and what both sides are told of each other's credit."""

from __future__ import annotations

from assetchain.contracts.listings.keys import LISTING, OPEN_LISTING, SALE
from assetchain.contracts.listings.types import (
    TRANSITIONS,
    Disclosure,
    Limits,
    Listing,
    ListingState,
    Sale,
    Step,
)
from assetchain.reasons import AssetReason
from common.amount import scale_ceiling
from common.crypto.digest import Tag, tagged
from common.deadline import expired
from common.encoding import encode
from common.errors import Refused
from common.ledger.grades import (
    UNRATED,
    Grade,
    grade_of,
    is_at_least,
    policy_in_force,
)
from common.ledger.identity import active_party
from common.ledger.state import Reader
from common.ledger.versions import Version

__all__ = [
    "check_buyer",
    "check_excluded",
    "disclosure_by",
    "disclosure_hash",
    "disclosure_of",
    "listing_of",
    "next_state",
    "open_listings_of",
    "sale_amount",
    "sale_of",
]


def listing_of(state: Reader, listing_id: str) -> Listing | None:
    """The listing with this id, or None."""
    return state.get(LISTING, LISTING.key(listing_id))


def open_listings_of(state: Reader, seller: str) -> list[str]:
    """The ids of a seller's open listings, in order."""
    prefix = OPEN_LISTING.key(seller, "")
    return [key[len(prefix) :].decode() for key, _ in state.scan(OPEN_LISTING, seller, "")]


def sale_of(state: Reader, transfer_id: bytes) -> Sale | None:
    """The settled sale of a transfer, or None."""
    return state.get(SALE, SALE.key(transfer_id.hex()))


def next_state(listing: Listing, step: Step) -> ListingState:
    """Where a step leads. Raises `Refused(LISTING_NOT_OPEN)` where the table does not hold it."""
    reached = TRANSITIONS.get((ListingState(listing.state), step))
    if reached is None:
        message = f"listing {listing.listing_id} is {listing.state}: it cannot {step}"
        raise Refused(AssetReason.LISTING_NOT_OPEN, message)
    return reached


def sale_amount(listing: Listing, quantity: int) -> int:
    """What `quantity` base units cost, in minor units.

    Rounded up to the minor unit, in favour of the seller: nobody buys below the listed price by
    buying little at a time. Refused with AMOUNT_OUT_OF_RANGE where no amount can be so much.
    """
    return scale_ceiling(quantity, listing.price, listing.price_quantity)


def check_buyer(state: Reader, listing: Listing, buyer: str, time_unix_ms: int) -> None:
    """Refuse a buyer outside the seller's limits, by its roles and the grade in force now.

    Raises `Refused`: BUYER_EXCLUDED, BUYER_ROLE_MISSING, BUYER_GRADE_TOO_LOW, or NOT_FOUND for a
    party that is not active.
    """
    limits = listing.limits
    check_excluded(limits, buyer)
    party = active_party(state, buyer)
    admitted = any(
        grant.role in limits.roles and not expired(time_unix_ms, grant.until_unix_ms)
        for grant in party.roles
    )
    if limits.roles and not admitted:
        allowed = ", ".join(limits.roles)
        raise Refused(AssetReason.BUYER_ROLE_MISSING, f"{buyer} has none of the roles {allowed}")
    grade = grade_of(state, buyer, time_unix_ms)
    if limits.minimum_grade and not is_at_least(grade, limits.minimum_grade):
        message = f"{buyer} is {grade}, {limits.minimum_grade} or better may buy"
        raise Refused(AssetReason.BUYER_GRADE_TOO_LOW, message)


def check_excluded(limits: Limits, buyer: str) -> None:
    """Raise `Refused(BUYER_EXCLUDED)` where the seller does not sell to this party."""
    if buyer in limits.excluded:
        raise Refused(AssetReason.BUYER_EXCLUDED, f"the seller does not sell to {buyer}")


def disclosure_of(
    state: Reader,
    seller: str,
    buyer: str,
    *,
    height: int,
    time_unix_ms: int,
    disclosed_unix_ms: int,
) -> Disclosure:
    """The disclosure of `disclosed_unix_ms` by what is in force in the block at `height`."""
    policy = policy_in_force(state, height)
    return Disclosure(
        seller,
        grade_of(state, seller, time_unix_ms),
        buyer,
        grade_of(state, buyer, time_unix_ms),
        0 if policy is None else policy.version,
        disclosed_unix_ms,
    )


def disclosure_by(
    seller: tuple[str, Grade | None],
    buyer: tuple[str, Grade | None],
    policy: Version | None,
    disclosed_unix_ms: int,
) -> Disclosure:
    """The disclosure of a moment from the rows it follows from: (party, its grade), and the
    version of the policy.

    Either side makes it from what is proven to it, and both make the same.
    """
    grades = [
        UNRATED if row is None or expired(disclosed_unix_ms, row.until_unix_ms) else row.grade
        for _, row in (seller, buyer)
    ]
    version = 0 if policy is None else policy.version
    return Disclosure(seller[0], grades[0], buyer[0], grades[1], version, disclosed_unix_ms)


def disclosure_hash(disclosure: Disclosure) -> bytes:
    """What stands in the leg: 32 bytes that bind every field."""
    return tagged(Tag.DISCLOSURE, encode(disclosure))
