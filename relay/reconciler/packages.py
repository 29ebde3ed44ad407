"""Packages at the door: judged on their own, merged with what came before.

A relay need not trust what it is handed, and a package that can never work is best refused at once:
the sizes, the terms, both leg hashes, the secret against the hash lock, and every signature over
the transfer's id. Whether a key belongs to its party is for the chains to say.

    terms = check_package(package, chain_ids)
    package = merge(earlier, package)
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from common.crypto.signing import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, verify
from common.errors import CommonReason, Refused, TransferReason
from common.transfer.checks import CONSENTS_MAX
from common.transfer.terms import (
    SALT_BYTES,
    Terms,
    consent_digest,
    decline_digest,
    leg_hash,
    opens_lock,
    read_terms,
    transfer_id_of,
)
from common.v1.transfer_pb2 import LegOpening, PartySignature
from relay.inputs import Consent, Opening, Package, Voice
from relay.v1.relay_service_pb2 import TransferPackage

__all__ = [
    "DEADLINE_AHEAD_MS_MAX",
    "check_begins",
    "check_deadline",
    "check_package",
    "merge",
    "package_from",
    "to_opening",
    "to_signature",
    "voice_of",
    "without_secret",
]

LEG_BYTES_MAX = 2 * 1024
DEADLINE_AHEAD_MS_MAX = 24 * 60 * 60 * 1000
"""A relay keeps a package, and a place for it, until its deadline."""
PARTY_CHARACTERS_MAX = 40


def package_from(message: TransferPackage) -> Package:
    """A package as it came over the wire; nothing is judged yet."""
    return Package(
        message.terms,
        _opening(message.follower_opening) if message.HasField("follower_opening") else None,
        _opening(message.decider_opening) if message.HasField("decider_opening") else None,
        tuple(_consent(one) for one in message.follower_consents),
        tuple(_consent(one) for one in message.decider_consents),
        _consent(message.decline) if message.HasField("decline") else None,
        message.secret,
    )


def check_package(package: Package, chain_ids: tuple[bytes, bytes]) -> Terms:
    """The terms of a package that may be carried between these two chains. Raises `Refused`.

    TERMS_INVALID, TERMS_OF_ANOTHER_CHAIN, LEG_MISMATCH, CONSENT_MISSING, SECRET_MISMATCH,
    TOO_LARGE, MALFORMED.
    """
    terms = read_terms(package.terms)
    if sorted((terms.follower_chain, terms.decider_chain)) != sorted(chain_ids):
        raise Refused(
            TransferReason.TERMS_OF_ANOTHER_CHAIN, "this relay does not carry between these chains"
        )
    _check_opening(package.follower_opening, terms.follower_leg_hash, "follower")
    _check_opening(package.decider_opening, terms.decider_leg_hash, "decider")
    transfer_id = transfer_id_of(terms)
    for consents in (package.follower_consents, package.decider_consents):
        if len(consents) > CONSENTS_MAX:
            raise Refused(CommonReason.TOO_LARGE, f"at most {CONSENTS_MAX} consents for a leg")
        for consent in consents:
            _check_signature(consent, transfer_id, consent_digest)
    if package.decline is not None:
        _check_signature(package.decline, transfer_id, decline_digest)
    if package.secret and not opens_lock(package.secret, terms.hash_lock):
        raise Refused(TransferReason.SECRET_MISMATCH, "the secret does not open the hash lock")
    return terms


def check_begins(package: Package) -> None:
    """Refuse to begin a transfer with less than its parties have of it.

    It begins with the follower's opening and the consent of an owner, or with a decline. Whatever
    it lacks besides may come later. Raises `Refused(INVALID_ARGUMENT)`.
    """
    consented = package.follower_consents or package.decider_consents
    if not ((package.follower_opening and consented) or package.decline):
        raise Refused(
            CommonReason.INVALID_ARGUMENT,
            "a new transfer is begun with the follower's opening and a consent, or with a decline",
        )


def check_deadline(terms: Terms, now_unix_ms: int, ahead_ms_max: int) -> None:
    """Refuse a transfer that would have to be kept for long, or that no chain would reserve.

    Raises `Refused(DEADLINE_TOO_FAR)`.
    """
    if terms.deadline_unix_ms > now_unix_ms + ahead_ms_max:
        raise Refused(
            TransferReason.DEADLINE_TOO_FAR,
            f"this relay takes a deadline at most {ahead_ms_max} ms ahead",
        )


def merge(earlier: Package, later: Package) -> Package:
    """The earlier package, with what the later one adds of that which its own hash proves.

    Signatures prove nothing by themselves: see `relay.reconciler.voices`.
    """
    return replace(
        earlier,
        follower_opening=earlier.follower_opening or later.follower_opening,
        decider_opening=earlier.decider_opening or later.decider_opening,
        secret=earlier.secret or later.secret,
    )


def voice_of(package: Package, caller: str) -> Voice:
    """What was signed in a package, as the voice of who handed it over."""
    return Voice(caller, package.follower_consents, package.decider_consents, package.decline)


def without_secret(package: Package) -> Package:
    """The package as it is kept once the transfer has ended."""
    return replace(package, secret=b"")


def to_opening(opening: Opening) -> LegOpening:
    """The opening as a message."""
    return LegOpening(leg=opening.leg, salt=opening.salt)


def to_signature(consent: Consent) -> PartySignature:
    """The signature as a message."""
    return PartySignature(
        party=consent.party, public_key=consent.public_key, signature=consent.signature
    )


def _opening(message: LegOpening) -> Opening:
    return Opening(message.leg, message.salt)


def _consent(message: PartySignature) -> Consent:
    return Consent(message.party, message.public_key, message.signature)


def _check_opening(opening: Opening | None, expected: bytes, role: str) -> None:
    if opening is None:
        return
    if len(opening.leg) > LEG_BYTES_MAX or len(opening.salt) != SALT_BYTES:
        raise Refused(TransferReason.LEG_MISMATCH, "a leg is short and its salt has 32 bytes")
    if leg_hash(opening.leg, opening.salt) != expected:
        raise Refused(TransferReason.LEG_MISMATCH, f"the opening is not of the {role}'s leg")


def _check_signature(
    consent: Consent, transfer_id: bytes, digest_of: Callable[[bytes, str], bytes]
) -> None:
    sizes = (len(consent.public_key), len(consent.signature))
    if len(consent.party) > PARTY_CHARACTERS_MAX or sizes != (PUBLIC_KEY_BYTES, SIGNATURE_BYTES):
        raise Refused(CommonReason.MALFORMED, "a signature names its party, its key and itself")
    digest = digest_of(transfer_id, consent.party)
    if not verify(consent.public_key, digest, consent.signature):
        raise Refused(
            TransferReason.CONSENT_MISSING, f"the signature of {consent.party} does not verify"
        )
