"""Packages at the door: each thing that can be wrong with one is refused; the rest is merged."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from common.encoding import decode, encode
from common.errors import CommonReason, Reason, Refused, TransferReason
from common.transfer.terms import Terms
from relay.agreement import consent, decline
from relay.reconciler.packages import (
    DEADLINE_AHEAD_MS_MAX,
    check_deadline,
    check_package,
    merge,
    package_from,
)
from relay.v1.relay_service_pb2 import TransferPackage
from tests.kit.two_chains import TwoChains, author_of

PAIR = TwoChains()
IDS = (PAIR.books.chain_id, PAIR.assets.chain_id)
AGREEMENT = PAIR.trade()


def whole() -> TransferPackage:
    return PAIR.package(AGREEMENT)


def changed_terms(**fields: object) -> Callable[[TransferPackage], None]:
    def change(package: TransferPackage) -> None:
        package.terms = encode(replace(decode(Terms, package.terms), **fields))

    return change


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def other_leg(package: TransferPackage) -> None:
    package.follower_opening.leg = package.decider_opening.leg


def bad_salt(package: TransferPackage) -> None:
    package.decider_opening.salt = flip(package.decider_opening.salt)


def short_salt(package: TransferPackage) -> None:
    package.decider_opening.salt = b"short"


def long_leg(package: TransferPackage) -> None:
    package.follower_opening.leg = bytes(3_000)


def bad_consent(package: TransferPackage) -> None:
    signature = package.follower_consents[0].signature
    package.follower_consents[0].signature = flip(signature)


def consent_for_another(package: TransferPackage) -> None:
    other = consent(PAIR.trade(), author_of("seller"))
    package.decider_consents[0].CopyFrom(other)


def short_key(package: TransferPackage) -> None:
    package.decider_consents[0].public_key = b"short"


def long_party(package: TransferPackage) -> None:
    package.decider_consents[0].party = "x" * 41


def many_consents(package: TransferPackage) -> None:
    for _ in range(9):
        package.follower_consents.append(package.follower_consents[0])


def bad_secret(package: TransferPackage) -> None:
    package.secret = flip(package.secret)


def long_secret(package: TransferPackage) -> None:
    package.secret += b"\x00"


def decline_as_consent(package: TransferPackage) -> None:
    package.decider_consents[0].CopyFrom(decline(AGREEMENT.terms, author_of("seller")))


def consent_as_decline(package: TransferPackage) -> None:
    package.decline.CopyFrom(consent(AGREEMENT, author_of("seller")))


def rubbish(package: TransferPackage) -> None:
    package.terms = b"rubbish"


def endless(package: TransferPackage) -> None:
    package.terms = bytes(2_000)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (rubbish, CommonReason.MALFORMED),
        (endless, TransferReason.TERMS_INVALID),
        (changed_terms(version=2), TransferReason.TERMS_INVALID),
        (changed_terms(mode="now"), TransferReason.TERMS_INVALID),
        (changed_terms(follower_chain=bytes(32)), TransferReason.TERMS_OF_ANOTHER_CHAIN),
        (changed_terms(decider_chain=bytes(32)), TransferReason.TERMS_OF_ANOTHER_CHAIN),
        (other_leg, TransferReason.LEG_MISMATCH),
        (bad_salt, TransferReason.LEG_MISMATCH),
        (short_salt, TransferReason.LEG_MISMATCH),
        (long_leg, TransferReason.LEG_MISMATCH),
        (bad_consent, TransferReason.CONSENT_MISSING),
        (consent_for_another, TransferReason.CONSENT_MISSING),
        (decline_as_consent, TransferReason.CONSENT_MISSING),
        (consent_as_decline, TransferReason.CONSENT_MISSING),
        (short_key, CommonReason.MALFORMED),
        (long_party, CommonReason.MALFORMED),
        (many_consents, CommonReason.TOO_LARGE),
        (bad_secret, TransferReason.SECRET_MISMATCH),
        (long_secret, TransferReason.SECRET_MISMATCH),
    ],
)
def test_a_package_that_can_never_work_is_refused_at_the_door(
    change: Callable[[TransferPackage], None], reason: Reason
) -> None:
    package = whole()
    check_package(package_from(package), IDS)
    change(package)
    with pytest.raises(Refused) as refused:
        check_package(package_from(package), IDS)
    assert refused.value.reason is reason


def test_terms_alone_are_enough_to_begin_with() -> None:
    given = package_from(TransferPackage(terms=whole().terms))
    assert check_package(given, IDS) == AGREEMENT.terms
    signed = package_from(whole())
    proven = replace(signed, follower_consents=(), decider_consents=())
    assert merge(given, signed) == proven, "openings and secret prove themselves, consents do not"
    assert merge(signed, given) == signed


def test_a_package_shows_no_secret_in_any_representation() -> None:
    given = package_from(whole())
    shown = repr(given) + str(given) + f"{given}"
    assert AGREEMENT.secret.hex() not in shown
    assert repr(AGREEMENT.secret) not in shown


def test_a_package_is_not_kept_for_years() -> None:
    """Terms alone take a place until their deadline: some in the year 9999 would take all."""
    latest = AGREEMENT.terms.deadline_unix_ms - DEADLINE_AHEAD_MS_MAX
    check_deadline(AGREEMENT.terms, latest, DEADLINE_AHEAD_MS_MAX)
    with pytest.raises(Refused) as refused:
        check_deadline(AGREEMENT.terms, latest - 1, DEADLINE_AHEAD_MS_MAX)
    assert refused.value.reason is TransferReason.DEADLINE_TOO_FAR
