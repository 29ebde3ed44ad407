"""Random lives of a cluster: loss, repetition, reordering, one-way cuts, slow disks and crashes.

A seed decides everything. After every step the promises of Raft are checked on all nodes at once;
at the end the network heals, and the cluster must agree on everything and go on.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from common.raft.errors import Busy, NotLeader
from common.raft.messages import Append, AppendReply, Entry, HardState, Message, Vote, VoteReply
from common.raft.roles import Role
from tests.kit.raft_cluster import Cluster, Node

SEEDS = 200
STEPS = 500
HEALED_ROUNDS = 400


class Promises:
    """What was promised by any node in the whole life of the cluster, and must stay true."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.leaders: dict[int, str] = {}
        self.votes: dict[tuple[str, int], str] = {}
        self.committed: list[Entry] = []
        self.disk_states: dict[str, HardState] = {}

    def check(self) -> None:
        for node in self.cluster.nodes.values():
            self._check_disk(node)
            self._check_applied(node)
            if node.raft is not None and node.raft.role is Role.LEADER:
                self._check_leader(node)
        self._check_log_matching()

    def _check_leader(self, node: Node) -> None:
        """Election Safety, and Leader Completeness."""
        raft = node.up
        if self.leaders.setdefault(raft.term, node.node_id) != node.node_id:
            raise AssertionError(f"two leaders in term {raft.term}")
        own = node.log_entries()
        newest = self.committed[-1].term if self.committed else 0
        if raft.term >= newest and raft.term >= max(self.leaders):
            assert own[: len(self.committed)] == self.committed, "a leader lacks committed entries"

    def _check_disk(self, node: Node) -> None:
        """One vote for each term, for ever; terms on a disk never fall, no entry is above."""
        state = node.disk.hard_state
        before = self.disk_states.get(node.node_id, state)
        assert state.term >= before.term, "a term was forgotten"
        self.disk_states[node.node_id] = state
        if state.vote:
            kept = self.votes.setdefault((node.node_id, state.term), state.vote)
            assert kept == state.vote, f"{node.node_id} voted twice in term {state.term}"
        log = node.disk.log
        assert log.term(log.last_index) <= state.term, "an entry came before its term"

    def _check_applied(self, node: Node) -> None:
        """State Machine Safety: all apply the same entries, each on a quorum of disks first."""
        shared = min(len(node.applied), len(self.committed))
        if shared:
            assert node.applied[shared - 1] == self.committed[shared - 1], "applied logs differ"
        for entry in node.applied[shared:]:
            holders = [
                other
                for other in self.cluster.nodes.values()
                if other.disk.log.last_index >= entry.index
                and other.disk.log.entries(entry.index, entry.index + 1, 0)[0] == entry
            ]
            quorum = len(self.cluster.nodes) // 2 + 1
            assert len(holders) >= quorum, f"{entry} was applied, but is on {len(holders)} disks"
            assert node in holders, f"{entry} was applied where the disk does not have it"
            self.committed.append(entry)

    def _check_log_matching(self) -> None:
        """Logs with the same term at an index are the same up to there."""
        logs = [node.log_entries() for node in self.cluster.nodes.values()]
        for number, one in enumerate(logs):
            for other in logs[number + 1 :]:
                last = 0
                for index in range(min(len(one), len(other)), 0, -1):
                    if one[index - 1].term == other[index - 1].term:
                        last = index
                        break
                assert one[:last] == other[:last], "logs match at an index, but not before it"


class Life:
    """One cluster under random faults."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        size = self.random.choice((3, 3, 4, 5))
        self.cluster = Cluster(
            [f"n{number}" for number in range(size)],
            random_ticks=self.random.randint,
            election_ticks_min=5,
            election_ticks_max=12,
            heartbeat_ticks=2,
            inflight_entries_max=self.random.choice((2, 8)),
            append_bytes_max=self.random.choice((4, 64)),
            cached_bytes_max=self.random.choice((1, 1 << 20)),
            committed_entries_max=self.random.choice((1, 64)),
            commit_news_max=self.random.randint(1, size),
        )
        for node in self.cluster.nodes.values():
            node.holds_writes = True
        self.promises = Promises(self.cluster)
        self.late: list[Message] = []
        self.proposed = 0
        self.next_token = 0
        self.reads: dict[int, int] = {}
        self.open_reads: dict[int, str] = {}
        self.crashes = 0
        self.cluster.send = self._send  # type: ignore[method-assign]
        self.plain_send: Callable[[Message], None] = lambda m: Cluster.send(self.cluster, m)
        self.cluster.start_all()

    def _send(self, message: Message) -> None:
        self._check_promise(message)
        self.plain_send(message)

    def _check_promise(self, message: Message) -> None:
        """What a message promises is on the disk of its sender when it leaves."""
        disk = self.cluster.nodes[message.sender].disk
        if isinstance(message, (Vote, VoteReply, Append, AppendReply)):
            assert disk.hard_state.term == message.term, "a term was shown, but not written"
        if isinstance(message, VoteReply) and message.granted:
            assert disk.hard_state.vote == message.receiver, "a vote was said, but not written"
        if isinstance(message, Vote):
            last = disk.log.last_index
            assert (last, disk.log.term(last)) == (message.last_index, message.last_term)
        if isinstance(message, AppendReply) and message.accepted:
            assert disk.log.last_index >= message.index, "acknowledged, but not written"

    def live(self) -> None:
        steps = (
            (self._tick, 18),
            (self._deliver, 60),
            (self._sync, 35),
            (self._propose, 15),
            (self._read, 6),
            (self._lose, 3),
            (self._repeat, 3),
            (self._crash, 2),
            (self._start, 6),
            (self._cut, 3),
            (self._heal, 4),
            (self._transfer, 1),
            (self._announce, 4),
        )
        actions = [action for action, _ in steps]
        weights = [weight for _, weight in steps]
        for action in self.random.choices(actions, weights, k=STEPS):
            action()
            for node in self.cluster.up:
                self.cluster.drain(node.node_id)
            self.promises.check()
            self._check_reads()

    def _any_leader(self) -> Node | None:
        leaders = [node for node in self.cluster.up if node.up.role is Role.LEADER]
        return self.random.choice(leaders) if leaders else None

    def _any_up(self) -> Node | None:
        return self.random.choice(self.cluster.up) if self.cluster.up else None

    def _tick(self) -> None:
        for node in self.cluster.up:
            if self.random.random() < 0.8:
                node.up.tick()

    def _deliver(self) -> None:
        network = self.cluster.network
        for _ in range(self.random.randint(1, 10)):
            if network:
                place = 0 if self.random.random() < 0.7 else self.random.randrange(len(network))
                self.cluster.deliver(network.pop(place))

    def _sync(self) -> None:
        if node := self._any_up():
            self.cluster.sync(node.node_id, self.random.choice((1, 2, None)))

    def _propose(self) -> None:
        if node := self._any_leader():
            try:
                node.up.propose(b"%d" % self.proposed)
                self.proposed += 1
            except (NotLeader, Busy):
                pass

    def _read(self) -> None:
        if node := self._any_leader() or self._any_up():
            self.reads[self.next_token] = len(self.promises.committed)
            self.open_reads[self.next_token] = node.node_id
            node.up.read_index(self.next_token)
            self.next_token += 1

    def _check_reads(self) -> None:
        """Linearizable: a read sees at least all that any node had applied before it was asked."""
        for node in self.cluster.nodes.values():
            for token, index in node.reads.items():
                assert index is None or index >= self.reads[token], "a read missed an applied entry"

    def _lose(self) -> None:
        if self.cluster.network:
            self.cluster.network.pop(self.random.randrange(len(self.cluster.network)))

    def _repeat(self) -> None:
        if self.cluster.network:
            self.late.append(self.random.choice(self.cluster.network))
        if self.late and self.random.random() < 0.5:
            self.cluster.deliver(self.random.choice(self.late))

    def _crash(self) -> None:
        if node := self.random.choice((self._any_leader(), self._any_up())):
            self.crashes += 1
            self.cluster.crash(node.node_id, self.random.randint(0, len(node.disk.pending)))
            for token in [t for t, name in self.open_reads.items() if name == node.node_id]:
                del self.open_reads[token]

    def _start(self) -> None:
        down = [node for node in self.cluster.nodes.values() if node.raft is None]
        if down:
            node = self.random.choice(down)
            node.start(self.random.choice((0, len(node.applied))))

    def _cut(self) -> None:
        one, other = self.random.sample(list(self.cluster.nodes), 2)
        for third in self.cluster.nodes:
            if third == other or (third != one and self.random.random() < 0.5):
                self.cluster.cut.add(self.random.choice(((one, third), (third, one))))

    def _heal(self) -> None:
        self.cluster.cut.clear()

    def _transfer(self) -> None:
        if node := self._any_leader():
            node.up.transfer_leadership(self.random.choice(node.up.voters))

    def _announce(self) -> None:
        if node := self._any_leader():
            node.up.announce_commit()

    def heal_and_agree(self) -> None:
        """Liveness: with all nodes up and all links whole, a new entry is soon applied by all."""
        cluster = self.cluster
        cluster.cut.clear()
        for node in cluster.nodes.values():
            node.holds_writes = False
            if node.raft is None:
                node.start(len(node.applied))
            cluster.sync(node.node_id)
        wanted: tuple[int, int] | None = None
        for _ in range(HEALED_ROUNDS):
            for node in cluster.nodes.values():
                node.up.tick()
            cluster.stabilize()
            self.promises.check()
            self._check_reads()
            leaders = [node.up for node in cluster.nodes.values() if node.up.role is Role.LEADER]
            if len(leaders) == 1 and wanted is None:
                try:
                    wanted = leaders[0].propose(b"last")
                except NotLeader:
                    continue
            if wanted and all(len(node.applied) >= wanted[1] for node in cluster.nodes.values()):
                break
        else:
            raise AssertionError("the healed cluster does not go on")
        logs = [node.log_entries() for node in cluster.nodes.values()]
        assert all(log == logs[0] for log in logs), "the healed logs differ"
        assert logs[0][wanted[1] - 1].term == wanted[0]
        for token, node_id in self.open_reads.items():
            assert token in cluster.nodes[node_id].reads, f"read {token} was never answered"


@pytest.mark.parametrize("group", range(4))
def test_a_cluster_keeps_its_promises_in_a_random_life(group: int) -> None:
    for seed in range(group, SEEDS, 4):
        life = Life(seed)
        try:
            life.live()
            life.heal_and_agree()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def test_the_random_lives_are_eventful() -> None:
    """A simulation in which nothing happens proves nothing."""
    lives = [Life(seed) for seed in range(20)]
    for life in lives:
        life.live()
    answers = [
        i for life in lives for node in life.cluster.nodes.values() for i in node.reads.values()
    ]
    assert sum(len(life.promises.committed) for life in lives) > 100
    assert sum(len(life.promises.leaders) for life in lives) > 35
    assert sum(life.crashes for life in lives) > 30
    assert sum(index is not None for index in answers) > 20


def test_the_same_seed_gives_the_same_life() -> None:
    traces: list[list[str]] = []
    for _ in range(2):
        life = Life(7)
        trace: list[str] = []
        life.cluster.trace = trace.append
        life.live()
        traces.append(trace)
    assert traces[0] == traces[1]
    assert len(traces[0]) > 100
