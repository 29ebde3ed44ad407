"""What one node does that neither the paper nor a transcript tells."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import CommonReason, InvariantBroken
from common.raft.errors import BadMessage, Busy, NotLeader, TooLarge
from common.raft.messages import (
    Append,
    AppendReply,
    Entry,
    Message,
    PreVote,
    PreVoteReply,
    TimeoutNow,
    Vote,
    VoteReply,
)
from common.raft.progress import Mode
from common.raft.ready import ReadFailed, ReadState, RoleChange
from common.raft.roles import Role
from tests.kit.raft_solo import Solo, entries, of


def settled(**settings: Any) -> Solo:
    """A leader whose followers have acknowledged its empty block, and know that it is committed."""
    node = Solo(**settings)
    for append in of(Append, node.lead()):
        for news in of(Append, node.step(node.yes(append))):
            node.raft.step(node.yes(news))
    node.work()
    return node


@pytest.mark.parametrize(
    "message",
    [
        VoteReply("b", "c", 1, granted=True),
        VoteReply("a", "a", 1, granted=True),
        VoteReply("z", "a", 1, granted=True),
        Append("b", "a", 1, 0, 0, (Entry(1, 2, b""),), 0, 1),
        Append("b", "a", 2, 0, 0, (Entry(1, 1, b""), Entry(1, 3, b"")), 0, 1),
        Append("b", "a", 2, 0, 0, (Entry(2, 1, b""), Entry(1, 2, b"")), 0, 1),
        Append("b", "a", 2, 1, 2, (Entry(1, 2, b""),), 0, 1),
        Append("b", "a", 1, 0, 0, (Entry(2, 1, b""),), 0, 1),
        Append("b", "a", 1, 5, 2, (), 0, 1),
        Append("b", "a", 1, 0, 0, (Entry(1, 1, b"12345"),), 0, 1),
    ],
)
def test_a_message_no_correct_node_sends_has_no_effect(message: Message) -> None:
    node = Solo(entry_bytes_max=4)
    with pytest.raises(BadMessage):
        node.raft.step(message)
    assert node.raft.ready() is None
    assert node.raft.term == 0


@pytest.mark.parametrize(
    "reply",
    [
        AppendReply("b", "a", 1, 99, True, 1, 0, 0, 1),
        AppendReply("b", "a", 1, 1, True, 99, 0, 0, 99),
    ],
)
def test_a_made_up_reply_moves_nothing(reply: AppendReply) -> None:
    """A follower cannot confirm a round it was not sent, nor acknowledge what is not in the log."""
    node = settled()
    before = node.raft.progress
    with pytest.raises(BadMessage):
        node.raft.step(reply)
    assert node.raft.progress == before


def test_two_leaders_of_one_term_stop_the_node() -> None:
    node = Solo()
    node.step(node.append(term=1, sender="b"))
    with pytest.raises(InvariantBroken, match="both lead term 1"):
        node.raft.step(node.append(term=1, sender="c"))
    leader = settled()
    with pytest.raises(InvariantBroken, match="both lead term 1"):
        leader.raft.step(leader.append(term=1, sender="c"))


def test_a_leader_without_a_committed_entry_stops_the_node() -> None:
    node = Solo()
    node.step(node.append(*entries(1, 1), term=1, commit=2))
    with pytest.raises(InvariantBroken, match="all is committed"):
        node.raft.step(node.append(term=2, prev=(2, 2), sender="c"))


def test_only_the_leader_may_order_an_election() -> None:
    node = Solo()
    node.step(node.append(term=1, sender="b"))
    assert of(Vote, node.step(TimeoutNow("c", "a", 1))) == []
    assert {vote.transfer for vote in of(Vote, node.step(TimeoutNow("b", "a", 1)))} == {True}


def test_a_vote_is_refused_while_a_leader_is_alive_unless_it_asked_for_it() -> None:
    node = Solo()
    node.step(node.append(term=1, sender="b"))
    node.tick(9)
    assert node.step(node.ask(5, (9, 9), sender="c")) == []
    assert node.step(node.pre_ask(5, (9, 9), sender="c")) == []
    assert node.raft.term == 1

    node.tick(1)
    assert of(PreVoteReply, node.step(node.pre_ask(5, (9, 9), sender="c")))[0].granted
    assert node.raft.term == 1
    ordered = Vote("c", "a", 2, 9, 1, transfer=True)
    node.step(node.append(term=1, sender="b", round_number=2))
    assert of(VoteReply, node.step(ordered))[0].granted


def test_a_vote_restarts_the_patience_of_the_voter() -> None:
    node = Solo(term=1)
    node.tick(19)
    node.step(node.ask(1, (0, 0)))
    node.tick(10)
    assert node.raft.role is Role.FOLLOWER


def test_nothing_leaves_before_the_disk_has_what_it_promises() -> None:
    """Votes, acknowledgements and bare terms wait for the disk."""
    node = Solo()
    node.raft.step(node.ask(3, (0, 0)))
    voted = node.ready()
    node.raft.step(node.append(Entry(3, 1, b"x"), term=3))
    appended = node.ready()
    node.raft.step(node.append(term=2))
    refused = node.ready()
    assert voted.messages + appended.messages + refused.messages == ()
    assert refused.receipt is not None
    assert not refused.must_sync

    assert of(VoteReply, node.write(voted))[0].granted
    assert of(AppendReply, node.write(appended))[0].index == 1
    assert of(AppendReply, node.write(refused))[0].term == 3


def test_a_heartbeat_is_answered_at_once_with_what_the_disk_has() -> None:
    """A slow disk must not make a follower look dead, nor its log look safe."""
    node = Solo(term=1, log=(1,))
    node.step(node.append(term=1, prev=(1, 1)))
    node.raft.step(node.append(*entries(1, first_index=2), term=1, prev=(1, 1), round_number=2))
    slow = node.ready()
    node.raft.step(node.append(term=1, prev=(2, 1), round_number=3))
    heartbeat = node.ready()

    assert [reply.index for reply in of(AppendReply, heartbeat.messages)] == [1]
    assert [reply.index for reply in of(AppendReply, node.write(slow))] == [2]


def test_a_committed_entry_is_applied_only_from_the_own_disk() -> None:
    node = Solo()
    node.raft.step(node.append(*entries(1, 1), term=1, commit=2))
    ready = node.ready()
    assert (node.raft.commit_index, node.raft.durable_index, ready.committed) == (2, 0, ())
    node.write(ready)
    after = node.ready()
    assert after.committed == tuple(entries(1, 1))


def test_each_part_of_the_work_is_handed_out_once() -> None:
    node = settled()
    node.raft.propose(b"x")
    node.raft.read_index(1)
    first = node.ready()
    assert first.entries
    assert node.raft.ready() is None


def test_a_change_of_role_is_news_once() -> None:
    node = Solo()
    node.raft.step(node.append(term=1))
    ready = node.ready()
    assert ready.role_change == RoleChange(Role.FOLLOWER, 1, "b")
    node.write(ready)
    node.raft.step(node.append(term=1, round_number=2))
    again = node.ready()
    assert again.role_change is None


def test_a_refusal_says_where_to_go_and_why() -> None:
    node = settled(uncommitted_entries_max=1, entry_bytes_max=4)
    with pytest.raises(TooLarge) as too_large:
        node.raft.propose(b"12345")
    node.raft.propose(b"1234")
    with pytest.raises(Busy) as busy:
        node.raft.propose(b"1")
    with pytest.raises(ValueError, match="not one of the voters"):
        node.raft.transfer_leadership("z")
    node.raft.transfer_leadership("b")
    with pytest.raises(NotLeader) as not_leader:
        node.raft.propose(b"1")
    reasons = [error.value.reason for error in (too_large, busy, not_leader)]
    assert reasons == [CommonReason.TOO_LARGE, CommonReason.BUSY, CommonReason.NOT_LEADER]
    assert node.raft.transfer_target == "b"
    with pytest.raises(NotLeader):
        Solo().raft.transfer_leadership("b")


def test_reads_beyond_the_limit_fail_at_once_and_no_read_is_lost() -> None:
    node = settled(reads_pending_max=2)
    for token in range(3):
        node.raft.read_index(token)
    node.work()
    assert node.reads == [ReadFailed(2)]
    node.step(node.append(term=9))
    assert node.reads == [ReadFailed(2), ReadFailed(0), ReadFailed(1)]


def test_a_single_node_reads_without_asking() -> None:
    node = Solo(voters=1)
    node.stand()
    node.raft.read_index(1)
    node.work()
    assert node.reads == [ReadState(1, 1)]


def test_what_is_on_the_way_is_derived_from_what_is_known() -> None:
    """However many messages are lost, the window opens again by what the follower says."""
    node = settled(inflight_entries_max=2)
    for _ in range(5):
        node.raft.propose(b"x")
    first = [append for append in of(Append, node.work()) if append.receiver == "b"]
    assert [len(append.entries) for append in first] == [2]
    (heartbeat, _) = of(Append, node.tick())
    assert heartbeat.entries == ()

    resent = of(Append, node.step(node.no(heartbeat, hint=(1, 1))))
    assert [len(append.entries) for append in resent] == [2]
    assert node.raft.progress[0].mode is Mode.PROBE
    more = of(Append, node.step(node.yes(resent[0])))
    assert [append.entries[0].index for append in more if append.receiver == "b"] == [4]


def test_a_follower_that_lost_its_place_before_the_log_gets_heartbeats() -> None:
    """Entries that were compacted away cannot be sent: the follower waits for a snapshot."""
    node = settled()
    for _ in range(3):
        node.raft.propose(b"x")
    b_append, _ = of(Append, node.work())
    node.step(node.yes(b_append))
    node.disk.compact(3)
    node.raft._log.trim(4)
    _, heartbeat = of(Append, node.tick())
    resent = of(Append, node.step(node.no(heartbeat, hint=(1, 1))))
    assert [(append.prev_index, append.entries) for append in resent] == [(3, ())]
    assert node.raft.progress[1].next == 2


def test_the_end_of_the_log_is_shown_before_it_is_committed() -> None:
    """The leader stamps a block by the last one appended, committed or not."""
    node = settled()
    assert node.raft.last_entry == Entry(1, 1, b"noop")
    node.raft.propose(b"x")
    assert node.raft.last_entry == Entry(1, 2, b"x")
    assert (node.raft.commit_index, node.raft.last_index) == (1, 2)


SMALL = st.integers(0, 4)
PEERS = st.sampled_from(["b", "c"])
NEW = st.builds(
    lambda terms, first: tuple(entries(*sorted(terms), first_index=first)),
    st.lists(st.integers(1, 3), max_size=3),
    st.integers(1, 4),
)
ANYTHING = st.one_of(
    st.builds(PreVote, PEERS, st.just("a"), SMALL, SMALL, SMALL),
    st.builds(PreVoteReply, PEERS, st.just("a"), SMALL, st.booleans()),
    st.builds(Vote, PEERS, st.just("a"), SMALL, SMALL, SMALL, st.booleans()),
    st.builds(VoteReply, PEERS, st.just("a"), SMALL, st.booleans()),
    st.builds(Append, PEERS, st.just("a"), SMALL, SMALL, SMALL, NEW, SMALL, SMALL),
    st.builds(
        AppendReply,
        *(PEERS, st.just("a"), SMALL, SMALL, st.booleans(), SMALL, SMALL, SMALL, SMALL),
    ),
    st.builds(TimeoutNow, PEERS, st.just("a"), SMALL),
    st.integers(1, 25),
)


@given(st.lists(ANYTHING, max_size=30))
def test_lying_peers_can_stop_a_node_but_not_confuse_it(inputs: list[Message | int]) -> None:
    """Whatever arrives: a typed refusal, or the stop of a broken invariant; the term and the commit
    index never fall, and what was handed out once stays in the log."""
    node = Solo()
    for item in inputs:
        before = node.raft.term, node.raft.commit_index
        try:
            if isinstance(item, int):
                node.tick(item)
            else:
                node.step(item)
        except BadMessage:
            node.work()
        except InvariantBroken:
            return
        assert node.raft.term >= before[0]
        assert node.raft.commit_index >= before[1]
        assert node.log()[: len(node.applied)] == node.applied


def test_a_late_acknowledgement_takes_nothing_back() -> None:
    node = settled()
    early = of(Append, node.tick())
    node.raft.propose(b"x")
    (news, _) = of(Append, node.work())
    node.step(node.yes(news))
    node.step(node.yes(early[0]))
    assert [(peer.match, peer.next) for peer in node.raft.progress] == [(2, 3), (1, 3)]


def test_the_own_vote_counts_only_from_the_disk_and_in_its_own_term() -> None:
    """A single node stands twice before its disk is done: the first vote elects nobody."""
    node = Solo(voters=1)
    for _ in range(20):
        node.raft.tick()
    first = node.ready()
    for _ in range(20):
        node.raft.tick()
    second = node.ready()
    node.write(first)
    assert (node.raft.role, node.raft.term) == (Role.CANDIDATE, 2)
    node.write(second)
    assert node.raft.role is Role.LEADER
