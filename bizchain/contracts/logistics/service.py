"""Reads of goods events over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.logistics.keys import GOODS_EVENT, HANDOVER, HEAD
from bizchain.contracts.logistics.types import GoodsEvent, Handover, Head
from bizchain.v1 import logistics_service_pb2 as pb
from bizchain.v1.logistics_service_pb2_grpc import (
    LogisticsServiceServicer,
    add_LogisticsServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class LogisticsService(LogisticsServiceServicer):
    """What is seen of the goods of receipts."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetGoodsHead(  # noqa: N802
        self, request: pb.GetGoodsHeadRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetGoodsHeadResponse:
        """The head of a receipt's events, with proof of inclusion."""
        found = self._reads.require(HEAD, HEAD.key(request.receipt_id), request.min_height)
        return pb.GetGoodsHeadResponse(head=_head(found.value), evidence=found.evidence)

    async def ListGoodsEvents(  # noqa: N802
        self, request: pb.ListGoodsEventsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListGoodsEventsResponse:
        """A page of the newest events of a receipt, all at one final height."""
        page = self._reads.page(
            GOODS_EVENT, request.page_size, request.page_token, request.receipt_id, ""
        )
        return pb.ListGoodsEventsResponse(
            events=[_event(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )

    async def GetHandover(  # noqa: N802
        self, request: pb.GetHandoverRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetHandoverResponse:
        """The newest handover of a receipt's goods, with proof of inclusion."""
        key = HANDOVER.key(request.receipt_id)
        found = self._reads.require(HANDOVER, key, request.min_height)
        return pb.GetHandoverResponse(handover=_handover(found.value), evidence=found.evidence)


def _head(head: Head) -> pb.GoodsHead:
    return pb.GoodsHead(
        receipt_id=head.receipt_id,
        count=head.count,
        hash=head.hash,
        place=head.place,
        expected_place=head.expected_place,
        quantity=head.quantity,
        stock_take_unix_ms=head.stock_take_unix_ms,
        custodian=head.custodian,
        open_cases=head.open_cases,
    )


def _event(event: GoodsEvent) -> pb.GoodsEvent:
    return pb.GoodsEvent(
        receipt_id=event.receipt_id,
        number=event.number,
        kind=event.kind,
        posted_by=event.posted_by,
        event_unix_ms=event.event_unix_ms,
        place=event.place,
        quantity=event.quantity,
        ssccs=event.ssccs,
        alarm=event.alarm,
        previous_hash=event.previous_hash,
        evidence_hash=event.evidence_hash,
    )


def _handover(handover: Handover) -> pb.Handover:
    return pb.Handover(
        receipt_id=handover.receipt_id,
        number=handover.number,
        state=handover.state,
        giver=handover.giver,
        receiver=handover.receiver,
        place=handover.place,
        quantity=handover.quantity,
        deadline_unix_ms=handover.deadline_unix_ms,
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_LogisticsServiceServicer_to_server(LogisticsService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["LogisticsService"].full_name, _register)
