"""What a transfer awaits, and the next step: the same knowledge always gives the same answer."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from common.transfer.machine import Outcome, Role, TransferRecord
from common.transfer.terms import Mode, read_terms, transfer_id_of
from common.v1.transfer_pb2 import EventProof
from relay.agreement import decline
from relay.inputs import CertifiedBlock, SeenRecord
from relay.reconciler import Policy
from relay.reconciler.packages import package_from
from relay.reconciler.transfers import Action, Clock, Stage, Transfer, judge
from tests.kit.two_chains import TwoChains, author_of

POLICY = Policy()
PAIR = TwoChains()
NOW = PAIR.now
DEADLINE = NOW + 60_000
BOOKS, ASSETS = "bizchain", "assetchain"
IN_TIME = Clock(NOW, NOW)


def a_transfer(mode: str = Mode.EXPRESS) -> Transfer:
    """Handed to this relay in full; nothing has happened on either chain."""
    agreement = PAIR.trade(seconds=60, mode=mode)
    package = package_from(PAIR.package(agreement))
    terms = read_terms(package.terms)
    return Transfer(
        transfer_id_of(terms),
        terms.flow,
        BOOKS,
        ASSETS,
        terms.deadline_unix_ms,
        NOW,
        terms,
        package.terms,
        package,
        own=True,
    )


def seen(transfer: Transfer, role: str, state: str, height: int = 7) -> SeenRecord:
    record = TransferRecord(
        1, transfer.transfer_id, "X2", role, state, "", b"", transfer.deadline_unix_ms, b""
    )
    return SeenRecord(
        record, EventProof(height=height), CertifiedBlock(height, NOW, 0, 0, b"", b"")
    )


def reserved(transfer: Transfer) -> Transfer:
    transfer.observe(seen(transfer, Role.FOLLOWER, "RESERVED"))
    return transfer


def test_a_transfer_begins_with_the_reservation_on_the_follower() -> None:
    judgement = judge(a_transfer(), IN_TIME, POLICY)
    assert judgement.stage is Stage.FOLLOWER
    assert judgement.step == (Action.RESERVE, BOOKS, None)


def test_an_express_transfer_is_decided_by_the_proof_of_the_reservation() -> None:
    transfer = reserved(a_transfer())
    judgement = judge(transfer, IN_TIME, POLICY)
    assert judgement.stage is Stage.COMMIT
    assert judgement.step == (Action.RESERVE_AND_COMMIT, ASSETS, transfer.follower)


def test_a_two_step_transfer_reserves_on_the_decider_before_it_commits() -> None:
    transfer = reserved(a_transfer(Mode.TWO_STEP))
    assert judge(transfer, IN_TIME, POLICY).step == (Action.RESERVE, ASSETS, transfer.follower)
    transfer.observe(seen(transfer, Role.DECIDER, "RESERVED"))
    assert judge(transfer, IN_TIME, POLICY).step == (Action.COMMIT, ASSETS, None)


@pytest.mark.parametrize("state", ["COMMITTED", "ABORTED"])
def test_a_decision_is_carried_to_the_follower_whatever_the_time_and_without_a_package(
    state: str,
) -> None:
    transfer = reserved(a_transfer())
    transfer.package = None
    transfer.observe(seen(transfer, Role.DECIDER, state))
    for clock in (IN_TIME, Clock(DEADLINE + 10**9, DEADLINE + 10**9)):
        judgement = judge(transfer, clock, POLICY)
        assert judgement.stage is Stage.SETTLEMENT
        assert judgement.step == (Action.SETTLE, BOOKS, transfer.decider)


def test_a_decision_is_carried_even_to_a_follower_that_never_heard_of_it() -> None:
    transfer = a_transfer()
    transfer.observe(seen(transfer, Role.DECIDER, "ABORTED"))
    assert judge(transfer, IN_TIME, POLICY).step == (Action.SETTLE, BOOKS, transfer.decider)


@pytest.mark.parametrize(
    ("state", "outcome"), [("SETTLED", Outcome.COMMIT), ("RELEASED", Outcome.ABORT)]
)
def test_a_transfer_has_ended_when_the_follower_has_obeyed(state: str, outcome: Outcome) -> None:
    transfer = a_transfer()
    transfer.observe(seen(transfer, Role.FOLLOWER, state))
    assert transfer.outcome is outcome
    judgement = judge(transfer, IN_TIME, POLICY)
    assert (judgement.stage, judgement.ask) == (Stage.SETTLEMENT, (ASSETS,)), "its own: seen whole"
    transfer.own = False
    assert judge(transfer, IN_TIME, POLICY).stage is Stage.ENDED


def test_the_secret_is_never_revealed_within_the_guard_time_by_either_clock() -> None:
    transfer = reserved(a_transfer())
    guarded = DEADLINE - POLICY.secret_guard_ms
    assert judge(transfer, Clock(guarded - 1, guarded - 1), POLICY).stage is Stage.COMMIT
    for clock in (Clock(guarded, NOW), Clock(NOW, guarded)):
        judgement = judge(transfer, clock, POLICY)
        assert (judgement.stage, judgement.step) == (Stage.DEADLINE, None)


def test_nothing_is_begun_that_the_secret_cannot_finish_in_time() -> None:
    guarded = DEADLINE - POLICY.secret_guard_ms
    assert judge(a_transfer(), Clock(guarded, NOW), POLICY).step is None


def test_without_the_secret_the_transfer_waits_for_its_holder() -> None:
    transfer = reserved(a_transfer())
    assert transfer.package is not None
    transfer.package = replace(transfer.package, secret=b"")
    assert judge(transfer, IN_TIME, POLICY) == (Stage.SECRET, None, ())


@pytest.mark.parametrize("clock", [Clock(NOW, DEADLINE), Clock(DEADLINE + 3_000, NOW)])
def test_after_the_deadline_what_is_reserved_expires(clock: Clock) -> None:
    transfer = reserved(a_transfer())
    judgement = judge(transfer, clock, POLICY)
    assert judgement.stage is Stage.EXPIRY
    assert judgement.step == (Action.EXPIRE, ASSETS, transfer.follower)


def test_a_reservation_on_the_decider_expires_without_a_further_proof() -> None:
    transfer = reserved(a_transfer(Mode.TWO_STEP))
    transfer.observe(seen(transfer, Role.DECIDER, "RESERVED"))
    assert judge(transfer, Clock(NOW, DEADLINE), POLICY).step == (Action.EXPIRE, ASSETS, None)


def test_a_transfer_found_on_a_chain_is_expired_by_the_terms_read_there() -> None:
    transfer = reserved(a_transfer())
    terms, transfer.terms_bytes = transfer.terms_bytes, b""
    transfer.package = None
    assert judge(transfer, IN_TIME, POLICY).stage is Stage.PACKAGE
    late = Clock(NOW, DEADLINE)
    assert judge(transfer, late, POLICY) == (Stage.EXPIRY, None, (BOOKS,))
    transfer.terms_bytes = terms
    assert judge(transfer, late, POLICY).step == (Action.EXPIRE, ASSETS, transfer.follower)


def test_what_was_reserved_nowhere_lapses_once_both_chains_say_so_after_the_deadline() -> None:
    transfer = a_transfer()
    late = Clock(DEADLINE + POLICY.expiry_margin_ms, DEADLINE)
    transfer.told = {BOOKS: DEADLINE, ASSETS: DEADLINE + POLICY.expiry_margin_ms}
    assert judge(transfer, late, POLICY) == (Stage.LAPSE, None, (BOOKS,))
    transfer.told[BOOKS] = DEADLINE + POLICY.expiry_margin_ms
    assert judge(transfer, late, POLICY).stage is Stage.ENDED


def test_a_decline_goes_before_a_commit_unless_it_has_to_wait_as_others_were_refused() -> None:
    transfer = reserved(a_transfer())
    assert transfer.package is not None
    assert transfer.terms is not None
    signed = decline(transfer.terms, author_of("seller"))
    given = PAIR.package(PAIR.trade())
    given.decline.CopyFrom(signed)
    transfer.package = replace(transfer.package, decline=package_from(given).decline)
    assert judge(transfer, IN_TIME, POLICY).step == (Action.DECLINE, ASSETS, None)
    transfer.decline_not_before_unix_ms = NOW + 1
    assert judge(transfer, IN_TIME, POLICY).stage is Stage.COMMIT


@pytest.mark.parametrize(
    ("lacking", "stage"),
    [("follower_opening", Stage.PACKAGE), ("decider_opening", Stage.PACKAGE)],
)
def test_without_the_opening_of_a_leg_the_transfer_waits_for_a_fuller_package(
    lacking: str, stage: Stage
) -> None:
    transfer = a_transfer()
    assert transfer.package is not None
    transfer.package = replace(transfer.package, **{lacking: None})
    if lacking == "decider_opening":
        reserved(transfer)
    assert judge(transfer, IN_TIME, POLICY).stage is stage


def test_an_older_record_never_replaces_a_newer_one() -> None:
    transfer = a_transfer()
    assert transfer.observe(seen(transfer, Role.DECIDER, "COMMITTED", height=9))
    assert not transfer.observe(seen(transfer, Role.DECIDER, "RESERVED", height=8))
    assert transfer.decider_state == "COMMITTED"
    assert transfer.decider_heights == (9,)
