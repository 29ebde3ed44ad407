"""Sealed bytes, commitments and readers' keys: `common.crypto.sealing`."""

from __future__ import annotations

import copy
import hmac
import pickle
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from hypothesis import given
from hypothesis import strategies as st

from common.crypto import sealing
from common.crypto.digest import Tag, tagged
from common.crypto.sealing import (
    PLAINTEXT_BYTES_MAX,
    ReaderKey,
    SealBroken,
    commit,
    open_as,
    seal,
    seal_to,
    unseal,
)
from common.errors import CommonReason, Refused

KEY = bytes(range(32))
NONCE = bytes(range(12))
CONTEXT = b"document/1"
READER = ReaderKey(b"\x11" * 32)
OTHER = ReaderKey(b"\x22" * 32)

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

# Points of small order: https://cr.yp.to/ecdh.html, "How do I validate Curve25519 public keys?"
SMALL_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ec" + "ff" * 30 + "7f"),
]


def test_published_vector() -> None:
    """Sealing is AES-256-GCM: test case 16 of McGrew and Viega's specification of GCM."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    plaintext = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    context = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    assert seal(key, plaintext, context, nonce).hex() == (
        "cafebabefacedbaddecaf888"
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )


@given(st.binary(max_size=100), st.binary(min_size=1, max_size=20), st.data())
def test_sealed_bytes_open_only_as_they_were_sealed(
    plaintext: bytes, context: bytes, data: st.DataObject
) -> None:
    """Another key, context or any changed, missing or added byte does not open."""
    sealed = seal(KEY, plaintext, context, NONCE)
    assert unseal(KEY, sealed, context) == plaintext
    assert len(sealed) == len(plaintext) + 28
    place = data.draw(st.integers(0, len(sealed) - 1))
    changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
    broken(lambda: unseal(KEY, changed, context))
    broken(lambda: unseal(KEY, sealed[:place], context))
    broken(lambda: unseal(KEY, sealed + b"\0", context))
    broken(lambda: unseal(KEY, sealed, context + b"\0"))
    broken(lambda: unseal(bytes(32), sealed, context))


@given(st.binary(min_size=1, max_size=20), st.integers(0, 79))
def test_a_content_key_opens_only_for_its_reader(context: bytes, place: int) -> None:
    """Another reader, context or any changed, missing or added byte does not open."""
    sealed = seal_to(READER.public_key, KEY, context)
    assert open_as(READER, sealed, context) == KEY
    changed = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
    broken(lambda: open_as(READER, changed, context))
    broken(lambda: open_as(READER, sealed[:place], context))
    broken(lambda: open_as(READER, sealed + b"\0", context))
    broken(lambda: open_as(READER, sealed, context + b"\0"))
    broken(lambda: open_as(OTHER, sealed, context))
    assert seal_to(READER.public_key, KEY, context) != sealed


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_only_a_key_is_taken_for_a_content_key(size: int) -> None:
    """Bytes of another length, well sealed to the reader, are no content key."""
    reader = X25519PublicKey.from_public_bytes(READER.public_key)
    sealed = SUITE.encrypt(bytes(size), reader, info=CONTEXT)
    broken(lambda: open_as(READER, sealed, CONTEXT))


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_an_encapsulated_key_of_small_order_does_not_open(point: bytes) -> None:
    """A sender's point that makes the shared secret zero is no error but a broken seal."""
    broken(lambda: open_as(READER, point + bytes(48), CONTEXT))


def test_the_seal_to_a_reader_is_rfc_9180() -> None:
    """A sealed content key opens by the steps of RFC 9180, written out."""
    sealed = seal_to(READER.public_key, KEY, CONTEXT)
    encapsulated, ciphertext = sealed[:32], sealed[32:]
    private = X25519PrivateKey.from_private_bytes(READER.private_bytes)
    shared = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    kem, hpke = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"
    secret = expand(
        extract(b"", kem, b"eae_prk", shared),
        kem,
        b"shared_secret",
        encapsulated + READER.public_key,
        32,
    )
    schedule = (
        b"\x00"
        + extract(b"", hpke, b"psk_id_hash", b"")
        + extract(b"", hpke, b"info_hash", CONTEXT)
    )
    secret = extract(secret, hpke, b"secret", b"")
    key = expand(secret, hpke, b"key", schedule, 32)
    nonce = expand(secret, hpke, b"base_nonce", schedule, 12)
    assert AESGCM(key).decrypt(nonce, ciphertext, b"") == KEY


def extract(salt: bytes, suite: bytes, label: bytes, material: bytes) -> bytes:
    """`LabeledExtract` of RFC 9180 section 4."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + material, "sha256")


def expand(key: bytes, suite: bytes, label: bytes, info: bytes, size: int) -> bytes:
    """`LabeledExpand` of RFC 9180 section 4, for at most one block."""
    labelled = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, labelled + b"\x01", "sha256")[:size]


@pytest.mark.parametrize("public_key", SMALL_ORDER)
def test_a_public_key_of_small_order_is_refused(public_key: bytes) -> None:
    """A key with which anybody could open the seal is not sealed to."""
    assert reason(lambda: seal_to(public_key, KEY, CONTEXT)) is CommonReason.INVALID_ARGUMENT


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_commitment_binds_salt_and_document(document: bytes, other: bytes) -> None:
    """Another salt or document has another commitment; the digest is the document's domain."""
    commitment = commit(KEY, document)
    assert commitment == tagged(Tag.DOCUMENT, KEY + document)
    assert (commit(KEY, other) == commitment) is (other == document)
    assert commit(bytes(32), document) != commitment


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_wrong_lengths_are_refused(data: bytes, short: bytes) -> None:
    """Keys, nonces, salts and contexts of another length never reach the cipher."""
    actions: list[Callable[[], object]] = [
        lambda: seal(KEY, data, b"", NONCE),
        lambda: seal(KEY, data, bytes(1025), NONCE),
        lambda: unseal(KEY, data, b""),
        lambda: seal_to(READER.public_key, KEY, b""),
        lambda: open_as(READER, data, b""),
    ]
    if len(short) != 32:
        actions += [
            lambda: seal(short, data, CONTEXT, NONCE),
            lambda: unseal(short, data, CONTEXT),
            lambda: seal_to(short, KEY, CONTEXT),
            lambda: seal_to(READER.public_key, short, CONTEXT),
            lambda: commit(short, data),
            lambda: ReaderKey(short),
        ]
    if len(short) != 12:
        actions.append(lambda: seal(KEY, data, CONTEXT, short))
    for action in actions:
        assert reason(action) is CommonReason.INVALID_ARGUMENT
    broken(lambda: open_as(READER, data, CONTEXT))
    broken(lambda: unseal(KEY, data, CONTEXT))


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds on both sides, to the byte."""
    assert PLAINTEXT_BYTES_MAX == 16 * 1024 * 1024
    monkeypatch.setattr(sealing, "PLAINTEXT_BYTES_MAX", 64)
    largest = seal(KEY, bytes(64), CONTEXT, NONCE)
    assert unseal(KEY, largest, CONTEXT) == bytes(64)
    assert reason(lambda: seal(KEY, bytes(65), CONTEXT, NONCE)) is CommonReason.TOO_LARGE
    assert reason(lambda: unseal(KEY, largest + b"\0", CONTEXT)) is CommonReason.TOO_LARGE


def test_a_reader_key_never_shows_its_secret() -> None:
    """Neither printing nor copying a key gives it away; it comes from the injected source."""
    key = ReaderKey.generate(lambda size: b"\xa5" * size)
    assert key.private_bytes == b"\xa5" * 32
    assert "a5" * 8 not in f"{key} {key!r}"
    assert key.public_key.hex() in repr(key)
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copier(key)


def broken(action: Callable[[], object]) -> None:
    with pytest.raises(SealBroken) as caught:
        action()
    assert caught.value.reason is CommonReason.MALFORMED


def reason(action: Callable[[], object]) -> object:
    with pytest.raises(Refused) as caught:
        action()
    return caught.value.reason
