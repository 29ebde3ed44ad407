"""The terms of a transfer: agreed, and hashed to its id, before anything is locked.

The terms hold only salted hashes of both legs: each chain is given the opening of its own leg and
never sees the other's. `hash_lock` is SHA-256 of a secret of exactly 32 random bytes, fresh for
each attempt.
"""

from __future__ import annotations

from common.crypto.digest import DIGEST_BYTES, Tag, sha256, tagged
from common.deadline import UNIX_MS_MAX
from common.encoding import Canonical, decode, encode
from common.errors import Refused, TransferReason

__all__ = [
    "TERMS_VERSION",
    "Mode",
    "Terms",
    "consent_digest",
    "decline_digest",
    "expire_digest",
    "leg_hash",
    "opens_lock",
    "read_terms",
    "transfer_id_of",
]

TERMS_VERSION = 1
TERMS_BYTES_MAX = 1024
SALT_BYTES = 32
SECRET_BYTES = 32


class Mode:
    """How the decider decides: in one step with the secret, or by reserving first."""

    EXPRESS = "express"
    TWO_STEP = "two-step"


class Terms(Canonical, frozen=True):
    """What both parties agree on. Binding: every field is part of the transfer's id."""

    version: int
    flow: str
    mode: str
    follower_chain: bytes
    decider_chain: bytes
    follower_leg_hash: bytes
    decider_leg_hash: bytes
    hash_lock: bytes
    secret_holder: str
    deadline_unix_ms: int
    salt: bytes


def transfer_id_of(terms: Terms) -> bytes:
    """The 32-byte id of a transfer."""
    return tagged(Tag.TRANSFER, encode(terms))


def leg_hash(leg: bytes, salt: bytes) -> bytes:
    """The salted hash of a canonical leg, as it stands in the terms."""
    return tagged(Tag.TRANSFER_LEG, salt, leg)


def opens_lock(secret: bytes, hash_lock: bytes) -> bool:
    """Whether `secret` is 32 bytes whose SHA-256 is the lock. The same code on both chains."""
    return len(secret) == SECRET_BYTES and sha256(secret) == hash_lock


def consent_digest(transfer_id: bytes, party: str) -> bytes:
    """What an owner of a leg signs: the id binds all terms."""
    return tagged(Tag.TRANSFER_CONSENT, transfer_id, party.encode())


def decline_digest(transfer_id: bytes, party: str) -> bytes:
    """What a party signs to decline a transfer."""
    return tagged(Tag.TRANSFER_DECLINE, transfer_id, party.encode())


def expire_digest(transfer_id: bytes, party: str) -> bytes:
    """What the secret holder signs so that an expired, unreserved transfer is aborted."""
    return tagged(Tag.TRANSFER_EXPIRE, transfer_id, party.encode())


def read_terms(data: bytes) -> Terms:
    """The terms in canonical bytes. Raises `Refused(TERMS_INVALID)` or `Malformed`."""
    if len(data) > TERMS_BYTES_MAX:
        raise _invalid("terms are larger than any can be")
    terms = decode(Terms, data)
    if terms.version != TERMS_VERSION:
        raise _invalid(f"terms version {terms.version} is unknown")
    if terms.mode not in {Mode.EXPRESS, Mode.TWO_STEP}:
        raise _invalid(f"mode {terms.mode!r} is unknown")
    hashes = (
        terms.follower_chain,
        terms.decider_chain,
        terms.follower_leg_hash,
        terms.decider_leg_hash,
        terms.hash_lock,
    )
    if any(len(value) != DIGEST_BYTES for value in hashes) or len(terms.salt) != SALT_BYTES:
        raise _invalid("hashes, chain ids and the salt have 32 bytes")
    if terms.follower_chain == terms.decider_chain:
        raise _invalid("follower and decider are two chains")
    if not 0 < terms.deadline_unix_ms <= UNIX_MS_MAX or not terms.secret_holder:
        raise _invalid("the deadline lies before the year 10000 and someone holds the secret")
    return terms


def _invalid(message: str) -> Refused:
    return Refused(TransferReason.TERMS_INVALID, message)
