"""Peers and disk have their work before this node does what takes a while."""

from common.ledger.block import Block
from common.node.frames import SignedVote
from common.raft.messages import Append, AppendReply
from tests.kit import tally
from tests.kit.solo_node import PEERS, Solo

BLOCK = Block(tally.START_UNIX_MS + 1, ())


def test_a_leader_tells_of_a_commit_before_it_applies_the_block() -> None:
    solo = Solo()
    solo.holds_work = True
    solo.node.start()
    solo.elect()
    solo.acknowledge(rounds=1)
    commits = {append.commit for _, append in solo.take(Append)}
    assert (commits, solo.node.ledger.applied_height) == ({1}, 0)
    [apply] = solo.work
    apply()
    assert solo.node.ledger.applied_height == 1


def test_a_follower_writes_a_block_before_it_checks_the_signatures_in_it() -> None:
    solo = Solo()
    solo.holds_checks = solo.holds_writes = True
    solo.node.start()
    made = tally.make_transaction(solo.chain_id, "bank", tally.deposit("acme", 1), 1)
    solo.append(Block(tally.START_UNIX_MS + 1, (made.raw,)))
    assert solo.asked == ["write", "check"]


def test_the_reply_to_the_news_of_a_commit_leaves_with_the_vote() -> None:
    solo = Solo()
    solo.holds_writes = True
    solo.node.start()
    solo.append(BLOCK)
    solo.sync()
    solo.take(AppendReply)
    solo.append(commit=1, round_number=2)
    assert solo.take(AppendReply) == []
    solo.sync()
    [(to, vote)] = solo.take(SignedVote)
    [(replied_to, reply)] = solo.take(AppendReply)
    assert to == replied_to == PEERS[0]
    assert (vote.vote.height, reply.round) == (1, 2)


def test_a_reply_that_waits_for_a_vote_leaves_with_the_tick_where_none_comes() -> None:
    solo = Solo()
    solo.node.start()
    solo.append(BLOCK)
    solo.take(AppendReply)
    solo.holds_writes = True
    solo.append(commit=1, round_number=2)
    assert solo.take(AppendReply) == []
    solo.ticks(1)
    assert [reply.round for _, reply in solo.take(AppendReply)] == [2]


def test_a_heartbeat_is_answered_at_once() -> None:
    solo = Solo()
    solo.node.start()
    solo.append(round_number=3)
    assert [reply.round for _, reply in solo.take(AppendReply)] == [3]
