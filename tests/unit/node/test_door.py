"""The door: one result for each transaction, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bizchain.v1.operation_pb2 import Operation
from common.errors import CommonReason
from common.ledger.block import BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, Block
from common.ledger.chain import Rule
from common.ledger.compose import compose
from common.node.ports import SUBMITTED_MAX
from common.raft.messages import Append
from common.raft.roles import Role
from common.v1.transfer_pb2 import ImportHeader
from tests.kit import tally
from tests.kit.solo_node import PEERS, Solo


def finish(solo: Solo) -> None:
    """Commit, apply and certify all that was proposed."""
    for _ in range(10):
        solo.acknowledge()
        solo.vote_for_all()


def leading(**settings: Any) -> Solo:
    solo = Solo(**settings)
    solo.lead()
    return solo


def test_success_is_answered_when_it_is_final_and_not_before() -> None:
    solo = leading()
    results = solo.submit(solo.transaction(1))
    solo.acknowledge()
    assert solo.node.ledger.applied_height == 2
    assert results == []
    solo.vote_for_all()
    assert [(result.reason, result.height, result.position) for result in results] == [(None, 2, 0)]
    assert solo.final == [1, 2]


def test_a_refusal_by_the_rules_is_a_final_result_too() -> None:
    solo = leading()
    results = solo.submit(solo.transaction(1, tally.deposit("acme", -5)))
    finish(solo)
    assert [(r.reason, r.height) for r in results] == [(CommonReason.AMOUNT_OUT_OF_RANGE, 2)]


def test_a_batch_is_answered_once_with_results_in_its_order() -> None:
    solo = leading()
    results = solo.submit(
        solo.transaction(1), b"rubbish", solo.transaction(2, tally.deposit("acme", 0)), b"\xff" * 70
    )
    assert results == []
    finish(solo)
    assert [result.reason for result in results] == [
        None,
        CommonReason.MALFORMED,
        CommonReason.AMOUNT_OUT_OF_RANGE,
        CommonReason.MALFORMED,
    ]
    assert solo.submit() == []


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (lambda _: bytes(70_000), CommonReason.TOO_LARGE),
        (
            lambda _: tally.make_transaction(bytes(32), "bank", tally.deposit("acme", 1), 1).raw,
            CommonReason.WRONG_CHAIN,
        ),
        (lambda solo: solo.transaction(1)[:-1] + b"\x00", CommonReason.BAD_SIGNATURE),
        (
            lambda solo: (
                tally.make_transaction(solo.chain_id, "nobody", tally.deposit("acme", 1), 1).raw
            ),
            CommonReason.SIGNER_UNKNOWN,
        ),
        (
            lambda solo: solo.transaction(1, valid_until_unix_ms=tally.START_UNIX_MS),
            CommonReason.EXPIRED,
        ),
        (
            lambda solo: solo.transaction(
                1, valid_until_unix_ms=tally.START_UNIX_MS - tally_hours(2)
            ),
            CommonReason.NOT_IN_WINDOW,
        ),
        (
            lambda solo: solo.transaction(
                1, valid_until_unix_ms=tally.START_UNIX_MS + tally_hours(3)
            ),
            CommonReason.VALID_UNTIL_TOO_FAR,
        ),
        (lambda solo: solo.transaction(1, Operation()), CommonReason.UNKNOWN_OPERATION),
        (
            lambda solo: (
                compose(
                    solo.chain_id,
                    tally.deposit("acme", 1),
                    request_id=bytes(16),
                    valid_until_unix_ms=tally.START_UNIX_MS + 9_000,
                ).raw
            ),
            CommonReason.UNSIGNED,
        ),
    ],
)
def test_what_could_never_take_effect_is_refused_before_it_costs_a_place(
    raw: Callable[[Solo], bytes], reason: CommonReason
) -> None:
    solo = leading()
    results = solo.submit(raw(solo))
    assert [(result.reason, result.height) for result in results] == [(reason, 0)]
    assert solo.node.queued == 0
    assert solo.take(Append) == []


def tally_hours(hours: int) -> int:
    return hours * 3_600_000


def test_a_follower_names_the_leader() -> None:
    solo = Solo()
    solo.node.start()
    solo.append(Block(tally.START_UNIX_MS + 1, ()), leader="core-1")
    [result] = solo.submit(solo.transaction(1))
    assert result.reason is CommonReason.NOT_LEADER
    assert result.metadata["leader_node_id"] == "core-1"


def test_a_follower_judges_before_it_names_the_leader() -> None:
    """So that a client whom the leader refuses can ask another node what it thinks."""
    solo = Solo()
    solo.node.start()
    solo.append(Block(tally.START_UNIX_MS + 1, ()), leader="core-1")
    [refused] = solo.submit(b"rubbish")
    assert refused.reason is CommonReason.MALFORMED


def test_a_repeat_of_a_pending_transaction_joins_it() -> None:
    solo = leading()
    raw = solo.transaction(1)
    first, second = solo.submit(raw), solo.submit(raw, raw)
    finish(solo)
    assert len(first) == 1
    assert first * 2 == second
    assert tally.units_of(solo.node.ledger.state, "acme") == 5


def test_a_repeat_of_a_decided_transaction_gets_the_recorded_result_once_final() -> None:
    solo = leading()
    raw = solo.transaction(1)
    first = solo.submit(raw)
    solo.acknowledge()
    second = solo.submit(raw)
    assert second == []
    solo.vote_for_all()
    third = solo.submit(raw)
    assert first == second == third
    assert solo.node.ledger.applied_height == 2


def test_a_request_id_is_never_used_for_a_second_body() -> None:
    """And it is said to be used only once that is final: the first may still come to nothing."""
    solo = leading()
    solo.submit(solo.transaction(1))
    other = solo.transaction(1, tally.deposit("acme", 6))
    [pending] = solo.submit(other)
    solo.acknowledge()
    [applied] = solo.submit(other)
    assert pending.reason is applied.reason is CommonReason.BUSY
    solo.vote_for_all()
    [decided] = solo.submit(other)
    assert decided.reason is CommonReason.REQUEST_ID_REUSED
    assert solo.node.ledger.applied_height == 2


def test_a_second_body_that_could_outlive_the_first_result_is_refused_by_a_block() -> None:
    solo = leading()
    long_before = tally.START_UNIX_MS + 5_000
    solo.submit(solo.transaction(1, valid_until_unix_ms=long_before))
    finish(solo)
    solo.now += 10_000
    late = solo.now + tally_hours(1)
    other = solo.transaction(1, tally.deposit("acme", 6), valid_until_unix_ms=late)
    results = solo.submit(other)
    finish(solo)
    assert [(r.reason, r.height) for r in results] == [(CommonReason.REQUEST_ID_REUSED, 2)]
    assert solo.node.ledger.applied_height == 3
    [again] = solo.submit(other)
    assert (again.reason, again.height) == (CommonReason.REQUEST_ID_REUSED, 0)
    assert tally.units_of(solo.node.ledger.state, "acme") == 5


def test_a_first_body_whose_result_has_left_the_window_is_not_called_refused() -> None:
    """It took effect; after its hour the id was used again."""
    solo = leading()
    first = solo.transaction(1, valid_until_unix_ms=solo.now + 1_000)
    solo.submit(first)
    finish(solo)
    solo.now += tally_hours(1) + 60_000
    until = solo.now + 60_000
    solo.submit(solo.transaction(1, tally.deposit("acme", 6), valid_until_unix_ms=until))
    finish(solo)
    assert tally.units_of(solo.node.ledger.state, "acme") == 11
    assert [result.reason for result in solo.submit(first)] == [CommonReason.NOT_IN_WINDOW]


def test_who_leads_no_longer_says_so_before_anything_is_said_of_a_second_body() -> None:
    """The first is in its log for good, and will never be decided here."""
    solo = leading()
    finish(solo)
    solo.submit(solo.transaction(1))
    solo.ticks(200)
    assert solo.node.raft.role is not Role.LEADER
    [told] = solo.submit(solo.transaction(1, tally.deposit("acme", 6)))
    assert told.reason is CommonReason.NOT_LEADER


def test_what_a_clock_alone_finds_expired_is_refused_by_a_block() -> None:
    """At its door a node cannot know: it may be in time for a leader whose clock is slower."""
    solo = leading()
    finish(solo)
    solo.now += 60_000
    raw = solo.transaction(1, valid_until_unix_ms=solo.now - 1)
    results = solo.submit(raw)
    assert results == []
    finish(solo)
    assert [(r.reason, r.height) for r in results] == [(CommonReason.EXPIRED, 2)]
    assert [(r.reason, r.height) for r in solo.submit(raw)] == [(CommonReason.EXPIRED, 0)]
    assert solo.node.ledger.applied_height == 2


def test_a_block_that_is_not_final_proves_nothing_expired() -> None:
    """Where a leader lies no block need follow from it."""
    solo = leading()
    finish(solo)
    solo.now += 60_000
    solo.submit(solo.transaction(1))
    solo.acknowledge()
    assert solo.node.ledger.applied_height == solo.node.final_height + 1 == 2
    assert solo.submit(solo.transaction(2, valid_until_unix_ms=solo.now - 1_000)) == []


def test_what_is_too_old_to_know_by_the_clock_is_not_called_expired() -> None:
    """Its result may have left the window in a block that is not final here."""
    solo = leading()
    finish(solo)
    raw = solo.transaction(1)
    solo.now += tally_hours(3)
    assert [result.reason for result in solo.submit(raw)] == [CommonReason.NOT_IN_WINDOW]


def test_a_follower_that_is_behind_calls_nothing_expired() -> None:
    """What ran in a block it does not have yet would be called so."""
    solo = Solo()
    solo.node.start()
    solo.append(Block(tally.START_UNIX_MS + 1, ()), leader="core-1")
    solo.now += 60_000
    [told] = solo.submit(solo.transaction(1, valid_until_unix_ms=solo.now - 1))
    assert told.reason is CommonReason.NOT_LEADER


@pytest.fixture
def takes_unsigned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the chain take an operation that nobody signs."""
    unsigned = Rule(ImportHeader, lambda *_: None, lambda *_: None, signed=False)
    rules = {**tally.CHAIN.rules, "import_header": unsigned}
    monkeypatch.setattr(tally, "CHAIN", replace(tally.CHAIN, rules=rules))


def unsigned(solo: Solo, valid_until_unix_ms: int) -> bytes:
    return compose(
        solo.chain_id,
        Operation(import_header=ImportHeader()),
        request_id=bytes(16),
        valid_until_unix_ms=valid_until_unix_ms,
    ).raw


@pytest.mark.usefixtures("takes_unsigned")
def test_what_nobody_signed_ends_by_the_clock_and_comes_into_no_block() -> None:
    """It may carry a secret, which is not to be seen once its time is over."""
    solo = leading()
    finish(solo)
    solo.now += 60_000
    [told] = solo.submit(unsigned(solo, solo.now - 1))
    assert (told.reason, told.height) == (CommonReason.EXPIRED, 0)
    assert solo.node.queued == 0


@pytest.mark.usefixtures("takes_unsigned")
def test_what_nobody_signed_does_not_come_into_a_block_when_it_has_waited_for_too_long() -> None:
    solo = leading()
    finish(solo)
    for number in range(solo.settings.blocks_in_flight_max):
        solo.submit(solo.transaction(number))
    waiting = unsigned(solo, solo.now + 1_000)
    results = solo.submit(waiting)
    signed = solo.submit(solo.transaction(77))
    assert results == signed == []
    solo.now += 60_000
    finish(solo)
    assert [(told.reason, told.height) for told in results] == [(CommonReason.EXPIRED, 0)]
    assert [told.reason for told in signed] == [None]
    written = solo.log.entries(1, solo.log.last_index + 1, 1 << 22)
    assert not any(waiting in entry.data for entry in written)


def test_a_forged_transaction_does_not_take_the_request_id_of_a_true_one() -> None:
    solo = leading()
    solo.holds_checks = True
    true = solo.transaction(1)
    forged = solo.transaction(1, tally.deposit("zeta", 6))[:-1] + b"\x00"
    forged_results, true_results = solo.submit(forged), solo.submit(true)
    for done in solo.checks:
        done()
    finish(solo)
    assert [result.reason for result in forged_results] == [CommonReason.BAD_SIGNATURE]
    assert [result.reason for result in true_results] == [None]


def test_load_makes_blocks_larger_and_not_more() -> None:
    """With two blocks in flight what arrives waits, and then goes into one block."""
    solo = leading()
    for number in range(40):
        solo.submit(solo.transaction(number))
    assert solo.node.raft.last_index - solo.node.raft.commit_index == 2
    assert solo.node.queued == 38
    finish(solo)
    assert solo.node.ledger.applied_height == 4
    assert solo.node.queued == solo.node.waiting == 0


def test_a_block_has_a_bounded_number_of_transactions() -> None:
    solo = leading()
    raws = [solo.transaction(number) for number in range(BLOCK_TRANSACTIONS_MAX + 2)]
    solo.submit(*raws[:2])
    solo.submit(raws[2])
    solo.submit(*raws[3:])
    finish(solo)
    sizes = [len(solo.node.ledger.leaves_at(height)) for height in (2, 3, 4)]
    assert sizes == [2, 1, BLOCK_TRANSACTIONS_MAX - 1]


def test_a_block_has_a_bounded_number_of_bytes() -> None:
    solo = leading()
    long_name = "a" * 60_000
    count = BLOCK_BYTES_MAX // len(long_name) + 2
    raws = [solo.transaction(number, tally.deposit(long_name, 0)) for number in range(count + 2)]
    solo.submit(raws[0])
    solo.submit(raws[1])
    solo.submit(*raws[2:])
    finish(solo)
    written = solo.log.entries(1, solo.log.last_index + 1, 1 << 30)
    assert all(len(entry.data) <= BLOCK_BYTES_MAX for entry in written)
    sizes = [len(solo.node.ledger.leaves_at(height)) for height in (2, 3, 4, 5)]
    assert sizes[:2] == [1, 1]
    assert sum(sizes[2:]) == count
    assert sizes[3] > 0


def test_too_many_at_once_and_a_full_queue_are_refused() -> None:
    solo = leading(queue_transactions_max=3)
    assert {result.reason for result in solo.submit(*[b""] * (SUBMITTED_MAX + 1))} == {
        CommonReason.TOO_LARGE
    }
    answers = [solo.submit(solo.transaction(number)) for number in range(6)]
    assert [[result.reason for result in results] for results in answers] == [
        *[[]] * 5,
        [CommonReason.BUSY],
    ]
    finish(solo)
    assert all(results[0].reason is None for results in answers[:5])


def test_without_finality_a_leader_stops_proposing_and_goes_on_after_it() -> None:
    solo = leading(unfinal_blocks_max=4)
    for number in range(12):
        solo.submit(solo.transaction(number))
        solo.acknowledge()
    assert solo.node.ledger.applied_height - solo.node.final_height == 5
    assert solo.node.queued == 7
    finish(solo)
    assert solo.node.queued == solo.node.waiting == 0


def test_an_idle_chain_makes_an_empty_block_every_ten_seconds() -> None:
    solo = leading()
    made_at: list[int] = []
    for tick in range(0, 320, 5):
        solo.ticks(5)
        if solo.node.raft.last_index > 1 + len(made_at):
            made_at.append(tick // 100)
        solo.acknowledge()
        solo.vote_for_all()
    assert made_at == [0, 1, 2]


def test_who_loses_office_tells_the_queue_at_once_and_the_proposed_when_it_is_replaced() -> None:
    solo = leading()
    proposed = [solo.submit(solo.transaction(number)) for number in range(2)]
    queued = solo.submit(solo.transaction(7))
    term = solo.node.raft.term
    solo.append(leader="core-1", term=term + 1, prev=(1, term), commit=1)
    assert [result.reason for result in queued] == [CommonReason.NOT_LEADER]
    assert queued[0].metadata["leader_node_id"] == "core-1"
    assert proposed == [[], []]
    later = Block(solo.now + 10, ())
    solo.append(later, leader="core-1", term=term + 1, prev=(1, term), commit=1, round_number=2)
    assert [result.reason for [result] in proposed] == [CommonReason.OUTCOME_UNKNOWN] * 2
    assert solo.node.waiting == 0


def test_a_block_proposed_before_office_was_lost_still_answers_when_it_commits() -> None:
    solo = leading()
    proposed = solo.submit(solo.transaction(1))
    term = solo.node.raft.term
    later = Block(solo.now + 10, ())
    solo.append(later, leader="core-1", term=term + 1, prev=(2, term), commit=3)
    assert solo.node.ledger.applied_height == 3
    solo.vote_for_all()
    assert [(result.reason, result.height) for result in proposed] == [(None, 2)]


def test_who_waits_too_long_is_told_that_the_outcome_is_not_known() -> None:
    solo = leading(election_ticks_min=100, election_ticks_max=101)
    results = solo.submit(solo.transaction(1))
    solo.ticks(49)
    assert results == []
    solo.ticks(2)
    assert [result.reason for result in results] == [CommonReason.OUTCOME_UNKNOWN]
    assert results[0].transaction_id != b""
    finish(solo)
    [repeat] = solo.submit(solo.transaction(1))
    assert (repeat.reason, repeat.height) == (None, 2)


def test_a_block_is_applied_only_once_its_signatures_are_checked_and_parsed_but_once() -> None:
    solo = Solo()
    solo.node.start()
    solo.holds_checks = True
    solo.append(Block(tally.START_UNIX_MS + 1, (solo.transaction(1),)))
    solo.append(commit=1, round_number=2)
    assert solo.node.ledger.applied_height == 0
    [done] = solo.checks
    done()
    assert solo.node.ledger.applied_height == 1


def test_a_read_waits_for_a_quorum_and_for_finality() -> None:
    solo = leading()
    solo.submit(solo.transaction(1))
    solo.acknowledge()
    answers: list[object] = []
    solo.node.read_barrier(answers.append)
    assert answers == []
    solo.acknowledge(PEERS[:2])
    assert answers == []
    solo.vote_for_all()
    assert answers == [2]


def test_reads_end_where_this_node_does_not_lead_or_stops() -> None:
    solo = Solo()
    solo.node.start()
    answers: list[object] = []
    solo.node.read_barrier(answers.append)
    solo.elect()
    solo.node.read_barrier(answers.append)
    solo.node.fail("the operator said so")
    solo.node.read_barrier(answers.append)
    assert [str(answer).split(":")[0] for answer in answers] == [
        "NOT_LEADER",
        "NOT_READY",
        "NOT_READY",
    ]
