"""Reads of lots over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from assetchain.contracts.lots.keys import LOT
from assetchain.contracts.lots.types import Lot
from assetchain.v1 import lot_service_pb2 as pb
from assetchain.v1.lot_service_pb2_grpc import (
    LotServiceServicer,
    add_LotServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class LotService(LotServiceServicer):
    """Asset lots."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetLot(  # noqa: N802
        self, request: pb.GetLotRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetLotResponse:
        """One lot, with proof of inclusion."""
        key = LOT.key(request.lot_id)
        found = self._reads.require(LOT, key, request.min_height)
        return pb.GetLotResponse(lot=_view(found.value), evidence=found.evidence)

    async def ListLots(  # noqa: N802
        self, request: pb.ListLotsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListLotsResponse:
        """A page of lots, all at one final height."""
        page = self._reads.page(LOT, request.page_size, request.page_token)
        return pb.ListLotsResponse(
            lots=[_view(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )


def _view(lot: Lot) -> pb.Lot:
    return pb.Lot(
        lot_id=lot.lot_id,
        state=lot.state,
        receipt_id=lot.receipt_id,
        goods_code=lot.goods_code,
        unit=lot.unit,
        minted=lot.minted,
        burned=lot.burned,
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_LotServiceServicer_to_server(LotService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["LotService"].full_name, _register)
