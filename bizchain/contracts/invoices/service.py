"""Reads of invoices over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.invoices.keys import INVOICE
from bizchain.contracts.invoices.types import DifferenceKind, Invoice
from bizchain.v1 import invoice_service_pb2 as pb
from bizchain.v1.invoice_service_pb2_grpc import (
    InvoiceServiceServicer,
    add_InvoiceServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class InvoiceService(InvoiceServiceServicer):
    """Invoices that were judged."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetInvoice(  # noqa: N802
        self, request: pb.GetInvoiceRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetInvoiceResponse:
        """One invoice, with proof of inclusion."""
        key = INVOICE.key(request.seller, request.document_id)
        found = self._reads.require(INVOICE, key, request.min_height)
        return pb.GetInvoiceResponse(invoice=_view(found.value), evidence=found.evidence)

    async def ListInvoices(  # noqa: N802
        self, request: pb.ListInvoicesRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListInvoicesResponse:
        """A page of invoices, all at one final height."""
        page = self._reads.page(
            INVOICE,
            request.page_size,
            request.page_token,
            *([request.seller, ""] if request.seller else []),
        )
        return pb.ListInvoicesResponse(
            invoices=[_view(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )


def _view(invoice: Invoice) -> pb.Invoice:
    return pb.Invoice(
        seller=invoice.seller,
        document_id=invoice.document_id,
        buyer=invoice.buyer,
        state=invoice.state,
        number=invoice.number,
        issue_date=invoice.issue_date,
        currency=invoice.currency,
        payable_minor=invoice.payable_minor,
        order_owner=invoice.order.owner,
        order_id=invoice.order.document_id,
        receipt_owner=invoice.receipt.owner,
        receipt_id=invoice.receipt.document_id,
        quantity_tolerance_basis_points=invoice.quantity_tolerance_basis_points,
        differences_count=invoice.differences_count,
        differences=[
            pb.Difference(
                number=one.number,
                name=DifferenceKind(one.number).name,
                subject=one.subject,
                found=one.found,
                expected=one.expected,
            )
            for one in invoice.differences
        ],
        ground=invoice.ground,
        changed_unix_ms=invoice.changed_unix_ms,
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_InvoiceServiceServicer_to_server(InvoiceService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["InvoiceService"].full_name, _register)
