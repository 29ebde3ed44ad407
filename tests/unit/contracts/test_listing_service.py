"""What a node answers about listings, sales and disclosures, each proven."""

from __future__ import annotations

from typing import Any

import pytest

from assetchain.contracts.listings.keys import LISTING, SALE
from assetchain.contracts.listings.service import ListingService
from assetchain.v1 import listing_service_pb2 as pb
from common.encoding import decode, encode
from common.errors import CommonReason, Refused
from common.ledger.grades import CREDIT_PERMISSIONS, POLICY_TABLE
from common.ledger.versions import Enactment, Version, enact
from common.rpc.typed import rows_in
from tests.kit import authority
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


@pytest.mark.parametrize(("blocks_ahead", "expected"), [(1, 2), (9, 1)])
def test_a_disclosure_tells_the_version_of_the_policy_the_next_block_is_judged_by(
    assets: LiveChain, blocks_ahead: int, expected: int
) -> None:
    """A newer version that begins later is not told yet."""
    begun = assets.ledger.applied_height + 1
    context = assets.ledger.context(begun, assets.time_unix_ms + 100)
    content = encode(authority.policy({}))
    for version, begins in ((1, begun), (2, begun + 1 + blocks_ahead)):
        enacted = Enactment(POLICY_TABLE, CREDIT_PERMISSIONS, version, 0, content, bytes(32))
        enact(context, enacted, begins)
    assets.make_block(assets.time_unix_ms + 100)
    assets.make_block(assets.time_unix_ms + 100)
    request = pb.GetDisclosureRequest(seller="seller", buyer="buyer")
    told = at_once(ListingService(assets.reads).GetDisclosure(request, NOBODY))
    assert told.disclosure.policy_version == expected
    value, _ = assets.verifier().entry(told.policy, told.policy.entry.key, 0)
    assert value is not None
    assert decode(Version, value).version == expected
