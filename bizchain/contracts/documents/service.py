"""Reads of documents over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.documents.keys import DOCUMENT
from bizchain.contracts.documents.types import Document
from bizchain.v1 import document_service_pb2 as pb
from bizchain.v1.document_service_pb2_grpc import (
    DocumentServiceServicer,
    add_DocumentServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class DocumentService(DocumentServiceServicer):
    """Documents: commitments and sealed key data."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetDocument(  # noqa: N802
        self, request: pb.GetDocumentRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetDocumentResponse:
        """One document, with proof of inclusion."""
        key = DOCUMENT.key(request.party_id, request.document_id)
        found = self._reads.require(DOCUMENT, key, request.min_height)
        return pb.GetDocumentResponse(document=_view(found.value), evidence=found.evidence)

    async def ListDocuments(  # noqa: N802
        self, request: pb.ListDocumentsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListDocumentsResponse:
        """A page of documents, all at one final height."""
        page = self._reads.page(
            DOCUMENT,
            request.page_size,
            request.page_token,
            *([request.party_id, ""] if request.party_id else []),
        )
        return pb.ListDocumentsResponse(
            documents=[_view(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )


def _view(document: Document) -> pb.Document:
    return pb.Document(
        party_id=document.owner,
        document_id=document.document_id,
        kind=document.kind,
        commitment=document.commitment,
        sealed_key_data=document.sealed_key_data,
        sealed_content_key=document.sealed_content_key,
        subject=document.subject,
        recorded_unix_ms=document.recorded_unix_ms,
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_DocumentServiceServicer_to_server(DocumentService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["DocumentService"].full_name, _register)
