"""Secrets at rest and documents: sealed bytes, commitments, and content keys for named readers.

`seal` is AES-256-GCM: only who holds the 32-byte key can open the bytes, and only under the same
*context*, the bytes that say what is sealed and where it belongs (a document id, a transfer id), so
that sealed bytes moved to another place do not open there.

A document goes on a ledger as `commit(salt, document)`: 32 bytes that bind it and, with a random
salt, tell nothing of it. The document itself is sealed under a fresh content key, and that key is
sealed to each reader's X25519 public key by HPKE (RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256),
HKDF-SHA256, AES-256-GCM):

    content_key, nonce, salt = random_bytes(32), random_bytes(12), random_bytes(32)
    commitment = commit(salt, document)
    sealed = seal(content_key, document, context, nonce)
    for_reader = seal_to(reader.public_key, content_key, context)

    unseal(open_as(reader, for_reader, context), sealed, context) == document

Rules: a nonce is used once under a key; whoever opens a document checks it against its commitment
(AES-GCM alone does not bind a key to one plaintext). Keys, nonces and salts come through the one
random port. HPKE draws its own ephemeral key from the operating system: `seal_to` never gives the
same bytes twice, so it belongs to clients and never to replicated code.
"""

from __future__ import annotations

from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from common.crypto.digest import Tag, tagged
from common.crypto.signing import RandomBytes
from common.errors import CommonReason, Refused

__all__ = [
    "KEY_BYTES",
    "NONCE_BYTES",
    "PLAINTEXT_BYTES_MAX",
    "SALT_BYTES",
    "ReaderKey",
    "SealBroken",
    "commit",
    "open_as",
    "seal",
    "seal_to",
    "unseal",
]

KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 32
TAG_BYTES = 16
ENCAPSULATED_BYTES = 32
PLAINTEXT_BYTES_MAX = 16 * 1024 * 1024
CONTEXT_BYTES_MAX = 1024

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class SealBroken(Refused):
    """The bytes do not open: another key, another context, or not the bytes that were sealed."""

    def __init__(self, message: str) -> None:
        super().__init__(CommonReason.MALFORMED, message)


class ReaderKey:
    """The X25519 private key of one who may read documents. It never shows its secret."""

    __slots__ = ("_private", "public_key")

    def __init__(self, private_bytes: bytes) -> None:
        _check_length("a reader's private key", private_bytes, KEY_BYTES)
        self._private = X25519PrivateKey.from_private_bytes(private_bytes)
        self.public_key = self._private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, random_bytes: RandomBytes) -> ReaderKey:
        """A new key from the given random source."""
        return cls(random_bytes(KEY_BYTES))

    @property
    def private_bytes(self) -> bytes:
        """The 32 secret bytes, for storing the key. Handle as the key itself."""
        return self._private.private_bytes_raw()

    def __repr__(self) -> str:
        return f"ReaderKey(public_key={self.public_key.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a reader's key is never pickled or copied")


def commit(salt: bytes, document: bytes) -> bytes:
    """The 32-byte commitment to a document. `salt` is 32 random bytes, fresh for each document."""
    _check_length("a salt", salt, SALT_BYTES)
    return tagged(Tag.DOCUMENT, salt, document)


def seal(key: bytes, plaintext: bytes, context: bytes, nonce: bytes) -> bytes:
    """The sealed bytes: nonce (12) | ciphertext | tag (16). The nonce is never reused with the key.

    Raises `Refused`: INVALID_ARGUMENT for wrong lengths of key, nonce or context (1 to 1,024
    bytes), TOO_LARGE for a plaintext over 16 MiB.
    """
    _check_length("a sealing key", key, KEY_BYTES)
    _check_length("a nonce", nonce, NONCE_BYTES)
    _check_context(context)
    if len(plaintext) > PLAINTEXT_BYTES_MAX:
        raise Refused(CommonReason.TOO_LARGE, f"at most {PLAINTEXT_BYTES_MAX} bytes are sealed")
    return nonce + AESGCM(key).encrypt(nonce, plaintext, context)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """The plaintext of what `seal` gave for this key and context.

    Raises `SealBroken` for anything else, `Refused(INVALID_ARGUMENT)` for a key or context of a
    wrong length, `Refused(TOO_LARGE)` for more bytes than `seal` makes.
    """
    _check_length("a sealing key", key, KEY_BYTES)
    _check_context(context)
    if len(sealed) > NONCE_BYTES + PLAINTEXT_BYTES_MAX + TAG_BYTES:
        raise Refused(CommonReason.TOO_LARGE, "the sealed bytes are too many")
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise SealBroken("the sealed bytes are cut short")
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
    except InvalidTag:
        raise SealBroken("the sealed bytes do not open with this key and context") from None


def seal_to(reader_public_key: bytes, content_key: bytes, context: bytes) -> bytes:
    """The content key, sealed to one reader: encapsulated key (32) | ciphertext (32) | tag (16).

    Raises `Refused(INVALID_ARGUMENT)` for wrong lengths, and for a public key of small order, with
    which the seal would hold back nobody.
    """
    _check_length("a reader's public key", reader_public_key, KEY_BYTES)
    _check_length("a content key", content_key, KEY_BYTES)
    _check_context(context)
    try:
        reader = X25519PublicKey.from_public_bytes(reader_public_key)
        return _SUITE.encrypt(content_key, reader, info=context)
    except ValueError as error:
        message = f"the reader's public key is unfit: {error}"
        raise Refused(CommonReason.INVALID_ARGUMENT, message) from None


def open_as(reader: ReaderKey, sealed: bytes, context: bytes) -> bytes:
    """The content key that `seal_to` sealed to this reader under this context.

    Raises `SealBroken` for anything else, `Refused(INVALID_ARGUMENT)` for a context of a wrong
    length.
    """
    _check_context(context)
    if len(sealed) != ENCAPSULATED_BYTES + KEY_BYTES + TAG_BYTES:
        raise SealBroken("a sealed content key has another length")
    try:
        return _SUITE.decrypt(sealed, reader._private, info=context)  # noqa: SLF001 (its only user)
    except InvalidTag:
        raise SealBroken("the content key is not sealed to this reader and context") from None


def _check_context(context: bytes) -> None:
    if not 0 < len(context) <= CONTEXT_BYTES_MAX:
        message = f"a context is 1 to {CONTEXT_BYTES_MAX} bytes"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)


def _check_length(what: str, data: bytes, size: int) -> None:
    if len(data) != size:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"{what} is {size} bytes")
