"""Reads of receipts over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.contracts.receipts.types import Receipt
from bizchain.v1 import receipt_service_pb2 as pb
from bizchain.v1.receipt_service_pb2_grpc import (
    ReceiptServiceServicer,
    add_ReceiptServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class ReceiptService(ReceiptServiceServicer):
    """Warehouse receipts."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetReceipt(  # noqa: N802
        self, request: pb.GetReceiptRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetReceiptResponse:
        """One receipt, with proof of inclusion."""
        key = RECEIPT.key(request.receipt_id)
        found = self._reads.require(RECEIPT, key, request.min_height)
        return pb.GetReceiptResponse(receipt=_view(found.value), evidence=found.evidence)

    async def ListReceipts(  # noqa: N802
        self, request: pb.ListReceiptsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListReceiptsResponse:
        """A page of receipts, all at one final height."""
        page = self._reads.page(RECEIPT, request.page_size, request.page_token)
        return pb.ListReceiptsResponse(
            receipts=[_view(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )


def _view(receipt: Receipt) -> pb.Receipt:
    return pb.Receipt(
        receipt_id=receipt.receipt_id,
        state=receipt.state,
        owner=receipt.owner,
        warehouse=receipt.warehouse,
        goods_code=receipt.goods_code,
        quantity=receipt.quantity,
        unit=receipt.unit,
        quality=receipt.quality,
        place=receipt.place,
        transfer_id=receipt.transfer_id.hex(),
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_ReceiptServiceServicer_to_server(ReceiptService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["ReceiptService"].full_name, _register)
