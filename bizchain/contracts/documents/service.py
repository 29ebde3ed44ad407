"""Reads of documents over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.documents.keys import (
    DOCUMENT,
    READING_KEY,
    SEALED_DOCUMENT,
    SEALED_KEY,
)
from bizchain.contracts.documents.types import Document, ReadingKey, SealedKey, SealedRecord
from bizchain.v1 import document_service_pb2 as pb
from bizchain.v1.document_service_pb2_grpc import (
    DocumentServiceServicer,
    add_DocumentServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class DocumentService(DocumentServiceServicer):
    """Documents: commitments, sealed key data, and who can open them."""

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

    async def GetSealedDocument(  # noqa: N802
        self, request: pb.GetSealedDocumentRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetSealedDocumentResponse:
        """One document sealed to named readers, with proof of inclusion."""
        key = SEALED_DOCUMENT.key(request.party_id, request.document_id)
        found = self._reads.require(SEALED_DOCUMENT, key, request.min_height)
        view = _sealed_view(found.value)
        return pb.GetSealedDocumentResponse(document=view, evidence=found.evidence)

    async def ListSealedDocuments(  # noqa: N802
        self, request: pb.ListSealedDocumentsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListSealedDocumentsResponse:
        """A page of sealed documents, all at one final height."""
        page = self._reads.page(
            SEALED_DOCUMENT,
            request.page_size,
            request.page_token,
            *([request.party_id, ""] if request.party_id else []),
        )
        return pb.ListSealedDocumentsResponse(
            documents=[_sealed_view(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )

    async def ListSealedKeys(  # noqa: N802
        self, request: pb.ListSealedKeysRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListSealedKeysResponse:
        """A page of the readers of a document, all at one final height."""
        page = self._reads.page(
            SEALED_KEY,
            request.page_size,
            request.page_token,
            request.party_id,
            request.document_id,
            "",
        )
        return pb.ListSealedKeysResponse(
            keys=[_key_view(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )

    async def GetReadingKey(  # noqa: N802
        self, request: pb.GetReadingKeyRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetReadingKeyResponse:
        """The newest reading key of a user, with proof of inclusion."""
        key = READING_KEY.key(request.party_id, request.user_id)
        found = self._reads.require(READING_KEY, key, request.min_height)
        view = _reading_view(found.value)
        return pb.GetReadingKeyResponse(key=view, evidence=found.evidence)


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


def _sealed_view(record: SealedRecord) -> pb.SealedDocument:
    return pb.SealedDocument(
        party_id=record.owner,
        document_id=record.document_id,
        kind=record.kind,
        commitment=record.commitment,
        key_data_root=record.key_data_root,
        key_data_leaves=record.key_data_leaves,
        sealed_key_data=record.sealed_key_data,
        content_digest=record.content_digest,
        content_bytes=record.content_bytes,
        subject=record.subject,
        recorded_unix_ms=record.recorded_unix_ms,
    )


def _key_view(key: SealedKey) -> pb.SealedKey:
    return pb.SealedKey(
        party_id=key.party,
        user_id=key.user,
        key_number=key.key_number,
        sealed_content_key=key.sealed_content_key,
        granted_unix_ms=key.granted_unix_ms,
    )


def _reading_view(key: ReadingKey) -> pb.ReadingKey:
    return pb.ReadingKey(
        party_id=key.party,
        user_id=key.user,
        public_key=key.public_key,
        number=key.number,
        registered_unix_ms=key.registered_unix_ms,
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_DocumentServiceServicer_to_server(DocumentService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["DocumentService"].full_name, _register)
