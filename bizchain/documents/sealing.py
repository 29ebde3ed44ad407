"""A document as it goes on the books: a salted commitment, and key data for the reader set alone.

The books never see the document. They keep `commit(salt, document)`, which binds it and tells
nothing; its key data (parties, totals, lines), sealed under a fresh content key; and that key,
sealed to the reader set. Who shows the document later shows the salt with it.

    sealed = seal_document(reader_public_key, "acme", "invoice-7", data, random_bytes)
    open_key_data(reader, "acme", "invoice-7", sealed.sealed_key_data, sealed.sealed_content_key)
    is_document(sealed.commitment, sealed.salt, data)

The seals are bound to owner and document id: sealed bytes moved to another document do not open.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from bizchain.documents.records import Document
from bizchain.documents.ubl import read_ubl
from common.crypto.sealing import (
    KEY_BYTES,
    NONCE_BYTES,
    SALT_BYTES,
    ReaderKey,
    commit,
    open_as,
    seal,
    seal_to,
    unseal,
)
from common.crypto.signing import RandomBytes

__all__ = ["SealedDocument", "is_document", "key_data_of", "open_key_data", "seal_document"]

LINES_TOLD_MAX = 100
"""Key data must fit a transaction: of a longer document the first lines are told, and the count."""


@dataclass(frozen=True, slots=True)
class SealedDocument:
    """What is recorded, and the 32-byte salt, which is not."""

    commitment: bytes
    sealed_key_data: bytes
    sealed_content_key: bytes
    salt: bytes = field(repr=False)


def seal_document(
    reader_public_key: bytes,
    owner: str,
    document_id: str,
    data: bytes,
    random_bytes: RandomBytes,
) -> SealedDocument:
    """Seal a UBL document for the books. Refused: as `read_ubl`, for bytes that are none."""
    context = _context(owner, document_id)
    salt, content_key = random_bytes(SALT_BYTES), random_bytes(KEY_BYTES)
    key_data = key_data_of(read_ubl(data))
    return SealedDocument(
        commit(salt, data),
        seal(content_key, key_data, context, random_bytes(NONCE_BYTES)),
        seal_to(reader_public_key, content_key, context),
        salt,
    )


def open_key_data(
    reader: ReaderKey,
    owner: str,
    document_id: str,
    sealed_key_data: bytes,
    sealed_content_key: bytes,
) -> dict[str, object]:
    """The key data of a recorded document, for a reader. Raises `SealBroken` for anything else."""
    context = _context(owner, document_id)
    content_key = open_as(reader, sealed_content_key, context)
    opened: dict[str, object] = json.loads(unseal(content_key, sealed_key_data, context))
    return opened


def is_document(commitment: bytes, salt: bytes, data: bytes) -> bool:
    """Whether `data` is the document a commitment was made to."""
    return commit(salt, data) == commitment


def key_data_of(document: Document) -> bytes:
    """The key data of a document as JSON with sorted names: amounts and quantities are integers."""
    record = {
        "kind": document.kind,
        "id": document.id,
        "issue_date": document.issue_date,
        "sha256": document.sha256.hex(),
        "seller": document.seller.name if document.seller else None,
        "buyer": document.buyer.name if document.buyer else None,
        "currency": document.currency,
        "payable_minor": document.totals.payable_minor,
        "lines_total": len(document.lines),
        "lines": [
            {
                "item": line.item.name,
                "quantity": line.quantity.base if line.quantity else None,
                "unit": line.quantity.base_unit if line.quantity else None,
                "amount_minor": line.amount_minor,
            }
            for line in document.lines[:LINES_TOLD_MAX]
        ],
    }
    return json.dumps(record, ensure_ascii=False, sort_keys=True).encode()


def _context(owner: str, document_id: str) -> bytes:
    return f"document/{owner}/{document_id}".encode()
