"""What a node answers about listings, sales and disclosures, each proven."""

from __future__ import annotations

from typing import Any

import pytest

from assetchain.contracts.listings.keys import LISTING, SALE
from assetchain.contracts.listings.service import ListingService
from assetchain.v1 import listing_service_pb2 as pb
from common.errors import CommonReason, Refused
from common.rpc.typed import rows_in
from tests.kit.listed import listing
from tests.kit.two_chains import (
    LiveChain,
    TwoChains,
    at_once,
    author_of,
)

NOBODY: Any = None
"""The context of a call, which no answer asks for."""


@pytest.fixture
def assets() -> LiveChain:
    made = TwoChains().assets
    operation = listing(lot_id="lot-1", minimum_grade="BBB", roles=["buyer"], excluded=["store"])
    offered = made.signed("list_lot", operation, author_of("seller"))
    assert made.run(made.time_unix_ms + 100, offered) == [None]
    return made


def test_a_listing_is_shown_and_listed_with_its_limits(assets: LiveChain) -> None:
    service = ListingService(assets.reads)
    request = pb.GetListingRequest(listing_id="spring-1")
    shown = at_once(service.GetListing(request, NOBODY)).listing
    assert (shown.seller, shown.remaining, shown.state) == ("seller", 100, "OPEN")
    assert (shown.minimum_grade, [*shown.roles], [*shown.excluded]) == ("BBB", ["buyer"], ["store"])
    page = at_once(service.ListListings(pb.ListListingsRequest(), NOBODY))
    assert [one.listing_id for one in page.listings] == ["spring-1"]
    assert [row.value.listing_id for row in rows_in(page, assets.verifier(), LISTING)] == [
        "spring-1"
    ]
    with pytest.raises(Refused) as refused:
        at_once(service.GetListing(pb.GetListingRequest(listing_id="none"), NOBODY))
    assert refused.value.reason is CommonReason.NOT_FOUND
    sales = at_once(service.ListSales(pb.ListSalesRequest(), NOBODY))
    assert rows_in(sales, assets.verifier(), SALE) == []


def test_a_disclosure_is_answered_with_the_rows_it_follows_from(assets: LiveChain) -> None:
    service = ListingService(assets.reads)
    request = pb.GetDisclosureRequest(seller="seller", buyer="buyer")
    told = at_once(service.GetDisclosure(request, NOBODY))
    assert told.disclosure.seller_grade == told.disclosure.buyer_grade == "UNRATED"
    assert told.disclosure.disclosed_unix_ms == assets.time_unix_ms
    for evidence in (told.seller_grade, told.buyer_grade, told.policy):
        value, final = assets.verifier().entry(evidence, evidence.entry.key, 0)
        assert (value, final.height) == (None, assets.ledger.final_height)
