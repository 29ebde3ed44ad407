"""Nothing leaves a node before what it depends on is on the disk."""

from common.errors import CommonReason
from common.ledger.block import Block
from common.node.frames import SignedVote
from common.raft.messages import AppendReply, Vote, VoteReply
from tests.kit.solo_node import ME, Solo
from tests.kit.tally import START_UNIX_MS


def block(seconds: int) -> Block:
    return Block(START_UNIX_MS + seconds * 1_000, ())


def test_an_append_is_acknowledged_only_when_it_is_synced() -> None:
    solo = Solo()
    solo.node.start()
    solo.holds_writes = True
    solo.append(block(1))
    assert solo.take(AppendReply) == []
    solo.sync()
    [(to, reply)] = solo.take(AppendReply)
    assert (to, reply.accepted, reply.index) == ("core-1", True, 1)


def test_a_vote_for_a_leader_leaves_only_when_it_is_synced() -> None:
    solo = Solo()
    solo.node.start()
    solo.holds_writes = True
    solo.receive("core-1", Vote("core-1", ME, 3, 0, 0, False))
    assert solo.take(VoteReply) == []
    solo.sync()
    assert [reply.granted for _, reply in solo.take(VoteReply)] == [True]


def test_a_header_vote_leaves_only_when_its_record_is_synced() -> None:
    solo = Solo()
    solo.node.start()
    solo.append(block(1))
    solo.holds_writes = True
    solo.append(commit=1, round_number=2)
    assert solo.node.ledger.applied_height == 1
    assert solo.take(SignedVote) == []
    solo.ticks(1)
    assert solo.take(SignedVote) == []
    solo.sync()
    solo.ticks(1)
    votes = solo.take(SignedVote)
    assert {to for to, _ in votes} == {"core-1", "logistics-1", "warehouse-1"}
    assert {vote.vote.header_hash for _, vote in votes} == {solo.node.ledger.hash_at(1)}


def test_blocks_applied_together_are_signed_with_one_write_and_voted_for_one_by_one() -> None:
    solo = Solo()
    solo.node.start()
    solo.append(block(1), block(2), block(3))
    solo.written.clear()
    solo.append(commit=3, round_number=2)
    assert [write.signing.height for write in solo.written if write.signing] == [3]
    voted = [vote.vote.height for to, vote in solo.take(SignedVote) if to == "core-1"]
    assert voted == [1, 2, 3]


def test_a_crash_between_record_and_vote_leaves_a_record_that_covers_the_vote() -> None:
    solo = Solo()
    solo.node.start()
    solo.append(block(1))
    solo.holds_writes = True
    solo.append(commit=1, round_number=2)
    header_hash = solo.node.ledger.hash_at(1)
    solo.restart(lost_writes=False)
    assert solo.log.signed(0, 1) == header_hash
    assert solo.node.ledger.applied_height == 1
    assert solo.take(SignedVote) == []


def test_a_failed_disk_stops_the_node_and_every_wait() -> None:
    solo = Solo()
    solo.lead()
    solo.state.fail("the disk is gone")
    results = solo.submit(solo.transaction(1))
    solo.acknowledge()
    assert solo.node.is_stopped
    assert solo.stopped == ["the disk is gone"]
    assert [result.reason for result in results] == [CommonReason.OUTCOME_UNKNOWN]
    assert [result.reason for result in solo.submit(b"")] == [CommonReason.NOT_READY]
    assert solo.node.waiting == 0
