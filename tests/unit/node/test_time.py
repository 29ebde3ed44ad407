"""Block time: bounded before it is acknowledged, never looked at after that."""

from __future__ import annotations

import pytest

from common.encoding import encode
from common.ledger.block import BLOCK_BYTES_MAX, Block
from common.node.clocks import Clocks
from common.raft.messages import Append, AppendReply, Entry, PreVote, TimeoutNow
from common.raft.progress import Mode, PeerProgress
from common.raft.roles import Role
from tests.kit.solo_node import ME, PEERS, Solo
from tests.kit.tally import START_UNIX_MS

DELTA_MS = 2_000


def following() -> Solo:
    solo = Solo()
    solo.node.start()
    return solo


def test_a_block_too_far_ahead_is_not_acknowledged_and_answered_with_the_clock() -> None:
    solo = following()
    solo.append(Block(solo.now + DELTA_MS, ()))
    assert len(solo.take(AppendReply)) == 1
    solo.clocks_shown.clear()
    solo.append(Block(solo.now + DELTA_MS + 1, ()), round_number=2)
    assert solo.take(AppendReply) == []
    assert solo.clocks_shown == ["core-1"]
    assert solo.node.raft.last_index == 1


def test_a_leader_whose_blocks_lie_ahead_is_not_kept_in_office_by_answers_to_its_heartbeats() -> (
    None
):
    solo = following()
    late = Block(solo.now + DELTA_MS + 500, ())
    solo.append(late)
    for round_number in range(2, 12):
        solo.ticks(1, pass_time=False)
        solo.append(round_number=round_number)
    assert solo.take(AppendReply) == []
    assert solo.take(PreVote) != []
    solo.now += 500
    solo.append(late, round_number=12)
    assert [reply.accepted for _, reply in solo.take(AppendReply)] == [True]


def test_what_lies_before_a_block_too_far_ahead_is_acknowledged() -> None:
    solo = following()
    solo.append(Block(solo.now, ()), Block(solo.now + 5_000, ()))
    assert [reply.index for _, reply in solo.take(AppendReply)] == [1]


def test_a_new_leader_is_not_judged_by_the_blocks_of_the_old_one() -> None:
    solo = following()
    solo.append(Block(solo.now + 5_000, ()))
    solo.append(Block(solo.now, ()), leader="logistics-1", term=2)
    assert [(to, reply.accepted) for to, reply in solo.take(AppendReply)] == [("logistics-1", True)]


def test_a_committed_block_is_applied_and_signed_without_a_look_at_the_clock() -> None:
    solo = following()
    solo.append(Block(solo.now + DELTA_MS, ()))
    solo.now -= 3_600_000
    solo.append(commit=1, round_number=2)
    assert solo.node.ledger.applied_height == 1
    assert solo.log.signed(0, 1) == solo.node.ledger.header_hash


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"rubbish",
        encode(Block(START_UNIX_MS, ())),  # not later than the genesis
        encode(Block(START_UNIX_MS + 1, tuple([b""] * 501))),
        encode(Block(START_UNIX_MS + 1, (bytes(65_537),))),
        encode(Block(START_UNIX_MS + 1, tuple([bytes(60_000)] * (BLOCK_BYTES_MAX // 60_000 + 1)))),
        encode(Block(1 << 62, ())),
        encode((START_UNIX_MS + 1, (), 0)),
    ],
)
def test_what_is_no_block_is_not_acknowledged(data: bytes) -> None:
    solo = following()
    solo.now = 1 << 61
    solo.receive("core-1", Append("core-1", ME, 1, 0, 0, (Entry(1, 1, data),), 0, 1))
    assert solo.take(AppendReply) == []
    assert solo.node.rubbish == 1
    assert [kind for kind, _ in solo.alarms] == ["bad-block"]


def test_a_leader_stamps_its_clock_and_always_later_than_the_block_before() -> None:
    solo = Solo()
    solo.lead()
    solo.now -= 500
    solo.submit(solo.transaction(1))
    solo.acknowledge()
    first = solo.node.ledger.header.time_unix_ms
    assert first == solo.node.ledger.header_at(1).time_unix_ms + 1
    solo.now += 5_000
    solo.submit(solo.transaction(2))
    solo.acknowledge()
    assert solo.node.ledger.header.time_unix_ms == solo.now


@pytest.mark.parametrize("ahead_ms", [-60_000, 60_000])
def test_a_leader_whose_clock_is_off_hands_over_and_meanwhile_goes_by_the_quorums(
    ahead_ms: int,
) -> None:
    solo = Solo()
    solo.lead()
    solo.peers_ahead_ms = -ahead_ms
    for _ in range(120):  # until the offsets heard before are forgotten
        solo.ticks(1)
        solo.acknowledge()
        if solo.take(TimeoutNow):
            break
        solo.vote_for_all()
    else:
        pytest.fail("it keeps its office")
    assert ("clock-off", {"ahead_ms": ahead_ms}) in solo.alarms


def test_a_candidate_with_a_wrong_clock_does_not_stamp_it() -> None:
    solo = Solo()
    solo.now += 120_000
    solo.peers_ahead_ms = -60_000
    solo.node.start()
    solo.elect()
    [(_, append), *_] = solo.take(Append)
    stamped = solo.node._pending.last_time_unix_ms
    assert append.entries
    assert stamped == solo.now - 60_000
    assert solo.node.raft.role is Role.LEADER


def make_clocks(quorum: int = 3) -> Clocks:
    return Clocks(PEERS, quorum, DELTA_MS, lambda: START_UNIX_MS)


@pytest.mark.parametrize(
    ("offsets", "deviation"),
    [
        ((), 0),
        ((9_000,), 0),  # two clocks are no quorum
        ((9_000, 9_000), 9_000),
        ((9_000, 9_000, 9_000), 9_000),
        ((-9_000, -9_000, -9_000), -9_000),
        ((0, 9_000, 9_000), 0),  # of the two in the middle the nearer one
        ((-5_000, 9_000, 9_000), 0),
        ((5_000, 9_000, 9_000), 5_000),
        ((-9_000, 100, 9_000), 0),
        ((-9_000, -100, -50), -50),
    ],
)
def test_the_median_of_a_quorums_clocks(offsets: tuple[int, ...], deviation: int) -> None:
    clocks = make_clocks()
    for peer, offset in zip(PEERS, offsets, strict=False):
        clocks.heard(peer, START_UNIX_MS + offset)
    assert clocks.deviation == deviation
    assert clocks.is_off == (abs(deviation) > DELTA_MS)


def test_the_frame_that_was_fastest_tells_the_clock_and_is_forgotten_in_time() -> None:
    clocks = make_clocks()
    clocks.heard("logistics-1", START_UNIX_MS + 4_000)
    for late_ms in (300, 20, 5_000):
        clocks.heard("core-1", START_UNIX_MS + 4_000 - late_ms)
    assert clocks.deviation == 3_980
    for _ in range(100):
        clocks.tick()
    assert clocks.deviation == 0


def test_office_is_handed_to_the_longest_log_with_the_right_time() -> None:
    clocks = make_clocks()
    for peer, offset in zip(PEERS, (9_000, 9_500, 60_000), strict=True):
        clocks.heard(peer, START_UNIX_MS + offset)
    matches = zip(PEERS, (7, 8, 9), strict=True)
    progress = [PeerProgress(peer, Mode.REPLICATE, match, 10, 9, 0) for peer, match in matches]
    assert clocks.successor(progress) == "logistics-1"
    assert clocks.successor(progress[2:]) is None
