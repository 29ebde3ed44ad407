"""The reconciler over two real ledgers: what it sends, in which order, and how it bears wrongs.

Each test is a failure that happened to a relay somewhere.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from bizchain.v1 import operation_pb2 as business
from common.encoding import encode
from common.errors import CommonReason, Refused
from common.transfer.terms import Mode
from relay.agreement import decline
from relay.effects import FetchTransfers, KeepPackage, Persist, Submit
from relay.inputs import Answered, FetchedTransfers, OperationResult
from relay.reconciler import Policy
from relay.reconciler.transfers import Stage
from tests.kit.relays import HarnessRelay, Trouble, ended, hold_on, kinds, run
from tests.kit.two_chains import MONEY, UNITS, TwoChains, author_of

BOOKS, ASSETS = "bizchain", "assetchain"


@pytest.fixture
def pair() -> TwoChains:
    return TwoChains()


# --- the plain ways ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_a_transfer_handed_over_in_full_commits_on_both_chains(pair: TwoChains, mode: str) -> None:
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(pair.trade(mode=mode)))
    run(pair, [relay], seconds=2)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    assert found.stage is Stage.ENDED
    pair.check()


def test_an_express_transfer_takes_one_batch_on_each_chain_for_each_of_its_three_steps(
    pair: TwoChains,
) -> None:
    relay = HarnessRelay(pair)
    relay.hand_over(pair.package(pair.trade()))
    run(pair, [relay], seconds=1)
    assert kinds(relay, BOOKS) == ["reserve_transfer", "import_header", "settle_transfer"]
    assert kinds(relay, ASSETS) == ["import_header", "reserve_and_commit_transfer"]


def test_many_transfers_share_one_import_of_each_header(pair: TwoChains) -> None:
    relay = HarnessRelay(pair, policy=Policy(batch_operations_max=200))
    ids = [relay.hand_over(pair.package(pair.trade(amount=5, quantity=1))) for _ in range(300)]
    run(pair, [relay], seconds=3, until=lambda: ended(pair, ids, "SETTLED", "COMMITTED"))
    assert ended(pair, ids, "SETTLED", "COMMITTED")
    for chain in (BOOKS, ASSETS):
        headers = [
            one.payload.SerializeToString()
            for _, name, one in relay.submitted
            if (name, one.kind) == (chain, "import_header")
        ]
        assert len(headers) == len(set(headers)) <= 4, "also by two batches on their way"
    pair.check()


def test_a_batch_never_exceeds_its_limits_and_the_next_waits_for_an_answer(pair: TwoChains) -> None:
    relay = HarnessRelay(pair, policy=Policy(batch_operations_max=50, batches_in_flight_max=2))
    for _ in range(200):
        relay.hand_over(pair.package(pair.trade(amount=5, quantity=1)))
    effects = relay.reconciler.advance(pair.now, relay.inbox)
    batches = [effect for effect in effects if isinstance(effect, Submit)]
    assert [len(batch.operations) for batch in batches] == [49, 49]
    more = relay.reconciler.advance(pair.now + 10)
    assert not [effect for effect in more if isinstance(effect, Submit)]
    results = (OperationResult(None, "", 1),) * 49
    more = relay.reconciler.advance(pair.now + 20, [Answered(BOOKS, batches[0].number, results)])
    assert len([effect for effect in more if isinstance(effect, Submit)]) == 1


def test_an_expired_transfer_returns_both_legs(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=8), custody=False))
    run(pair, [relay], seconds=5)
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    assert found.stage in {Stage.SECRET, Stage.DEADLINE}
    run(pair, [relay], seconds=30)
    assert ended(pair, [transfer_id], "RELEASED", "ABORTED")
    pair.check()


def test_a_relay_whose_clock_is_slow_expires_by_the_blocks_of_the_decider(pair: TwoChains) -> None:
    relay = HarnessRelay(pair, policy=Policy(recheck_min_ms=120_000))
    relay.clock_behind_ms = 3_600_000
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=8), custody=False))
    run(pair, [relay], seconds=30)
    assert ended(pair, [transfer_id], "RELEASED", "ABORTED")


def test_a_declined_transfer_ends_at_once(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    agreement = pair.trade(seconds=600)
    transfer_id = relay.hand_over(pair.package(agreement, custody=False))
    run(pair, [relay], seconds=1)
    package = pair.package(agreement, custody=False)
    package.decline.CopyFrom(decline(agreement.terms, author_of("seller")))
    relay.hand_over(package)
    run(pair, [relay], seconds=2)
    assert ended(pair, [transfer_id], "RELEASED", "ABORTED")


def test_a_decline_by_a_stranger_does_not_stop_a_transfer(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    agreement = pair.trade()
    package = pair.package(agreement)
    package.decline.CopyFrom(decline(agreement.terms, author_of("store")))
    transfer_id = relay.hand_over(package)
    run(pair, [relay], seconds=2)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")


def test_a_secret_that_comes_late_but_in_time_commits(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    agreement = pair.trade(seconds=20)
    transfer_id = relay.hand_over(pair.package(agreement, custody=False))
    run(pair, [relay], seconds=5)
    relay.hand_over(pair.package(agreement))
    run(pair, [relay], seconds=1)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")


def test_a_transfer_nobody_reserved_lapses_and_leaves_nothing(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    agreement = pair.trade(seconds=6)
    package = pair.package(agreement)
    package.ClearField("follower_opening")
    transfer_id = relay.hand_over(package)
    run(pair, [relay], seconds=20)
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    assert (found.stage, found.outcome) == (Stage.ENDED, "")
    assert ended(pair, [transfer_id], "", "")
    assert relay.reconciler.open_count == 0


def test_what_lapsed_by_a_stale_answer_is_taken_up_again_when_it_is_seen_reserved(
    pair: TwoChains,
) -> None:
    agreement = pair.trade(seconds=6)
    other = HarnessRelay(pair, "other")
    transfer_id = other.hand_over(pair.package(agreement, custody=False))
    run(pair, [other], seconds=1)
    relay = HarnessRelay(pair)
    poor = pair.package(agreement, custody=False)
    poor.ClearField("follower_opening")
    relay.hand_over(poor)
    pair.now += 10_000
    stale = [FetchedTransfers(name, (), (transfer_id,)) for name in (BOOKS, ASSETS)]
    relay.reconciler.advance(pair.now, [*relay.inbox, *stale])
    relay.inbox.clear()
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    assert (found.stage, found.outcome) == (Stage.ENDED, "")
    run(pair, [relay], seconds=30)
    assert ended(pair, [transfer_id], "RELEASED", "ABORTED")
    assert (found.stage, found.outcome) == (Stage.ENDED, "ABORT")


# --- events missed, answers lost -----------------------------------------------------------------


def test_losing_every_event_only_makes_it_slow(pair: TwoChains) -> None:
    relay = HarnessRelay(pair, trouble=Trouble(Random(1), events_lost=100))
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=60)))
    run(pair, [relay], seconds=40)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")


def test_an_answer_lost_after_the_effect_is_read_back_and_not_taken_for_a_failure(
    pair: TwoChains,
) -> None:
    trouble = Trouble(Random(2), answers_lost=100)
    relay = HarnessRelay(pair, trouble=trouble)
    transfer_id = relay.hand_over(pair.package(pair.trade()))
    run(pair, [relay], seconds=10)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")
    pair.check()


def test_what_succeeded_and_was_not_seen_is_asked_for_before_it_is_sent_again(
    pair: TwoChains,
) -> None:
    relay = HarnessRelay(pair)
    relay.trouble.events_lost = 100
    transfer_id = relay.hand_over(pair.package(pair.trade()))
    relay.step()
    pair.tick(100)
    inputs = relay._arrived()
    effects = relay.reconciler.advance(pair.now, inputs)
    assert not [one for one in effects if isinstance(one, Submit) and one.chain == BOOKS]
    later = relay.reconciler.advance(pair.now + relay.policy.echo_ms)
    assert FetchTransfers(BOOKS, (transfer_id,)) in later
    assert not [one for one in later if isinstance(one, Submit) and one.chain == BOOKS]


def test_a_batch_that_is_never_answered_is_given_up_and_sent_again(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    relay.hand_over(pair.package(pair.trade(seconds=600)))
    relay.reconciler.advance(pair.now, relay.inbox)  # its effects are lost
    later = relay.reconciler.advance(pair.now + relay.policy.submit_answer_ms)
    assert not [one for one in later if isinstance(one, Submit)], "first it backs off"
    later = relay.reconciler.advance(pair.now + relay.policy.submit_answer_ms + 1_000)
    assert [one.chain for one in later if isinstance(one, Submit)] == [BOOKS]


# --- several relays, restarts, lost journals -----------------------------------------------------


def test_several_relays_given_the_same_transfer_do_no_harm(pair: TwoChains) -> None:
    relays = [HarnessRelay(pair, f"relay-{number}") for number in range(3)]
    package = pair.package(pair.trade())
    [transfer_id] = {relay.hand_over(package) for relay in relays}
    run(pair, relays, seconds=3)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")
    for relay in relays:
        found = relay.reconciler.find(transfer_id)
        assert found is not None
        assert (found.stage, found.quarantine) == (Stage.ENDED, "")
    pair.check()


def test_a_relay_leaves_a_transfer_to_the_relay_that_was_given_it(pair: TwoChains) -> None:
    own, other = HarnessRelay(pair, "own"), HarnessRelay(pair, "other")
    own.hand_over(pair.package(pair.trade()))
    run(pair, [own, other], seconds=2)
    assert {"settle_transfer", "reserve_transfer"} & set(kinds(other, BOOKS)) == set()


def test_another_relay_ends_what_a_dead_relay_began(pair: TwoChains) -> None:
    dead = HarnessRelay(pair, "dead")
    expiring = dead.hand_over(pair.package(pair.trade(seconds=20), custody=False))
    decided = dead.hand_over(pair.package(pair.trade(seconds=600)))
    run(
        pair,
        [dead],
        seconds=2,
        until=lambda: ended(pair, [decided], "RESERVED", "COMMITTED"),
    )
    assert ended(pair, [decided], "RESERVED", "COMMITTED")
    heir = HarnessRelay(pair, "heir")  # it has seen none of that
    run(pair, [heir], seconds=60)
    assert ended(pair, [decided], "SETTLED", "COMMITTED")
    assert ended(pair, [expiring], "RELEASED", "ABORTED")


def test_the_package_is_durable_before_anything_is_sent_for_it(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(pair.trade()))
    first, second, *_ = relay.reconciler.advance(pair.now, relay.inbox)
    assert isinstance(first, Persist)
    assert isinstance(first.entries[0], KeepPackage)
    assert first.entries[0].transfer_id == transfer_id
    assert isinstance(second, Submit)
    relay.inbox.clear()
    next_id = relay.hand_over(pair.package(pair.trade()))
    first, second, *_ = relay.reconciler.advance(pair.now + 1, relay.inbox)
    assert isinstance(first, Persist), "each time, not only now and then"
    assert next_id in [entry.transfer_id for entry in first.entries]
    assert isinstance(second, Submit)


def test_handing_the_same_over_again_writes_nothing_and_sends_nothing(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    package = pair.package(pair.trade())
    relay.hand_over(package)
    relay.reconciler.advance(pair.now, relay.inbox)
    relay.inbox.clear()
    relay.hand_over(package)
    assert relay.reconciler.advance(pair.now + 2_000, relay.inbox) == []


def test_a_restarted_relay_reads_back_what_it_may_have_sent_before_it_sends_anything(
    pair: TwoChains,
) -> None:
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(pair.trade()))
    relay.step()
    relay.crash()
    effects = relay.reconciler.advance(pair.now, relay.inbox)
    assert FetchTransfers(BOOKS, (transfer_id,)) in effects
    assert FetchTransfers(ASSETS, (transfer_id,)) in effects
    assert not [one for one in effects if isinstance(one, Submit)]


def test_a_restarted_relay_recovers_every_transfer_not_only_the_last(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    ids = [relay.hand_over(pair.package(pair.trade(amount=5, quantity=1))) for _ in range(20)]
    relay.step()
    relay.crash()
    run(pair, [relay], seconds=5)
    assert ended(pair, ids, "SETTLED", "COMMITTED")


def test_a_lost_journal_loses_time_alone(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    agreement = pair.trade(seconds=15)
    transfer_id = relay.hand_over(pair.package(agreement, custody=False))
    run(pair, [relay], seconds=1)
    relay.crash(lose_journal=True)
    run(pair, [relay], seconds=60)
    assert ended(pair, [transfer_id], "RELEASED", "ABORTED")


def test_a_transfer_handed_over_again_after_its_end_is_told_ended_and_not_begun_anew(
    pair: TwoChains,
) -> None:
    relay = HarnessRelay(pair)
    package = pair.package(pair.trade())
    transfer_id = relay.hand_over(package)
    run(pair, [relay], seconds=2)
    relay.crash(lose_journal=True)
    relay.hand_over(package)
    run(pair, [relay], seconds=5)
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    assert (found.stage, found.outcome) == (Stage.ENDED, "COMMIT")
    pair.check()


def test_an_ended_transfer_keeps_no_secret_in_memory_or_at_rest(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    agreement = pair.trade()
    transfer_id = relay.hand_over(pair.package(agreement))
    run(pair, [relay], seconds=1, until=lambda: ended(pair, [transfer_id], "SETTLED", "COMMITTED"))
    run(pair, [relay], seconds=3)
    [row] = relay.journal.recover()
    assert row.ending is not None
    assert row.ending.follower_state == "SETTLED"
    assert row.package.secret == b""
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    assert found.package == row.package


# --- refusals ------------------------------------------------------------------------------------


def test_a_poisoned_transfer_delays_no_other(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    poison = [
        relay.hand_over(pair.package(pair.trade(amount=MONEY * 2, seconds=30))) for _ in range(40)
    ]
    good = relay.hand_over(pair.package(pair.trade()))
    run(pair, [relay], seconds=1)
    assert ended(pair, [good], "SETTLED", "COMMITTED")
    run(pair, [relay], seconds=3)
    for transfer_id in poison:
        found = relay.reconciler.find(transfer_id)
        assert found is not None
        assert found.refusal.startswith("INSUFFICIENT_FUNDS")
    tries = sum(one.kind == "reserve_transfer" for _, _, one in relay.submitted)
    assert tries < 40 * 6, "each backs off by itself"
    run(pair, [relay], seconds=60)
    assert relay.reconciler.open_count == 0
    pair.check()


def test_a_quarantined_transfer_is_tried_again_and_goes_on_when_the_rule_allows(
    pair: TwoChains,
) -> None:
    relay = HarnessRelay(pair)
    hold = pair.books.signed("place_hold", hold_on("lot-1"), author_of("regulator"))
    pair.books.offer(hold)
    run(pair, [relay], seconds=1)
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=600)))
    run(pair, [relay], seconds=10)
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    assert found.quarantine.startswith("SUBJECT_HELD")
    lift = business.LiftHold(subject_kind="lot", subject_id="lot-1", case_id="c-1")
    pair.books.offer(pair.books.signed("lift_hold", lift, author_of("regulator")))
    run(pair, [relay], seconds=40)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")
    assert found.quarantine == ""


def test_a_fuller_package_ends_a_quarantine_at_once(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    whole = pair.package(pair.trade(seconds=600))
    poor = pair.package(pair.trade(seconds=600))
    poor.CopyFrom(whole)
    del poor.follower_consents[:]
    transfer_id = relay.hand_over(poor)
    run(pair, [relay], seconds=20)
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    assert found.quarantine.startswith("CONSENT_MISSING")
    relay.hand_over(whole)
    relay.step()
    assert found.quarantine == ""
    run(pair, [relay], seconds=1)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")


def test_a_batch_refused_as_a_whole_is_cut_until_what_spoils_it_stands_alone(
    pair: TwoChains,
) -> None:
    relay = HarnessRelay(pair)
    ids = [relay.hand_over(pair.package(pair.trade(seconds=3_000))) for _ in range(16)]
    spoiled = Refused(CommonReason.TOO_LARGE, "one of these cannot be sent")
    inputs, sizes = list(relay.inbox), []
    poison = pair.trade(seconds=3_000)
    bad_id = relay.hand_over(pair.package(poison))
    inputs.append(relay.inbox[-1])
    for _ in range(60):
        pair.now += 1_000
        effects = relay.reconciler.advance(pair.now, inputs)
        inputs = []
        for submit in (one for one in effects if isinstance(one, Submit) and one.chain == BOOKS):
            sizes.append(len(submit.operations))
            sent = b"".join(one.payload.SerializeToString() for one in submit.operations)
            if encode(poison.terms) in sent:
                inputs.append(Answered(BOOKS, submit.number, failure=spoiled))
            else:
                results = (OperationResult(None, "", 1),) * len(submit.operations)
                inputs.append(Answered(BOOKS, submit.number, results))
    found = relay.reconciler.find(bad_id)
    assert found is not None
    assert found.quarantine.startswith("TOO_LARGE")
    others = [relay.reconciler.find(one) for one in ids]
    assert all(one is not None and not one.refusal for one in others)
    assert (sizes[0], min(sizes)) == (17, 1)


def test_a_chain_that_fails_is_left_alone_for_longer_and_longer(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    relay.hand_over(pair.package(pair.trade(seconds=3_000)))
    inputs = list(relay.inbox)
    sent: list[int] = []
    for now in range(pair.now, pair.now + 120_000, 50):
        effects = relay.reconciler.advance(now, inputs)
        submits = [one for one in effects if isinstance(one, Submit) and one.chain == BOOKS]
        away = Refused(CommonReason.NOT_READY, "no quorum")
        inputs = [Answered(BOOKS, one.number, failure=away) for one in submits]
        sent += [now] * len(submits)
    gaps = [later - earlier for earlier, later in pairwise(sent)]
    assert len(sent) < 20
    assert max(gaps) <= relay.policy.back_off_max_ms + 50
    assert gaps[-1] > 10 * gaps[0]


def test_a_header_the_chain_has_forgotten_is_carried_again(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(pair.trade(seconds=600)))
    relay.step()
    pair.tick(100)
    lane = relay.reconciler.lanes[ASSETS]
    lane.holds(pair.books.ledger.final_height)  # it is thought to be there, and is not
    run(pair, [relay], seconds=3)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")
    assert kinds(relay, ASSETS).count("reserve_and_commit_transfer") >= 2


# --- memory --------------------------------------------------------------------------------------


def test_ended_transfers_are_forgotten_beyond_a_limit_also_at_rest(pair: TwoChains) -> None:
    relay = HarnessRelay(pair, policy=Policy(ended_transfers_max=5))
    for _ in range(4):
        for _ in range(5):
            relay.hand_over(pair.package(pair.trade(amount=5, quantity=1)))
        run(pair, [relay], seconds=2)
    assert len(relay.reconciler.ended_transfers) == 5
    assert len(relay.journal.recover()) == 5


def test_quantity_beyond_what_is_held_is_refused_and_the_money_returns(pair: TwoChains) -> None:
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(pair.trade(quantity=UNITS + 1, seconds=12)))
    run(pair, [relay], seconds=50)
    assert ended(pair, [transfer_id], "RELEASED", "ABORTED")
    pair.check()
