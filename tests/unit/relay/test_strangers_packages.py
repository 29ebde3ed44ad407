"""A stranger who knows the terms can add to a package, and take nothing out of it."""

from __future__ import annotations

from common.crypto.signing import SigningKey, sign
from common.transfer.terms import Mode, consent_digest, decline_digest
from common.v1.transfer_pb2 import PartySignature
from relay.agreement import Agreement
from relay.v1.relay_service_pb2 import TransferPackage
from tests.kit.relays import HarnessRelay, ended, run
from tests.kit.two_chains import TwoChains

STRANGER = SigningKey(b"stranger" * 4)


def forged(agreement: Agreement, whole: TransferPackage) -> TransferPackage:
    """The same transfer, with the stranger's own key in every party's name."""
    package = TransferPackage(terms=whole.terms)
    for kept, added in (
        (whole.follower_consents, package.follower_consents),
        (whole.decider_consents, package.decider_consents),
    ):
        for consent in kept:
            message = consent_digest(agreement.transfer_id, consent.party)
            added.append(_signature(consent.party, message))
    return package


def _signature(party: str, message: bytes) -> PartySignature:
    signature = sign(STRANGER, message)
    return PartySignature(party=party, public_key=STRANGER.public_key, signature=signature)


def test_a_strangers_consents_do_not_replace_those_that_serve() -> None:
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(mode=Mode.EXPRESS)
    whole = pair.package(agreement)
    transfer_id = relay.hand_over(pair.package(agreement, custody=False))
    run(pair, [relay], seconds=1)
    relay.hand_over(forged(agreement, whole))
    run(pair, [relay], seconds=1)
    relay.hand_over(TransferPackage(terms=whole.terms, secret=whole.secret))
    run(pair, [relay], seconds=2)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")


def test_after_a_refusal_the_newer_consents_count() -> None:
    """A stranger who came first delays a transfer until its owners hand it over again."""
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(mode=Mode.EXPRESS)
    whole = pair.package(agreement)
    first = forged(agreement, whole)
    first.follower_opening.CopyFrom(whole.follower_opening)
    transfer_id = relay.hand_over(first)
    run(pair, [relay], seconds=1)
    relay.hand_over(whole)
    run(pair, [relay], seconds=2)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")


def test_a_strangers_decline_does_not_stand_for_an_owners() -> None:
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(mode=Mode.TWO_STEP)
    whole = pair.package(agreement)
    transfer_id = relay.hand_over(pair.package(agreement, custody=False))
    run(pair, [relay], seconds=1)
    lie = forged(agreement, whole)
    digest = decline_digest(agreement.transfer_id, "seller")
    lie.decline.CopyFrom(_signature("seller", digest))
    relay.hand_over(lie)
    run(pair, [relay], seconds=1)
    relay.hand_over(TransferPackage(terms=whole.terms, secret=whole.secret))
    run(pair, [relay], seconds=2)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")
