"""Reads of holdings over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from assetchain.contracts.holdings.keys import HOLDING
from assetchain.contracts.holdings.types import Holding
from assetchain.v1 import holding_service_pb2 as pb
from assetchain.v1.holding_service_pb2_grpc import (
    HoldingServiceServicer,
    add_HoldingServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class HoldingService(HoldingServiceServicer):
    """Holdings of lots."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetHolding(  # noqa: N802
        self, request: pb.GetHoldingRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetHoldingResponse:
        """One holding, with proof of inclusion."""
        key = HOLDING.key(request.party_id, request.lot_id)
        found = self._reads.require(HOLDING, key, request.min_height)
        return pb.GetHoldingResponse(holding=_view(key, found.value), evidence=found.evidence)

    async def ListHoldings(  # noqa: N802
        self, request: pb.ListHoldingsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListHoldingsResponse:
        """A page of holdings, all at one final height."""
        page = self._reads.page(
            HOLDING,
            request.page_size,
            request.page_token,
            *([request.party_id, ""] if request.party_id else []),
        )
        return pb.ListHoldingsResponse(
            holdings=[_view(key, value) for key, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )


def _view(key: bytes, holding: Holding) -> pb.Holding:
    party_id, lot_id = key[1:].decode().split("/")
    return pb.Holding(
        party_id=party_id,
        lot_id=lot_id,
        free=holding.free,
        on_order=holding.on_order,
        pledged=holding.pledged,
        reserved=holding.reserved,
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_HoldingServiceServicer_to_server(HoldingService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["HoldingService"].full_name, _register)
