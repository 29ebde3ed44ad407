"""Ed25519 signatures: one signer, one verifier, wherever a verdict matters.

Every signature of the product is made and judged here, by libsodium through PyNaCl and by nothing
else. Implementations of Ed25519 disagree about odd inputs (small-order keys, unreduced scalars; see
https://eprint.iacr.org/2020/1244), and two verifiers that disagree about one transaction are two
ledgers that fork. libsodium refuses small-order keys and points, unreduced keys and scalars.

    key = SigningKey(seed)                               # 32 secret bytes
    signature = sign(key, message)                       # 64 bytes, deterministic (RFC 8032)
    verify(key.public_key, message, signature) is True

The message is always a digest of `common.crypto.digest.tagged`, or starts with one: a signature
says what it is about. Nothing here reads a clock, a file or a random source; key files are
`common.crypto.keyfile`, remembered verdicts are `common.crypto.verifymemo`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeAlias

import nacl.bindings
import nacl.exceptions

from common.errors import CommonReason, Refused

__all__ = [
    "PUBLIC_KEY_BYTES",
    "SEED_BYTES",
    "SIGNATURE_BYTES",
    "PublicKey",
    "RandomBytes",
    "SigningKey",
    "Verify",
    "check_public_key",
    "sign",
    "verify",
]

SEED_BYTES = 32
PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64

PublicKey: TypeAlias = bytes
"""An Ed25519 public key: 32 raw bytes, the encoding of RFC 8032 section 5.1.5."""

RandomBytes: TypeAlias = Callable[[int], bytes]
"""The one port for secrets: that many random bytes, from the operating system outside of tests."""

Verify: TypeAlias = Callable[[PublicKey, bytes, bytes], bool]
"""(public key, message, signature) -> verdict: `verify` itself, or a `VerifyMemo` before it."""

# The encodings of the eight points of small order with a canonical y coordinate, sign bit cleared
# (https://eprint.iacr.org/2020/1244, table 1). Non-canonical ones fail the range check instead.
_SMALL_ORDER_KEYS = frozenset(
    bytes.fromhex(encoding)
    for encoding in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
)
_FIELD_PRIME = 2**255 - 19
_SIGN_BIT = 1 << 255


class SigningKey:
    """A private key, made from its 32-byte seed. It shows its public key and never its secret."""

    __slots__ = ("_expanded", "public_key")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise Refused(CommonReason.INVALID_ARGUMENT, f"a seed is {SEED_BYTES} bytes")
        public_key, self._expanded = nacl.bindings.crypto_sign_seed_keypair(seed)
        self.public_key: PublicKey = public_key

    @classmethod
    def generate(cls, random_bytes: RandomBytes) -> SigningKey:
        """A new key whose seed comes from the given random source."""
        return cls(random_bytes(SEED_BYTES))

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes, for storing the key. Handle as the key itself."""
        return self._expanded[:SEED_BYTES]

    def __repr__(self) -> str:
        return f"SigningKey(public_key={self.public_key.hex()})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signing key is never pickled or copied")


def sign(key: SigningKey, message: bytes) -> bytes:
    """The 64-byte signature of `message`. The same key and message always give the same bytes."""
    secret = key._expanded  # noqa: SLF001 (this is its only reader)
    signed: bytes = nacl.bindings.crypto_sign(message, secret)
    return signed[:SIGNATURE_BYTES]


def verify(public_key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is a signature of `message` by `public_key`. Never raises for bad bytes.

    False for a key or a signature of another length, a small-order or non-canonical key, and a
    signature whose scalar is not reduced (so a signature has no second valid form).
    """
    if len(public_key) != PUBLIC_KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        nacl.bindings.crypto_sign_open(signature + message, public_key)
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def check_public_key(public_key: PublicKey) -> None:
    """Raise `Refused(INVALID_ARGUMENT)` for bytes that could never verify a signature.

    For the door where keys are registered: wrong length, a coordinate outside the field, or one of
    the small-order points, for which anybody can write a signature that a lax verifier accepts.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"a public key is {PUBLIC_KEY_BYTES} bytes")
    coordinate = int.from_bytes(public_key, "little") & ~_SIGN_BIT
    if coordinate >= _FIELD_PRIME:
        raise Refused(CommonReason.INVALID_ARGUMENT, "the public key is not canonical")
    if coordinate.to_bytes(PUBLIC_KEY_BYTES, "little") in _SMALL_ORDER_KEYS:
        raise Refused(CommonReason.INVALID_ARGUMENT, "the public key is a point of small order")
