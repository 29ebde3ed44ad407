"""Recording documents, and saying who may read them. A record is final: a corrected document is
another document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bizchain.contracts.documents.keys import (
    DOCUMENT,
    INVOICE_NAME,
    READING_KEY,
    SEALED_DOCUMENT,
    SEALED_KEY,
)
from bizchain.contracts.documents.queries import (
    document_of,
    invoice_named,
    reading_key_of,
    sealed_document_of,
    sealed_keys_of,
)
from bizchain.contracts.documents.types import (
    HEADER_FIELDS,
    LEAVES_MAX,
    READERS_MAX,
    Document,
    InvoiceName,
    ReadingKey,
    SealedKey,
    SealedRecord,
)
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.crypto.digest import DIGEST_BYTES
from common.errors import CommonReason, Refused
from common.ledger.chain import Context, Rule
from common.ledger.identity import active_party, check_identifier, party_of

__all__ = ["OPERATIONS"]

SEALED_BYTES_MAX = 32 * 1024
SEALED_KEY_BYTES_MAX = 1024
SUBJECT_CHARACTERS_MAX = 100
READING_KEY_BYTES = 32
SEALED_TO_READER_BYTES = 80
CONTENT_BYTES_MAX = 16 * 1024 * 1024
GRANTS_MAX = 32
"""Of one operation."""
INVOICE = "Invoice"
"""The one kind that nobody may record twice."""

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


def check_register_reading_key(context: Context, operation: pb.RegisterReadingKey) -> ReadingKey:
    """The signing user's next reading key."""
    if len(operation.public_key) != READING_KEY_BYTES or not any(operation.public_key):
        raise Refused(CommonReason.INVALID_ARGUMENT, "a reading key has 32 bytes, not all zero")
    user = _signing_user(context)
    known = reading_key_of(context.state, context.sender, user)
    if known is not None and known.public_key == operation.public_key:
        raise Refused(
            BusinessReason.READING_KEY_EXISTS, f"{context.sender}/{user} reads with this key"
        )
    number = 1 if known is None else known.number + 1
    return ReadingKey(context.sender, user, operation.public_key, number, context.time_unix_ms)


def apply_register_reading_key(context: Context, _: pb.RegisterReadingKey, key: ReadingKey) -> None:
    """Keep the key. What was sealed to an earlier one opens with that one only."""
    context.state.put(READING_KEY, READING_KEY.key(key.party, key.user), key)


def check_record_sealed_document(
    context: Context, operation: pb.RecordSealedDocument
) -> tuple[SealedRecord, Sequence[SealedKey]]:
    """The record to keep under the sender's own id for it, and the keys of its readers."""
    check_identifier(operation.document_id, "document id", long=True)
    if _KIND.match(operation.kind) is None:
        raise Refused(CommonReason.INVALID_ARGUMENT, "kind is the root element's name")
    hashes = [operation.commitment, operation.key_data_root, operation.content_digest]
    if any(len(one) != DIGEST_BYTES for one in hashes):
        raise Refused(CommonReason.INVALID_ARGUMENT, "commitment, root and digest have 32 bytes")
    if len(operation.invoice_hash) != (DIGEST_BYTES if operation.kind == INVOICE else 0):
        raise Refused(CommonReason.INVALID_ARGUMENT, "an invoice, and nothing else, has its hash")
    if not len(HEADER_FIELDS) <= operation.key_data_leaves <= LEAVES_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, "key data have a header and 0 to 100 lines")
    if (
        not 0 < len(operation.sealed_key_data) <= SEALED_BYTES_MAX
        or not 0 < operation.content_bytes <= CONTENT_BYTES_MAX
        or len(operation.subject) > SUBJECT_CHARACTERS_MAX
    ):
        raise Refused(CommonReason.INVALID_ARGUMENT, "sealed parts and subject are within limits")
    _check_new(context, operation)
    keys = _granted(context, operation.readers, {})
    return SealedRecord(
        operation.document_id,
        context.sender,
        operation.kind,
        operation.commitment,
        operation.key_data_root,
        operation.key_data_leaves,
        operation.sealed_key_data,
        operation.content_digest,
        operation.content_bytes,
        operation.invoice_hash,
        operation.subject,
        context.time_unix_ms,
    ), keys


def apply_record_sealed_document(
    context: Context, _: pb.RecordSealedDocument, plan: tuple[SealedRecord, Sequence[SealedKey]]
) -> None:
    """Keep the record, the keys and, of an invoice, its hash."""
    record, keys = plan
    key = SEALED_DOCUMENT.key(record.owner, record.document_id)
    context.state.put(SEALED_DOCUMENT, key, record)
    if record.invoice_hash:
        name = INVOICE_NAME.key(record.owner, record.invoice_hash)
        context.state.put(INVOICE_NAME, name, InvoiceName(record.document_id))
    _put_keys(context, record.document_id, keys)


def check_grant_reading(context: Context, operation: pb.GrantReading) -> Sequence[SealedKey]:
    """The keys of further readers of a document of the sender's own."""
    if sealed_document_of(context.state, context.sender, operation.document_id) is None:
        message = f"{context.sender} has no sealed document {operation.document_id[:64]}"
        raise Refused(CommonReason.NOT_FOUND, message)
    known = sealed_keys_of(context.state, context.sender, operation.document_id)
    numbers = {(key.party, key.user): key.key_number for key in known}
    return _granted(context, operation.readers, numbers)


def apply_grant_reading(
    context: Context, operation: pb.GrantReading, keys: Sequence[SealedKey]
) -> None:
    """Keep the keys."""
    _put_keys(context, operation.document_id, keys)


# --- parts --------------------------------------------------------------------------------------


def _signing_user(context: Context) -> str:
    party = party_of(context.state, context.sender)
    assert party is not None, "the signer was found in it"
    return next(user.user_id for user in party.users if user.public_key == context.public_key)


def _check_new(context: Context, operation: pb.RecordSealedDocument) -> None:
    state, owner, document_id = context.state, context.sender, operation.document_id
    if (
        sealed_document_of(state, owner, document_id) is not None
        or document_of(state, owner, document_id) is not None
    ):
        raise Refused(BusinessReason.DOCUMENT_EXISTS, f"there is a document {document_id}")
    if operation.invoice_hash:
        named = invoice_named(state, owner, operation.invoice_hash)
        if named is not None:
            raise Refused(
                BusinessReason.INVOICE_EXISTS, f"{owner} recorded this invoice as {named}"
            )


def _granted(
    context: Context, grants: Sequence[pb.SealedKeyGrant], known: Mapping[tuple[str, str], int]
) -> Sequence[SealedKey]:
    """The rows of new readers. `known` is under which of its keys each reader can read already."""
    if not 1 <= len(grants) <= GRANTS_MAX:
        message = f"1 to {GRANTS_MAX} readers are named at once"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)
    readers = {(grant.party_id, grant.user_id) for grant in grants}
    if len(readers) != len(grants):
        raise Refused(CommonReason.INVALID_ARGUMENT, "each reader is named once")
    if len(readers | known.keys()) > READERS_MAX:
        message = f"a document has at most {READERS_MAX} readers"
        raise Refused(BusinessReason.TOO_MANY_READERS, message)
    for grant in grants:
        _check_grant(context, grant, known.get((grant.party_id, grant.user_id)))
    return [
        SealedKey(
            grant.party_id,
            grant.user_id,
            grant.key_number,
            grant.sealed_content_key,
            context.time_unix_ms,
        )
        for grant in grants
    ]


def _check_grant(context: Context, grant: pb.SealedKeyGrant, reads_with: int | None) -> None:
    if len(grant.sealed_content_key) != SEALED_TO_READER_BYTES:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a key sealed to a reader has 80 bytes")
    check_identifier(grant.party_id, "party id")
    check_identifier(grant.user_id, "user id")
    active_party(context.state, grant.party_id)
    reader = f"{grant.party_id}/{grant.user_id}"
    key = reading_key_of(context.state, grant.party_id, grant.user_id)
    if key is None or key.number != grant.key_number:
        newest = "none" if key is None else f"number {key.number}"
        message = f"{reader} reads with another key than number {grant.key_number}: {newest}"
        raise Refused(BusinessReason.READING_KEY_UNKNOWN, message)
    if reads_with == grant.key_number:
        raise Refused(BusinessReason.READER_EXISTS, f"{reader} reads this document already")


def _put_keys(context: Context, document_id: str, keys: Sequence[SealedKey]) -> None:
    for row in keys:
        place = SEALED_KEY.key(context.sender, document_id, row.party, row.user)
        context.state.put(SEALED_KEY, place, row)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "record_document": Rule(pb.RecordDocument, check_record_document, apply_record_document),
    "register_reading_key": Rule(
        pb.RegisterReadingKey, check_register_reading_key, apply_register_reading_key
    ),
    "record_sealed_document": Rule(
        pb.RecordSealedDocument, check_record_sealed_document, apply_record_sealed_document
    ),
    "grant_reading": Rule(pb.GrantReading, check_grant_reading, apply_grant_reading),
}
