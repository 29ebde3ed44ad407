"""Reads of documents, and what an opening of key data says once it leads to the commitment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bizchain.contracts.documents.keys import (
    DOCUMENT,
    INVOICE_NAME,
    READING_KEY,
    SEALED_DOCUMENT,
    SEALED_KEY,
)
from bizchain.contracts.documents.types import (
    HEADER_FIELDS,
    LEAVES_MAX,
    Document,
    KeyData,
    KeyField,
    KeyLine,
    ReadingKey,
    SealedKey,
    SealedRecord,
)
from bizchain.reasons import BusinessReason
from common.amount import check_amount
from common.crypto.digest import DIGEST_BYTES, Tag, tagged
from common.crypto.merkle import MerkleTree
from common.encoding import decode, encode
from common.errors import CommonReason, Refused
from common.ledger.state import Reader

__all__ = [
    "SALT_BYTES",
    "Leaf",
    "document_of",
    "invoice_hash",
    "invoice_named",
    "key_data_root",
    "leaf_digest",
    "opened",
    "reading_key_of",
    "sealed_document_of",
    "sealed_keys_of",
]

SALT_BYTES = 32
TEXT_CHARACTERS_MAX = 200
ITEMS_MAX = 4


class Leaf(NamedTuple):
    """One leaf as it is shown: opened (salt and canonical bytes), or hidden behind its digest."""

    salt: bytes
    data: bytes
    digest: bytes


def document_of(state: Reader, owner: str, document_id: str) -> Document | None:
    """The document a party recorded under this id, or None."""
    return state.get(DOCUMENT, DOCUMENT.key(owner, document_id))


def sealed_document_of(state: Reader, owner: str, document_id: str) -> SealedRecord | None:
    """The sealed document a party recorded under this id, or None."""
    return state.get(SEALED_DOCUMENT, SEALED_DOCUMENT.key(owner, document_id))


def reading_key_of(state: Reader, party: str, user: str) -> ReadingKey | None:
    """The newest reading key of a user, or None."""
    return state.get(READING_KEY, READING_KEY.key(party, user))


def sealed_keys_of(state: Reader, owner: str, document_id: str) -> Sequence[SealedKey]:
    """The sealed keys of a document, in order of their readers; at most `READERS_MAX`."""
    return [row for _, row in state.scan(SEALED_KEY, owner, document_id, "")]


def invoice_named(state: Reader, seller: str, hashed: bytes) -> str | None:
    """Under which document id a seller recorded the invoice with this hash, or None."""
    row = state.get(INVOICE_NAME, INVOICE_NAME.key(seller, hashed))
    return None if row is None else row.document_id


# --- key data -----------------------------------------------------------------------------------


def leaf_digest(salt: bytes, data: bytes) -> bytes:
    """What stands in the tree for a field: it binds it, and tells nothing without the salt."""
    return tagged(Tag.KEY_DATA_LEAF, salt, data)


def key_data_root(digests: Sequence[bytes]) -> bytes:
    """The commitment to key data: the RFC 9162 tree over the digests of its leaves."""
    return MerkleTree(digests).root


def invoice_hash(
    seller: str, number: str, issue_date: str, payable_minor: int, currency: str
) -> bytes:
    """What makes two invoices the same one. Not salted: the second must be seen to be the first."""
    return tagged(Tag.INVOICE, encode((seller, number, issue_date, payable_minor, currency)))


def opened(record: SealedRecord, leaves: Sequence[Leaf]) -> KeyData:
    """The key data in `leaves`, which are all leaves of `record`, each opened or hidden.

    Lines are all open, header fields may be hidden. Raises `Refused`: KEY_DATA_MISMATCH where the
    leaves do not lead to the commitment, KEY_DATA_HIDDEN for a hidden line or count of lines;
    MALFORMED, INVALID_ARGUMENT and AMOUNT_OUT_OF_RANGE for fields nobody could have meant.
    """
    if len(leaves) != record.key_data_leaves or len(leaves) > LEAVES_MAX:
        raise _mismatch(record, f"{record.key_data_leaves} leaves are committed to")
    if key_data_root([_digest(record, leaf) for leaf in leaves]) != record.key_data_root:
        raise _mismatch(record, "the leaves do not lead to the commitment")
    fields: dict[str, str | int] = {}
    for (name, kind), leaf in zip(HEADER_FIELDS.items(), leaves, strict=False):
        if leaf.data:
            field = decode(KeyField, leaf.data)
            if field.name != name or type(field.value) is not kind:
                raise _invalid(record, f"{name} is expected, as {kind.__name__}")
            fields[name] = _within(record, field.value)
    lines = leaves[len(HEADER_FIELDS) :]
    if "line_count" not in fields or not all(leaf.data for leaf in lines):
        message = f"the lines of {record.document_id} are hidden"
        raise Refused(BusinessReason.KEY_DATA_HIDDEN, message)
    if fields["line_count"] != len(lines):
        raise _invalid(record, f"{fields['line_count']} lines are counted, {len(lines)} are there")
    return KeyData(fields, tuple(_line(record, leaf.data) for leaf in lines))


def _digest(record: SealedRecord, leaf: Leaf) -> bytes:
    if leaf.data and len(leaf.salt) == SALT_BYTES and not leaf.digest:
        return leaf_digest(leaf.salt, leaf.data)
    if not leaf.data and not leaf.salt and len(leaf.digest) == DIGEST_BYTES:
        return leaf.digest
    raise _invalid(record, "a leaf is a salt of 32 bytes and a field, or a digest of 32 bytes")


def _line(record: SealedRecord, data: bytes) -> KeyLine:
    line = decode(KeyLine, data)
    for text in (line.number, line.unit, *line.items):
        _within(record, text)
    for value in (line.quantity, line.price_numerator, line.price_denominator, line.amount_minor):
        _within(record, value)
    if len(line.items) > ITEMS_MAX:
        raise _invalid(record, f"an item has at most {ITEMS_MAX} identifiers")
    return line


def _within(record: SealedRecord, value: str | int) -> str | int:
    if isinstance(value, int):
        return check_amount(value, "key data")
    if len(value) > TEXT_CHARACTERS_MAX:
        raise _invalid(record, f"a text has at most {TEXT_CHARACTERS_MAX} characters")
    return value


def _mismatch(record: SealedRecord, message: str) -> Refused:
    return Refused(BusinessReason.KEY_DATA_MISMATCH, f"{record.document_id}: {message}")


def _invalid(record: SealedRecord, message: str) -> Refused:
    return Refused(CommonReason.INVALID_ARGUMENT, f"{record.document_id}: {message}")
