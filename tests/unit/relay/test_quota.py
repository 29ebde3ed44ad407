"""Places of a relay: whose they are, and when they are free again."""

from __future__ import annotations

import pytest

from common.errors import CommonReason, Refused
from relay.agreement import decline
from relay.reconciler.packages import check_begins, package_from
from relay.v1.relay_service_pb2 import TransferPackage
from tests.kit.relays import HarnessRelay, ended, run
from tests.kit.two_chains import TwoChains, author_of


def test_terms_nobody_opened_or_signed_do_not_begin_a_transfer() -> None:
    pair = TwoChains()
    agreement = pair.trade()
    whole = pair.package(agreement)
    terms = whole.terms
    for lacking in (
        TransferPackage(terms=terms, secret=whole.secret),
        TransferPackage(terms=terms, follower_opening=whole.follower_opening),
        TransferPackage(terms=terms, decider_consents=whole.decider_consents),
    ):
        with pytest.raises(Refused) as refused:
            check_begins(package_from(lacking))
        assert refused.value.reason is CommonReason.INVALID_ARGUMENT
    signed = decline(agreement.terms, author_of("seller"))
    check_begins(package_from(TransferPackage(terms=terms, decline=signed)))
    check_begins(package_from(whole))


def test_a_place_is_its_callers_from_the_beginning_to_the_end() -> None:
    pair = TwoChains()
    relay = HarnessRelay(pair)
    packages = [pair.package(pair.trade(amount=5, quantity=1), custody=False) for _ in range(3)]
    ids = [relay.hand_over(package, "a") for package in packages]
    relay.hand_over(packages[0], "b")
    relay.step()
    assert (relay.reconciler.open_of("a"), relay.reconciler.open_of("b")) == (3, 0)
    assert not relay.reconciler.begins(ids[0])
    run(pair, [relay], seconds=120)
    assert ended(pair, ids, "RELEASED", "ABORTED")
    assert (relay.reconciler.open_of("a"), relay.reconciler.open_of("b")) == (0, 0)


def test_places_are_their_callers_after_a_restart_too() -> None:
    pair = TwoChains()
    relay = HarnessRelay(pair)
    done = relay.hand_over(pair.package(pair.trade(amount=5, quantity=1)), "a")
    relay.hand_over(pair.package(pair.trade(seconds=600), custody=False), "a")
    run(pair, [relay], seconds=5)
    assert ended(pair, [done], "SETTLED", "COMMITTED")
    relay.crash()
    relay.step()
    assert relay.reconciler.open_of("a") == 1


def test_a_transfer_that_was_found_on_a_chain_takes_no_callers_place() -> None:
    pair = TwoChains()
    package = pair.package(pair.trade(seconds=600), custody=False)
    other, relay = HarnessRelay(pair, "other"), HarnessRelay(pair)
    transfer_id = other.hand_over(package)
    run(pair, [other, relay], seconds=2)
    assert not relay.reconciler.begins(transfer_id)
    relay.hand_over(package, "a")
    relay.step()
    assert relay.reconciler.open_count == 1
    assert relay.reconciler.open_of("a") == 0
