"""The sentences of the Raft paper (extended version), section 5 and 8, one test each.

Every test has three parts: a node is brought into a state, something happens, and the paper's
words are checked. A node of ours asks before it stands (pre-vote, Ongaro's thesis, section
9.6); where that comes between the paper's sentence and the node, the helper `stand` plays the
part of the peers.
"""

from __future__ import annotations

import pytest

from common.raft.errors import NotLeader
from common.raft.messages import Append, AppendReply, Entry, HardState, Vote, VoteReply
from common.raft.ready import ReadState
from common.raft.roles import Role
from tests.kit.raft_solo import Solo, entries, of


@pytest.mark.parametrize("role", [Role.FOLLOWER, Role.CANDIDATE, Role.LEADER])
def test_a_smaller_term_is_updated_to_the_larger_value(role: Role) -> None:
    """If one server's current term is smaller than the other's, then it updates its current term to
    the larger value. If a candidate or leader discovers that its term is out of date, it
    immediately reverts to follower state. Section 5.1.
    """
    node = Solo()
    if role is Role.CANDIDATE:
        node.stand()
    if role is Role.LEADER:
        node.lead()

    node.step(node.append(term=7))

    assert (node.raft.role, node.raft.term) == (Role.FOLLOWER, 7)
    assert node.state == HardState(7, "")


def test_a_request_with_a_stale_term_is_rejected() -> None:
    """If a server receives a request with a stale term, it rejects the request. Section 5.1."""
    node = Solo(term=5)

    replies = node.step(node.append(Entry(4, 1, b"old"), term=4))
    replies += node.step(node.ask(4, (9, 4)))

    assert [reply.accepted for reply in of(AppendReply, replies)] == [False]
    assert [reply.granted for reply in of(VoteReply, replies)] == [False]
    assert {reply.term for reply in replies} == {5}
    assert node.log() == []


def test_servers_begin_as_followers() -> None:
    """When servers start up, they begin as followers. Section 5.2."""
    node = Solo(term=3, vote="a", log=(1, 3))

    assert (node.raft.role, node.raft.leader_id) == (Role.FOLLOWER, None)


def test_a_follower_stays_one_while_it_hears_a_leader() -> None:
    """A server remains in follower state as long as it receives valid RPCs from a leader or
    candidate. Section 5.2.
    """
    node = Solo()

    for _ in range(10):
        node.step(node.append(term=1))
        node.tick(19)

    assert node.raft.role is Role.FOLLOWER


def test_a_leader_sends_periodic_heartbeats() -> None:
    """Leaders send periodic heartbeats (AppendEntries RPCs that carry no log entries) to all
    followers in order to maintain their authority. Section 5.2.
    """
    node = Solo(heartbeat_ticks=3)
    for append in of(Append, node.lead()):
        node.step(node.yes(append))

    sent = of(Append, node.tick(3))

    assert [(append.receiver, append.entries) for append in sent] == [("b", ()), ("c", ())]


def test_a_follower_that_hears_nothing_begins_an_election() -> None:
    """To begin an election, a follower increments its current term and transitions to candidate
    state. It then votes for itself and issues RequestVote RPCs in parallel to each of the other
    servers in the cluster. Section 5.2.
    """
    node = Solo(5, term=2)

    requests = of(Vote, node.stand())

    assert (node.raft.role, node.raft.term) == (Role.CANDIDATE, 3)
    assert node.state == HardState(3, "a")
    assert [request.receiver for request in requests] == ["b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("voters", "granted", "wins"),
    [
        (1, 0, True),
        (3, 0, False),
        (3, 1, True),
        (4, 1, False),
        (4, 2, True),
        (5, 1, False),
        (5, 2, True),
    ],
)
def test_a_candidate_wins_with_a_majority(voters: int, granted: int, wins: bool) -> None:
    """A candidate wins an election if it receives votes from a majority of the servers in the full
    cluster for the same term. Section 5.2.
    """
    node = Solo(voters)
    node.stand()

    for peer in node.peers[:granted]:
        node.step(VoteReply(peer, "a", 1, granted=True))
        node.step(VoteReply(peer, "a", 1, granted=True))
        node.step(VoteReply(peer, "a", 0, granted=True))

    assert (node.raft.role is Role.LEADER) is wins


def test_each_server_votes_for_at_most_one_candidate_in_a_term() -> None:
    """Each server will vote for at most one candidate in a given term, on a first-come-first-served
    basis. Section 5.2.
    """
    node = Solo()

    replies = node.step(node.ask(1, (0, 0), sender="c"))
    replies += node.step(node.ask(1, (9, 1), sender="b"))
    replies += node.step(node.ask(1, (0, 0), sender="c"))
    replies += node.step(node.ask(2, (0, 0), sender="b"))

    granted = [(reply.receiver, reply.granted) for reply in of(VoteReply, replies)]
    assert granted == [("c", True), ("b", False), ("c", True), ("b", True)]


@pytest.mark.parametrize("term", [1, 2])
def test_a_candidate_recognizes_the_leader_of_its_term_or_a_later_one(term: int) -> None:
    """While waiting for votes, a candidate may receive an AppendEntries RPC from another server
    claiming to be leader. If the leader's term is at least as large as the candidate's current
    term, then the candidate recognizes the leader as legitimate and returns to follower state.
    Section 5.2.
    """
    node = Solo()
    node.stand()

    node.step(node.append(term=term))

    assert (node.raft.role, node.raft.leader_id, node.raft.term) == (Role.FOLLOWER, "b", term)


def test_a_candidate_ignores_the_leader_of_an_older_term() -> None:
    """If the term in the RPC is smaller than the candidate's current term, then the candidate
    rejects the RPC and continues in candidate state. Section 5.2.
    """
    node = Solo(term=4)
    node.stand()

    replies = node.step(node.append(term=4))

    assert node.raft.role is Role.CANDIDATE
    assert [(reply.accepted, reply.term) for reply in of(AppendReply, replies)] == [(False, 5)]


def test_a_split_vote_leads_to_a_new_election_in_a_new_term() -> None:
    """When this happens, each candidate will time out and start a new election by incrementing its
    term and initiating another round of RequestVote RPCs. Section 5.2.
    """
    node = Solo()
    node.stand()
    node.step(VoteReply("b", "a", 1, granted=False))
    node.step(VoteReply("c", "a", 1, granted=False))

    requests = of(Vote, node.stand())

    assert [request.term for request in requests] == [2, 2]


def test_election_timeouts_are_chosen_anew_each_time() -> None:
    """Election timeouts are chosen randomly from a fixed interval. Each candidate restarts its
    randomized election timeout at the start of an election. Section 5.2.
    """
    node = Solo()
    before = len(node.timeouts)

    node.stand()
    node.stand()

    assert len(node.timeouts) - before >= 2


def test_a_leader_appends_and_then_sends_in_parallel() -> None:
    """The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in
    parallel to each of the other servers to replicate the entry. Section 5.3.
    """
    node = Solo()
    for append in of(Append, node.lead()):
        node.step(node.yes(append))

    place = node.raft.propose(b"command")
    ready = node.raft.ready()

    assert place == (1, 2)
    assert ready is not None
    assert ready.entries == (Entry(1, 2, b"command"),)
    sent = [(append.receiver, append.entries) for append in of(Append, ready.messages)]
    assert sent == [("b", ready.entries), ("c", ready.entries)]


def test_only_a_leader_takes_commands() -> None:
    """If a client contacts a follower, the follower redirects it to the leader. Section 5.1."""
    node = Solo()
    node.step(node.append(term=1, sender="c"))

    with pytest.raises(NotLeader) as refused:
        node.raft.propose(b"command")

    assert (refused.value.leader_id, refused.value.term) == ("c", 1)


@pytest.mark.parametrize(
    ("voters", "acknowledged", "committed"),
    [(3, 0, False), (3, 1, True), (4, 1, False), (4, 2, True), (5, 1, False), (5, 2, True)],
)
def test_an_entry_on_a_majority_is_committed(
    voters: int, acknowledged: int, committed: bool
) -> None:
    """A log entry is committed once the leader that created the entry has replicated it on a
    majority of the servers. Section 5.3.
    """
    node = Solo(voters)
    for append in of(Append, node.lead()):
        node.step(node.yes(append))
    node.raft.propose(b"command")

    for append in of(Append, node.work())[:acknowledged]:
        node.step(node.yes(append))
        node.step(node.yes(append))

    assert (node.raft.commit_index == 2) is committed
    assert (Entry(1, 2, b"command") in node.applied) is committed


def test_a_commit_takes_all_preceding_entries_with_it() -> None:
    """This also commits all preceding entries in the leader's log, including entries created by
    previous leaders. Section 5.3.
    """
    node = Solo(term=3, log=(1, 2, 2))

    for append in of(Append, node.lead()):
        node.step(node.yes(append))

    assert [entry.term for entry in node.applied] == [1, 2, 2, 4]


def test_a_follower_applies_in_log_order_what_it_learns_to_be_committed() -> None:
    """Once a follower learns that a log entry is committed, it applies the entry to its local state
    machine (in log order). Section 5.3.
    """
    node = Solo()
    node.step(node.append(*entries(1, 1, 1), term=1, commit=1))
    first = list(node.applied)

    node.step(node.append(term=1, prev=(3, 1), commit=3, round_number=2))

    assert first == entries(1)
    assert node.applied == entries(1, 1, 1)


def test_a_commit_index_beyond_the_message_is_not_believed() -> None:
    """If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry).
    Figure 2.
    """
    node = Solo(term=1, log=(1, 1, 1))

    node.step(node.append(term=2, prev=(2, 1), commit=3))

    assert node.raft.commit_index == 2


def test_a_leader_sends_again_until_a_follower_has_it() -> None:
    """If followers crash or run slowly, or if network packets are lost, the leader retries
    AppendEntries RPCs indefinitely. Section 5.3.
    """
    node = Solo()
    node.lead()

    for _ in range(5):
        sent = of(Append, node.tick())
        assert [append.entries for append in sent] == [(Entry(1, 1, b"noop"),)] * 2
        node.step(AppendReply("b", "a", 1, sent[0].round, False, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("log", "prev", "accepted"),
    [((), (0, 0), True), ((1, 2), (2, 2), True), ((1, 2), (3, 2), False), ((1, 2), (2, 1), False)],
)
def test_a_follower_refuses_entries_it_cannot_connect(
    log: tuple[int, ...], prev: tuple[int, int], accepted: bool
) -> None:
    """If the follower does not find an entry in its log with the same index and term, then it
    refuses the new entries. Section 5.3.
    """
    node = Solo(term=2, log=log)
    new = Entry(3, prev[0] + 1, b"new")

    replies = of(AppendReply, node.step(node.append(new, term=3, prev=prev)))

    assert [reply.accepted for reply in replies] == [accepted]
    assert (new in node.log()) is accepted


@pytest.mark.parametrize(
    ("log", "new", "after"),
    [
        ((1, 1, 1), (2,), (1, 2)),
        ((1, 1, 1), (1,), (1, 1, 1)),
        ((1, 1), (1, 2), (1, 1, 2)),
        ((1, 1, 1), (1, 2), (1, 1, 2)),
        ((1,), (2, 2), (1, 2, 2)),
    ],
)
def test_conflicting_entries_are_replaced_and_no_others(
    log: tuple[int, ...], new: tuple[int, ...], after: tuple[int, ...]
) -> None:
    """If an existing entry conflicts with a new one (same index but different terms), delete the
    existing entry and all that follow it. Append any new entries not already in the log. Figure
    2.
    """
    node = Solo(term=1, log=log)

    node.step(node.append(*entries(*new, first_index=2), term=2, prev=(1, 1)))

    assert tuple(entry.term for entry in node.log()) == after


def test_the_acknowledgement_is_of_the_message_not_of_the_log() -> None:
    """The follower's log is identical to the leader's own log up through the new entries: nothing
    more is known. Section 5.3 (and the end of the longer log is nobody's news of agreement).
    """
    node = Solo(term=1, log=(1, 1, 1, 1, 1))

    replies = of(
        AppendReply, node.step(node.append(*entries(1, first_index=2), term=2, prev=(1, 1)))
    )
    replies += of(AppendReply, node.step(node.append(term=2, prev=(1, 1), round_number=2)))

    assert [(reply.index, reply.last_index) for reply in replies] == [(2, 5), (1, 5)]


def test_a_new_leader_starts_just_after_its_own_last_entry() -> None:
    """When a leader first comes to power, it initializes all nextIndex values to the index just
    after the last one in its log. Section 5.3.
    """
    node = Solo(term=2, log=(1, 2))

    appends = of(Append, node.lead())

    assert [(append.prev_index, append.prev_term) for append in appends] == [(2, 2), (2, 2)]


def test_a_refused_leader_goes_back_until_the_logs_match() -> None:
    """After a rejection, the leader decrements nextIndex and retries the AppendEntries RPC.
    Eventually nextIndex will reach a point where the leader and follower logs match. Section
    5.3.
    """
    node = Solo(term=3, log=(1, 1, 2, 3))
    (append, _) = of(Append, node.lead())

    (again,) = of(Append, node.step(node.no(append, hint=(3, 1))))

    assert (again.prev_index, again.prev_term) == (2, 1)
    assert [entry.term for entry in again.entries] == [2, 3, 4]


@pytest.mark.parametrize(
    ("log", "last", "granted"),
    [
        ((1,), (1, 1), True),
        ((1,), (1, 2), True),
        ((1,), (2, 1), True),
        ((1, 1), (1, 1), False),
        ((1, 1), (1, 2), True),
        ((2,), (1, 1), False),
        ((2,), (9, 1), False),
        ((), (0, 0), True),
    ],
)
def test_a_voter_denies_its_vote_to_a_log_that_is_behind_its_own(
    log: tuple[int, ...], last: tuple[int, int], granted: bool
) -> None:
    """The voter denies its vote if its own log is more up-to-date than that of the candidate. If
    the logs have last entries with different terms, then the log with the later term is more up-
    to-date. If the logs end with the same term, then whichever log is longer is more up-to-date.
    Section 5.4.1.
    """
    node = Solo(term=2, log=log)

    replies = node.step(node.ask(3, last))

    assert [reply.granted for reply in of(VoteReply, replies)] == [granted]


def test_only_entries_of_the_own_term_are_committed_by_counting() -> None:
    """Raft never commits log entries from previous terms by counting replicas. Only log entries
    from the leader's current term are committed by counting replicas. Section 5.4.2.
    """
    node = Solo(term=2, log=(1, 2), append_bytes_max=1)
    (append, _) = of(Append, node.lead())

    (older,) = of(Append, node.step(node.no(append, hint=(1, 1))))
    assert older.entries == tuple(entries(2, first_index=2))
    (own,) = [a for a in of(Append, node.step(node.yes(older))) if a.receiver == "b"]
    assert node.raft.commit_index == 0

    node.step(node.yes(own))
    assert node.raft.commit_index == 3


def test_requests_are_idempotent() -> None:
    """If a follower receives an AppendEntries request that includes log entries already present in
    its log, it ignores those entries in the new request. Section 5.5.
    """
    node = Solo()
    append = node.append(*entries(1, 1), term=1, commit=1)
    node.step(append)
    before = node.log(), node.raft.commit_index, list(node.applied)

    replies = of(AppendReply, node.step(append))

    assert (node.log(), node.raft.commit_index, node.applied) == before
    assert [reply.index for reply in replies] == [2]


def test_a_leader_commits_an_empty_entry_at_the_start_of_its_term() -> None:
    """Raft handles this by having each leader commit a blank no-op entry into the log at the start
    of its term. Section 8.
    """
    node = Solo(term=4, log=(1,))

    appends = of(Append, node.lead())

    assert {append.entries for append in appends} == {(Entry(5, 2, b"noop"),)}


def test_a_read_waits_for_heartbeats_with_a_majority() -> None:
    """Raft handles this by having the leader exchange heartbeat messages with a majority of the
    cluster before responding to read-only requests. Section 8.
    """
    node = Solo(5)
    for append in of(Append, node.lead()):
        node.step(node.yes(append))
    node.raft.read_index(7)

    first, second, *_ = of(Append, node.work())
    node.step(node.yes(first))
    assert node.reads == []

    node.step(node.yes(second))
    assert node.reads == [ReadState(7, 1)]
