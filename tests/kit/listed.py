"""Listings and sales from them, for the tests: an example of each, and of each refusal.

assert offer(pair) is None                    # 100 of alice's units, 3 cents for 2
deal = purchase(pair, "bob", 10)
pair.complete(deal)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from assetchain.contracts.listings.operations import (
    DISCLOSURE_AGE_MS_MAX,
    OPEN_LISTINGS_OF_A_SELLER_MAX,
)
from assetchain.contracts.listings.queries import disclosure_of, listing_of
from assetchain.contracts.listings.types import Disclosure, Listing
from assetchain.reasons import AssetReason
from assetchain.v1 import operation_pb2 as pb
from common.errors import Reason
from common.transfer.terms import Mode
from relay.agreement import Agreement, Purchase, agree_on_purchase
from tests.kit import authority, cast
from tests.kit.pair import DEADLINE_MS, Pair

NAME, LOT, SELLER, BUYER = "spring-1", "lot-alice", "alice", "bob"
UNTIL_UNIX_MS = cast.START_UNIX_MS + 40 * 24 * 3_600_000


def listing(**changed: Any) -> pb.ListLot:
    """A listing of alice's that bob may buy from."""
    fields: dict[str, Any] = {
        "listing_id": NAME, "lot_id": LOT, "quantity": 100, "currency": "EUR", "price": 3,
        "price_quantity": 2, "until_unix_ms": UNTIL_UNIX_MS,
    }  # fmt: skip
    return pb.ListLot(**{**fields, **changed})


def offer(pair: Pair, by: str = SELLER, **changed: Any) -> Reason | None:
    return pair.asset.do(by, list_lot=listing(**changed))


def cancel(pair: Pair, by: str = SELLER, listing_id: str = NAME) -> Reason | None:
    return pair.asset.do(by, cancel_listing=pb.CancelListing(listing_id=listing_id))


def close(
    pair: Pair, by: str = BUYER, listing_id: str = NAME, at: int | None = None
) -> Reason | None:
    return pair.asset.do(by, close_listing=pb.CloseListing(listing_id=listing_id), at=at)


def known(pair: Pair, listing_id: str = NAME) -> Listing:
    found = listing_of(pair.asset.ledger.state, listing_id)
    assert found is not None
    return found


def told(pair: Pair, buyer: str = BUYER, seller: str = SELLER) -> Disclosure:
    """What both sides are told now."""
    now = pair.asset.now
    return disclosure_of(
        pair.asset.ledger.state,
        seller,
        buyer,
        height=pair.asset.height + 1,
        time_unix_ms=now,
        disclosed_unix_ms=now,
    )


def purchase(
    pair: Pair,
    buyer: str = BUYER,
    quantity: int = 10,
    *,
    of: Listing | None = None,
    disclosure: Disclosure | None = None,
    mode: str = Mode.EXPRESS,
) -> Agreement:
    """A purchase from the listing as it stands, or as it is pretended to stand."""
    offered = of or known(pair)
    return agree_on_purchase(
        pair.ids,
        Purchase(offered, quantity, disclosure or told(pair, buyer, offered.seller)),
        fee_basis_points=cast.FEE_BASIS_POINTS,
        deadline_unix_ms=pair.business.now + DEADLINE_MS,
        random_bytes=pair.chance,
        mode=mode,
    )


def attempt(pair: Pair, deal: Agreement) -> Reason | None:
    """Whether the asset chain takes a purchase whose cash is reserved."""
    assert pair.reserve(deal) is None
    pair.carry()
    return pair.decide(deal)


EXAMPLES: dict[str, tuple[str, Any]] = {
    "list_lot": (SELLER, listing()),
    "cancel_listing": (SELLER, pb.CancelListing(listing_id="listing-open")),
    "close_listing": (BUYER, pb.CloseListing(listing_id="listing-over")),
}


def prepare(pair: Pair) -> None:
    """One listing that is open, and one that has just expired."""
    assert offer(pair, listing_id="listing-open", quantity=5) is None
    soon = pair.asset.now + 1_000
    assert offer(pair, listing_id="listing-over", quantity=5, until_unix_ms=soon) is None
    pair.advance_to(soon)


# --- every refusal ------------------------------------------------------------------------------


def _exists(pair: Pair) -> Reason | None:
    assert offer(pair) is None
    return offer(pair)


def _not_open(pair: Pair) -> Reason | None:
    assert offer(pair) is None
    deal = purchase(pair)
    assert cancel(pair) is None
    return attempt(pair, deal)


def _not_the_seller(pair: Pair) -> Reason | None:
    assert offer(pair) is None
    return cancel(pair, BUYER)


def _mandate_of_another(pair: Pair) -> Reason | None:
    """bob's lot in alice's listing."""
    assert offer(pair) is None
    return attempt(pair, purchase(pair, "carol", of=replace(known(pair), lot_id="lot-bob")))


def _excluded(pair: Pair) -> Reason | None:
    assert offer(pair, excluded=[BUYER]) is None
    return attempt(pair, purchase(pair))


def _role_missing(pair: Pair) -> Reason | None:
    assert offer(pair, roles=["bank"]) is None
    return attempt(pair, purchase(pair))


def _grade_too_low(pair: Pair) -> Reason | None:
    assert offer(pair, minimum_grade="BBB") is None
    authority.grade(pair, BUYER, "BB")
    return attempt(pair, purchase(pair))


def _too_many(pair: Pair) -> Reason | None:
    for number in range(OPEN_LISTINGS_OF_A_SELLER_MAX):
        assert offer(pair, listing_id=f"listing-{number}", quantity=1) is None
    return offer(pair, quantity=1)


def _not_expired(pair: Pair) -> Reason | None:
    assert offer(pair) is None
    return close(pair)


def _expired(pair: Pair) -> Reason | None:
    """At its own last moment it is too late."""
    until = pair.asset.now + 10_000
    assert offer(pair, until_unix_ms=until) is None
    deal = purchase(pair)
    assert pair.reserve(deal) is None
    pair.carry()
    return pair.asset.do(reserve_and_commit_transfer=pair.decision(deal), at=until)


def _below_minimum(pair: Pair) -> Reason | None:
    assert offer(pair, minimum_quantity=20) is None
    return attempt(pair, purchase(pair, quantity=19))


def _outdated(pair: Pair) -> Reason | None:
    assert offer(pair) is None
    before = told(pair)
    pair.advance(DISCLOSURE_AGE_MS_MAX)
    pair.fresh()
    return attempt(pair, purchase(pair, disclosure=before))


def _graded_since(pair: Pair) -> Reason | None:
    assert offer(pair) is None
    deal = purchase(pair)
    authority.grade(pair, BUYER, "AAA")
    return attempt(pair, deal)


REFUSALS: dict[Reason, Callable[[Pair], Reason | None]] = {
    AssetReason.LISTING_EXISTS: _exists,
    AssetReason.LISTING_NOT_OPEN: _not_open,
    AssetReason.NOT_THE_SELLER: _not_the_seller,
    AssetReason.MANDATE_MISMATCH: _mandate_of_another,
    AssetReason.BUYER_EXCLUDED: _excluded,
    AssetReason.BUYER_ROLE_MISSING: _role_missing,
    AssetReason.BUYER_GRADE_TOO_LOW: _grade_too_low,
    AssetReason.TOO_MANY_LISTINGS: _too_many,
    AssetReason.LISTING_NOT_EXPIRED: _not_expired,
    AssetReason.LISTING_EXPIRED: _expired,
    AssetReason.BELOW_MINIMUM: _below_minimum,
    AssetReason.DISCLOSURE_OUTDATED: _outdated,
    AssetReason.DISCLOSURE_MISMATCH: _graded_since,
}
