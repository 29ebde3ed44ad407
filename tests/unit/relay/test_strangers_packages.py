"""A stranger who knows the terms can add to a package, take nothing out of it, and stop nothing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from common.crypto.digest import sha256
from common.crypto.signing import SigningKey, sign
from common.transfer.terms import Mode, consent_digest, decline_digest
from common.v1.transfer_pb2 import PartySignature
from relay.agreement import Agreement, decline
from relay.reconciler.voices import VOICES_MAX
from relay.v1.relay_service_pb2 import TransferPackage
from tests.kit.relays import HarnessRelay, ended, kinds, run
from tests.kit.two_chains import TwoChains, author_of

STRANGER = SigningKey(b"stranger" * 4)
CALLERS = pytest.mark.parametrize("caller", ["client", "stranger"])
"""The stranger's packages come with the owners' own certificate, or with another one."""


def forged(
    agreement: Agreement, whole: TransferPackage, key: SigningKey = STRANGER
) -> TransferPackage:
    """The same transfer, with the stranger's own key in every party's name."""
    package = TransferPackage(terms=whole.terms)
    for kept, added in (
        (whole.follower_consents, package.follower_consents),
        (whole.decider_consents, package.decider_consents),
    ):
        for consent in kept:
            message = consent_digest(agreement.transfer_id, consent.party)
            added.append(_signature(consent.party, message, key))
    return package


def made_up_keys() -> Iterator[SigningKey]:
    return (SigningKey(sha256(f"stranger {turn}".encode())) for turn in count())


def _signature(party: str, message: bytes, key: SigningKey = STRANGER) -> PartySignature:
    return PartySignature(party=party, public_key=key.public_key, signature=sign(key, message))


@CALLERS
def test_a_strangers_consents_do_not_replace_those_that_serve(caller: str) -> None:
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(mode=Mode.EXPRESS)
    whole = pair.package(agreement)
    transfer_id = relay.hand_over(pair.package(agreement, custody=False))
    run(pair, [relay], seconds=1)
    relay.hand_over(forged(agreement, whole), caller)
    run(pair, [relay], seconds=1)
    relay.hand_over(TransferPackage(terms=whole.terms, secret=whole.secret))
    run(pair, [relay], seconds=2)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")


@CALLERS
def test_a_stranger_takes_nothing_out_of_a_package_that_is_set_aside(caller: str) -> None:
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(mode=Mode.EXPRESS, seconds=200)
    whole = pair.package(agreement)
    transfer_id = relay.hand_over(pair.package(agreement, custody=False))
    run(pair, [relay], seconds=2)
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    found.quarantine = "SUBJECT_HELD: set aside, as a hold on the lot does"
    relay.hand_over(forged(agreement, whole), caller)
    run(pair, [relay], seconds=1)
    relay.hand_over(TransferPackage(terms=whole.terms, secret=whole.secret))
    run(pair, [relay], seconds=5)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")


@CALLERS
def test_what_a_chain_has_refused_makes_way_for_other_consents_at_once(caller: str) -> None:
    """A stranger who came first delays a transfer until its owners hand it over again."""
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(mode=Mode.EXPRESS)
    whole = pair.package(agreement)
    first = forged(agreement, whole)
    first.follower_opening.CopyFrom(whole.follower_opening)
    transfer_id = relay.hand_over(first, caller)
    run(pair, [relay], seconds=1)
    relay.hand_over(whole)
    run(pair, [relay], seconds=2)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")


def test_the_consents_strangers_came_first_with_do_not_keep_the_true_ones_out() -> None:
    """Also not where every place is taken; the true ones have their turn after a round of these."""
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(mode=Mode.EXPRESS, seconds=60)
    whole = pair.package(agreement)
    keys = made_up_keys()
    for turn in range(3 * VOICES_MAX):
        relay.hand_over(forged(agreement, whole, next(keys)), f"stranger-{turn % VOICES_MAX}")
    run(pair, [relay], seconds=1)
    transfer_id = relay.hand_over(whole)
    run(pair, [relay], seconds=15)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")


def test_the_kept_voices_of_a_transfer_survive_a_restart() -> None:
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(mode=Mode.EXPRESS, seconds=60)
    whole = pair.package(agreement)
    first = forged(agreement, whole)
    relay.hand_over(first, "stranger")
    transfer_id = relay.hand_over(whole)
    relay.step()
    relay.crash()
    run(pair, [relay], seconds=5)
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


@CALLERS
def test_strangers_declines_do_not_keep_a_transfer_from_being_committed(caller: str) -> None:
    """One in each round, each signed with a key made up for it."""
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(mode=Mode.EXPRESS, seconds=60)
    whole = pair.package(agreement)
    transfer_id = relay.hand_over(whole)
    digest = decline_digest(agreement.transfer_id, "seller")
    keys = made_up_keys()
    for _ in range(100):
        lie = _signature("seller", digest, next(keys))
        relay.hand_over(TransferPackage(terms=whole.terms, decline=lie), caller)
        run(pair, [relay], seconds=1, step_ms=100, until=lambda: True)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")
    assert kinds(relay, "assetchain").count("decline_transfer") < 10


@CALLERS
def test_an_owners_decline_has_its_turn_among_those_of_strangers(caller: str) -> None:
    pair = TwoChains()
    relay = HarnessRelay(pair)
    agreement = pair.trade(mode=Mode.TWO_STEP, seconds=600)
    whole = pair.package(agreement, custody=False)
    transfer_id = relay.hand_over(whole)
    run(pair, [relay], seconds=1)
    digest = decline_digest(agreement.transfer_id, "seller")
    for key, _ in zip(made_up_keys(), range(20), strict=False):
        lie = TransferPackage(terms=whole.terms, decline=_signature("seller", digest, key))
        relay.hand_over(lie, caller)
    run(pair, [relay], seconds=1)
    true = decline(agreement.terms, author_of("seller"))
    relay.hand_over(TransferPackage(terms=whole.terms, decline=true))
    run(pair, [relay], seconds=30)
    assert ended(pair, [transfer_id], "RELEASED", "ABORTED")
