"""Reads of listings, sales and disclosures over gRPC, each with its evidence."""

from __future__ import annotations

from typing import TypeVar

import grpc

from assetchain.contracts.grades.keys import GRADE
from assetchain.contracts.grades.types import Grade
from assetchain.contracts.listings.keys import LISTING, SALE
from assetchain.contracts.listings.queries import disclosure_by, disclosure_hash
from assetchain.contracts.listings.types import Disclosure, Listing, Sale
from assetchain.v1 import listing_service_pb2 as pb
from assetchain.v1.listing_service_pb2_grpc import (
    ListingServiceServicer,
    add_ListingServiceServicer_to_server,
)
from common.encoding import decode, decode_trusted
from common.ledger.block import Header
from common.ledger.grades import CREDIT_PERMISSIONS, POLICY_TABLE
from common.ledger.versions import LATEST, Latest, Version, version_key
from common.rpc.reads import LedgerReads, Service
from common.v1.ledger_service_pb2 import Evidence, StateEntry

__all__ = ["SERVICE", "ListingService"]

V = TypeVar("V", Grade, Latest, Version)


class ListingService(ListingServiceServicer):
    """Listings of lots."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetListing(  # noqa: N802
        self, request: pb.GetListingRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetListingResponse:
        """One listing, with proof of inclusion."""
        key = LISTING.key(request.listing_id)
        found = self._reads.require(LISTING, key, request.min_height)
        return pb.GetListingResponse(listing=_listing(found.value), evidence=found.evidence)

    async def ListListings(  # noqa: N802
        self, request: pb.ListListingsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListListingsResponse:
        """A page of listings, all at one final height."""
        page = self._reads.page(LISTING, request.page_size, request.page_token)
        return pb.ListListingsResponse(
            listings=[_listing(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )

    async def ListSales(  # noqa: N802
        self, request: pb.ListSalesRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListSalesResponse:
        """A page of settled sales, all at one final height."""
        page = self._reads.page(SALE, request.page_size, request.page_token)
        return pb.ListSalesResponse(
            sales=[_sale(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )

    async def GetDisclosure(  # noqa: N802
        self, request: pb.GetDisclosureRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetDisclosureResponse:
        """What both sides are told, with the rows it follows from."""
        seller, buyer = (
            self._reads.entry(GRADE.key(party), request.min_height)
            for party in (request.seller, request.buyer)
        )
        version, policy = self._policy(request.min_height)
        told = disclosure_by(
            (request.seller, _value(Grade, seller.entry)),
            (request.buyer, _value(Grade, buyer.entry)),
            version,
            decode(Header, policy.block.header).time_unix_ms,
        )
        return pb.GetDisclosureResponse(
            disclosure=_disclosure(told), seller_grade=seller, buyer_grade=buyer, policy=policy
        )

    def _policy(self, min_height: int) -> tuple[Version | None, Evidence]:
        """What the next block is judged by, and the row that says so."""
        subject = (POLICY_TABLE, CREDIT_PERMISSIONS)
        evidence = self._reads.entry(LATEST.key(*subject), min_height)
        latest = _value(Latest, evidence.entry)
        begins = latest.activation_height if latest else 0
        next_height = decode(Header, evidence.block.header).height + 1
        while begins:
            evidence = self._reads.entry(version_key(*subject, begins), min_height)
            row = _value(Version, evidence.entry)
            assert row is not None, "a version names the one before it, and none is ever deleted"
            if begins <= next_height:
                return row, evidence
            begins = row.previous_height
        return None, evidence


def _value(kind: type[V], entry: StateEntry) -> V | None:
    return decode_trusted(kind, entry.value) if entry.present else None


def _listing(listing: Listing) -> pb.Listing:
    return pb.Listing(
        listing_id=listing.listing_id,
        seller=listing.seller,
        lot_id=listing.lot_id,
        state=listing.state,
        quantity=listing.quantity,
        remaining=listing.remaining,
        reserved=listing.reserved,
        sold=listing.sold,
        currency=listing.currency,
        price=listing.price,
        price_quantity=listing.price_quantity,
        minimum_quantity=listing.limits.minimum_quantity,
        minimum_grade=listing.limits.minimum_grade,
        roles=listing.limits.roles,
        excluded=listing.limits.excluded,
        until_unix_ms=listing.until_unix_ms,
    )


def _sale(sale: Sale) -> pb.Sale:
    return pb.Sale(
        transfer_id=sale.transfer_id,
        listing_id=sale.listing_id,
        lot_id=sale.lot_id,
        quantity=sale.quantity,
        currency=sale.currency,
        amount=sale.amount,
        disclosure=_disclosure(sale.disclosure),
        sold_unix_ms=sale.sold_unix_ms,
    )


def _disclosure(told: Disclosure) -> pb.Disclosure:
    return pb.Disclosure(
        seller=told.seller,
        seller_grade=told.seller_grade,
        buyer=told.buyer,
        buyer_grade=told.buyer_grade,
        policy_version=told.policy_version,
        disclosed_unix_ms=told.disclosed_unix_ms,
        disclosure_hash=disclosure_hash(told),
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_ListingServiceServicer_to_server(ListingService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["ListingService"].full_name, _register)
