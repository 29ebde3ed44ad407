"""The client of the asset chain: every operation and every row, typed, signed here, proven.

    async with LedgerClient(network, "assetchain", credential) as ledger:
        assets = AssetClient(ledger)
        holding = await assets.holding("seller-1", "lot-7")
        await assets.by(seller).move_title("lot-7", "buyer-1", 1_000_000, "gift")

Acts return once they are final. Reads are proven under the pinned chain id, or refused. Quantities
are base units of the lot's unit. Title against payment moves in transfers (`relay.agreement`).
"""

from __future__ import annotations

from typing import ClassVar

from google.protobuf.message import Message

import assetchain.reasons  # noqa: F401 (so that refusals of this chain are known by name)
from assetchain.contracts.grades.keys import GRADE
from assetchain.contracts.holdings.keys import HOLDING
from assetchain.contracts.holdings.types import Holding
from assetchain.contracts.lineage.keys import LINEAGE
from assetchain.contracts.listings.keys import LISTING, SALE
from assetchain.contracts.listings.queries import disclosure_by
from assetchain.contracts.listings.types import Disclosure, Listing, Sale
from assetchain.contracts.lots.keys import IMPAIRMENT, LOT, VALUATION
from assetchain.contracts.lots.types import Lot
from assetchain.v1 import holding_service_pb2 as holding_pb
from assetchain.v1 import listing_service_pb2 as listing_pb
from assetchain.v1 import lot_service_pb2 as lot_pb
from assetchain.v1 import operation_pb2 as pb
from assetchain.v1 import party_service_pb2 as party_pb
from assetchain.v1.holding_service_pb2_grpc import HoldingServiceStub
from assetchain.v1.listing_service_pb2_grpc import ListingServiceStub
from assetchain.v1.lot_service_pb2_grpc import LotServiceStub
from assetchain.v1.party_service_pb2_grpc import PartyServiceStub
from common.ledger.grades import CREDIT_PERMISSIONS, POLICY_TABLE
from common.ledger.holds import HOLD, Holds
from common.ledger.identity import PARTY, Party
from common.ledger.impairment import ImpairmentNotice
from common.ledger.lineage import Lineage
from common.ledger.valuation import ValuationNotice
from common.rpc.client import Found
from common.rpc.council import CouncilClient
from common.rpc.typed import CALL_SECONDS, PAGE_ROWS, Row
from common.rpc.verifier import Outcome

__all__ = ["AssetClient"]


class AssetClient(CouncilClient):
    """Acts on the asset chain and reads from it."""

    operation_type: ClassVar[type[Message]] = pb.Operation

    async def move_title(
        self, lot_id: str, receiver: str, quantity: int, reference: str
    ) -> Outcome:
        """By the holder: free units to another party, free of payment."""
        return await self.act(
            move_title=pb.MoveTitle(
                lot_id=lot_id, receiver=receiver, quantity=quantity, reference=reference
            )
        )

    async def lot(self, lot_id: str) -> Found[Lot]:
        """A lot. Raises `Refused(NOT_FOUND)`."""
        return await self.get(LOT, LOT.key(lot_id), f"lot {lot_id}")

    async def lots(self) -> list[Row[Lot]]:
        """All lots, in order of their ids."""
        return await self.rows(
            LOT,
            lambda node, token: LotServiceStub(node.channel).ListLots(
                lot_pb.ListLotsRequest(page_size=PAGE_ROWS, page_token=token),
                timeout=CALL_SECONDS,
            ),
        )

    async def holding(self, party: str, lot_id: str) -> Found[Holding]:
        """A party's units of a lot. Raises `Refused(NOT_FOUND)` where it never had any."""
        return await self.get(
            HOLDING, HOLDING.key(party, lot_id), f"holding of {party} in {lot_id}"
        )

    async def holdings(self, party: str = "") -> list[Row[Holding]]:
        """All holdings of a party, or of everybody; `parts` are party and lot."""
        return await self.rows(
            HOLDING,
            lambda node, token: HoldingServiceStub(node.channel).ListHoldings(
                holding_pb.ListHoldingsRequest(
                    party_id=party, page_size=PAGE_ROWS, page_token=token
                ),
                timeout=CALL_SECONDS,
            ),
            *([party, ""] if party else []),
        )

    async def party(self, party_id: str) -> Found[Party]:
        """A party as certified messages brought it here. Raises `Refused(NOT_FOUND)`."""
        return await self.get(PARTY, PARTY.key(party_id), f"party {party_id}")

    async def parties(self) -> list[Row[Party]]:
        """All parties known here, in order of their ids."""
        return await self.rows(
            PARTY,
            lambda node, token: PartyServiceStub(node.channel).ListParties(
                party_pb.ListPartiesRequest(page_size=PAGE_ROWS, page_token=token),
                timeout=CALL_SECONDS,
            ),
        )

    async def holds(self, subject_kind: str, subject_id: str) -> Found[Holds]:
        """The holds on a subject; the value is None where there are none."""
        return await self.ledger.get(HOLD, HOLD.key(subject_kind, subject_id))

    async def impairment(self, receipt_id: str) -> Found[ImpairmentNotice]:
        """What is lost of the goods behind a receipt's lot; the value is None where nothing is."""
        return await self.ledger.get(IMPAIRMENT, IMPAIRMENT.key(receipt_id))

    # --- listings --------------------------------------------------------------------------------

    async def list_lot(self, listing: pb.ListLot) -> Outcome:
        """By the holder: free units for sale at a fixed price, to whoever it admits."""
        return await self.act(list_lot=listing)

    async def cancel_listing(self, listing_id: str) -> Outcome:
        """By the seller: what remains is free again."""
        return await self.act(cancel_listing=pb.CancelListing(listing_id=listing_id))

    async def close_listing(self, listing_id: str) -> Outcome:
        """By anyone, once the listing has expired: what remains is free again."""
        return await self.act(close_listing=pb.CloseListing(listing_id=listing_id))

    async def listing(self, listing_id: str) -> Found[Listing]:
        """A listing. Raises `Refused(NOT_FOUND)`."""
        return await self.get(LISTING, LISTING.key(listing_id), f"listing {listing_id}")

    async def listings(self) -> list[Row[Listing]]:
        """All listings, in order of their ids, ended ones too."""
        return await self.rows(
            LISTING,
            lambda node, token: ListingServiceStub(node.channel).ListListings(
                listing_pb.ListListingsRequest(page_size=PAGE_ROWS, page_token=token),
                timeout=CALL_SECONDS,
            ),
        )

    async def sale(self, transfer_id: bytes) -> Found[Sale]:
        """What was sold from a listing by a transfer. Raises `Refused(NOT_FOUND)`."""
        name = transfer_id.hex()
        return await self.get(SALE, SALE.key(name), f"sale by transfer {name}")

    async def sales(self) -> list[Row[Sale]]:
        """All settled sales from listings, in order of their transfers."""
        return await self.rows(
            SALE,
            lambda node, token: ListingServiceStub(node.channel).ListSales(
                listing_pb.ListSalesRequest(page_size=PAGE_ROWS, page_token=token),
                timeout=CALL_SECONDS,
            ),
        )

    async def disclosure(self, seller: str, buyer: str) -> Disclosure:
        """What both sides are told of each other's credit now, made here from proven rows.

        Its moment is that of the older grade read: where a grade or the policy changed in between,
        the trade is refused, and the disclosure made anew.
        """
        sold_by = await self.ledger.get(GRADE, GRADE.key(seller))
        bought_by = await self.ledger.get(GRADE, GRADE.key(buyer))
        policy = await self.version_in_force(POLICY_TABLE, CREDIT_PERMISSIONS)
        blocks = (sold_by.block, bought_by.block)
        return disclosure_by(
            (seller, sold_by.value),
            (buyer, bought_by.value),
            policy.version,
            min(block.header.time_unix_ms for block in blocks),
        )

    async def lineage(self, lot_id: str) -> Found[Lineage]:
        """What a lot was made of; the value is None where it was minted on an issued receipt."""
        return await self.ledger.get(LINEAGE, LINEAGE.key(lot_id))

    async def valuation(self, receipt_id: str) -> Found[ValuationNotice]:
        """The newest valuation of the goods behind a receipt; the value is None without one."""
        return await self.ledger.get(VALUATION, VALUATION.key(receipt_id))
