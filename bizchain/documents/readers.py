"""A document sealed to named readers: what is recorded, and the file that is stored off chain.

    reader = Reader("bank-1", "clerk", 1, public_key)        # registered on the chain
    sealed = seal_for_readers("acme", "invoice-7", data, committed, [reader, own], random_bytes)
    store.put(sealed.content)                                # under sealed.content_digest

    key = content_key_of(private_key, "acme", "invoice-7", sealed_content_key)
    committed = key_data_from(key, "acme", "invoice-7", sealed_key_data, key_data_root)
    data, salt = content_from(key, "acme", "invoice-7", store.get(content_digest), commitment)
    grant = grant_to(another, "acme", "invoice-7", key)      # by the owner, later

One fresh content key seals key data and file (AES-256-GCM, under contexts of their own); HPKE seals
the content key to each reader (RFC 9180: X25519, HKDF-SHA256, AES-256-GCM). Every context names
owner and document: what is moved to another document does not open there. The salt of the
commitment lies in the sealed file, so that whoever can read it can also show what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bizchain.documents.errors import DocumentReason
from bizchain.documents.keydata import CommittedKeyData
from common.crypto.digest import sha256
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
from common.errors import Refused

__all__ = [
    "Opened",
    "Reader",
    "ReaderSeal",
    "SealedForReaders",
    "content_from",
    "content_key_of",
    "grant_to",
    "key_data_from",
    "seal_for_readers",
]


class Reader(NamedTuple):
    """Who may read: a user, and the number and bytes of the reading key it has on the chain."""

    party_id: str
    user_id: str
    key_number: int
    public_key: bytes


class ReaderSeal(NamedTuple):
    """The content key, sealed to one reader."""

    party_id: str
    user_id: str
    key_number: int
    sealed_content_key: bytes


@dataclass(frozen=True, slots=True)
class SealedForReaders:
    """What `record_sealed_document` records, and `content`, which is stored off chain."""

    commitment: bytes
    key_data_root: bytes
    key_data_leaves: int
    invoice_hash: bytes
    sealed_key_data: bytes
    content: bytes
    readers: tuple[ReaderSeal, ...]

    @property
    def content_digest(self) -> bytes:
        """The name of the sealed file in a store."""
        return sha256(self.content)


class Opened(NamedTuple):
    """A file, and the salt with which anybody can check it against its commitment."""

    data: bytes
    salt: bytes


def seal_for_readers(
    owner: str,
    document_id: str,
    data: bytes,
    committed: CommittedKeyData,
    readers: Sequence[Reader],
    random_bytes: RandomBytes,
) -> SealedForReaders:
    """Seal a file and its key data to readers. Raises `Refused`: TOO_LARGE, INVALID_ARGUMENT."""
    content_key, salt = random_bytes(KEY_BYTES), random_bytes(SALT_BYTES)
    key_data = seal(
        content_key,
        committed.encoded(),
        _context("key-data", owner, document_id),
        random_bytes(NONCE_BYTES),
    )
    content = seal(
        content_key, salt + data, _context("content", owner, document_id), random_bytes(NONCE_BYTES)
    )
    return SealedForReaders(
        commit(salt, data),
        committed.root,
        committed.leaf_count,
        committed.invoice_hash,
        key_data,
        content,
        tuple(grant_to(reader, owner, document_id, content_key) for reader in readers),
    )


def grant_to(reader: Reader, owner: str, document_id: str, content_key: bytes) -> ReaderSeal:
    """The content key of a document, sealed to one more reader."""
    sealed = seal_to(reader.public_key, content_key, _context("key", owner, document_id))
    return ReaderSeal(reader.party_id, reader.user_id, reader.key_number, sealed)


def content_key_of(
    reader: ReaderKey, owner: str, document_id: str, sealed_content_key: bytes
) -> bytes:
    """The content key, for a reader of the document. Raises `SealBroken` for anybody else."""
    return open_as(reader, sealed_content_key, _context("key", owner, document_id))


def key_data_from(
    content_key: bytes, owner: str, document_id: str, sealed_key_data: bytes, root: bytes
) -> CommittedKeyData:
    """The key data of a document. Raises `SealBroken`, and `Refused(STORED_DOCUMENT_DAMAGED)` where
    they are not those it commits to.
    """
    context = _context("key-data", owner, document_id)
    committed = CommittedKeyData.decoded(unseal(content_key, sealed_key_data, context))
    if committed.root != root:
        raise _damaged(owner, document_id, "its key data are not those it commits to")
    return committed


def content_from(
    content_key: bytes, owner: str, document_id: str, sealed_content: bytes, commitment: bytes
) -> Opened:
    """The file. Raises `SealBroken`, and `Refused(STORED_DOCUMENT_DAMAGED)` where it is not the one
    that was recorded.
    """
    plain = unseal(content_key, sealed_content, _context("content", owner, document_id))
    opened = Opened(plain[SALT_BYTES:], plain[:SALT_BYTES])
    if len(plain) < SALT_BYTES or commit(opened.salt, opened.data) != commitment:
        raise _damaged(owner, document_id, "the file is not the one that was recorded")
    return opened


def _context(what: str, owner: str, document_id: str) -> bytes:
    return f"sealed-document/{what}/{owner}/{document_id}".encode()


def _damaged(owner: str, document_id: str, message: str) -> Refused:
    return Refused(
        DocumentReason.STORED_DOCUMENT_DAMAGED, f"document {document_id} of {owner}: {message}"
    )
