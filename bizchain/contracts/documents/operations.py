"""Recording a document. A record is final: a corrected document is another document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bizchain.contracts.documents.keys import DOCUMENT
from bizchain.contracts.documents.queries import document_of
from bizchain.contracts.documents.types import Document
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.crypto.digest import DIGEST_BYTES
from common.errors import CommonReason, Refused
from common.ledger.chain import Context, Rule
from common.ledger.identity import check_identifier

__all__ = ["OPERATIONS"]

SEALED_BYTES_MAX = 32 * 1024
SEALED_KEY_BYTES_MAX = 1024
SUBJECT_CHARACTERS_MAX = 100

_KIND = re.compile(r"[A-Za-z]{3,40}\Z")


def check_record_document(context: Context, operation: pb.RecordDocument) -> Document:
    """The document to keep under the sender's own id for it."""
    check_identifier(operation.document_id, "document id", long=True)
    if _KIND.match(operation.kind) is None:
        raise Refused(CommonReason.INVALID_ARGUMENT, "kind is the root element's name")
    if len(operation.commitment) != DIGEST_BYTES:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a commitment has 32 bytes")
    if (
        not 0 < len(operation.sealed_key_data) <= SEALED_BYTES_MAX
        or not 0 < len(operation.sealed_content_key) <= SEALED_KEY_BYTES_MAX
    ):
        raise Refused(CommonReason.INVALID_ARGUMENT, "sealed parts are there, and within limits")
    if len(operation.subject) > SUBJECT_CHARACTERS_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a subject has at most 100 characters")
    if document_of(context.state, context.sender, operation.document_id) is not None:
        raise Refused(
            BusinessReason.DOCUMENT_EXISTS, f"there is a document {operation.document_id}"
        )
    return Document(
        operation.document_id,
        context.sender,
        operation.kind,
        operation.commitment,
        operation.sealed_key_data,
        operation.sealed_content_key,
        operation.subject,
        context.time_unix_ms,
    )


def apply_record_document(context: Context, _: pb.RecordDocument, document: Document) -> None:
    """Keep the document."""
    key = DOCUMENT.key(document.owner, document.document_id)
    context.state.put(DOCUMENT, key, document)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "record_document": Rule(pb.RecordDocument, check_record_document, apply_record_document),
}
