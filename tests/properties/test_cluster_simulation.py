"""A cluster under crashes at every send and write, partitions, noise and skewed clocks.

Whatever happens: final blocks agree, nobody signs two headers at one height (both watched by the
cluster itself), each transaction takes effect exactly once, an answer is never taken back, a read
sees all that was final before it was asked, and when the faults end everything ends well.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import pytest

from common.errors import Refused
from common.ledger.genesis import chain_id_of
from common.node.ports import Result
from common.testing.client import SimulatedClient
from common.testing.cluster import Cluster, SimulatedNode
from common.testing.faults import Faults
from common.testing.network import Network
from common.testing.world import SECOND_US, World
from tests.kit import tally

SEEDS = 28
TRANSACTIONS = 40
READS = 20
FAULTS_US = 40 * SECOND_US


class Story:
    """One seed: a cluster, its client, and what the client was told."""

    def __init__(self, seed: int, node_ids: tuple[str, ...] = tally.NODE_IDS) -> None:
        self.world = World(seed)
        self.network = Network(self.world)
        genesis = tally.make_genesis(node_ids)
        self.chain_id = chain_id_of(genesis)
        keys = {node_id: tally.key_of(node_id) for node_id in node_ids}
        self.cluster = Cluster(self.world, self.network, tally.CHAIN, genesis, keys)
        self.client = SimulatedClient(self.cluster, "client")
        self.faults = Faults(self.world, self.network, [self.cluster])
        self.results: dict[int, Result] = {}
        self.final_answered = 0
        self.reads = 0

    def play(self) -> None:
        random = self.world.random
        self.faults.skew_clocks(400, 300)
        self.cluster.start()
        self.faults.plan(FAULTS_US, crashes=4, partitions=3)
        for number in range(TRANSACTIONS):
            self.world.after(random.randrange(FAULTS_US), partial(self.submit, number))
        for _ in range(READS):
            self.world.after(random.randrange(FAULTS_US), self.read)
        self.world.run_until(FAULTS_US)
        self.world.run_while(lambda: self.client.open > 0, 60 * SECOND_US)
        self.world.run_until(self.world.now_us + 8 * SECOND_US)

    def submit(self, number: int) -> None:
        made = tally.make_transaction(self.chain_id, "bank", tally.deposit("acme", 1), number)
        self.client.submit(made.raw, partial(self.answered, number))

    def answered(self, number: int, result: Result) -> None:
        assert result.reason is None, f"seed {self.world.seed}: {result}"
        self.results[number] = result
        self.final_answered = max(self.final_answered, result.height)

    def read(self) -> None:
        node_id = self.world.random.choice(sorted(self.cluster.nodes))
        self.client.read(node_id, partial(self.read_answered, self.final_answered))

    def read_answered(self, known: int, height: int | Refused) -> None:
        if isinstance(height, int):
            self.reads += 1
            assert height >= known, f"seed {self.world.seed}: a read at {height} misses {known}"

    def check(self) -> None:
        self.cluster.check_settled()
        assert len(self.results) == TRANSACTIONS
        places = {(result.height, result.position) for result in self.results.values()}
        assert len(places) == TRANSACTIONS
        for place in self.cluster.running:
            assert tally.units_of(place.up.ledger.state, "acme") == TRANSACTIONS
            assert place.up.ledger.certified_through == self.cluster.final_height
            assert place.up.rubbish == 0
        assert {kind for place in self.cluster.nodes.values() for kind in place.alarms} <= {
            "state-rebuilt"
        }


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_fails_everything_agrees_and_takes_effect_once(seed: int) -> None:
    story = Story(seed)
    story.play()
    story.check()


def is_up(place: SimulatedNode) -> bool:
    return place.node is not None


@pytest.mark.parametrize("system", [False, True], ids=["process", "machine"])
@pytest.mark.parametrize("who", ["leader", "follower"])
def test_an_end_at_each_send_and_write_of_a_transaction_loses_nothing(
    who: str, system: bool
) -> None:
    """The same transaction again and again, and the end one point later each time."""
    story = Story(21)
    cluster = story.cluster
    cluster.start()
    for point in range(1, 25):
        story.world.run_while(
            lambda: len(cluster.running) < 4 or not cluster.leader, 60 * SECOND_US
        )
        leader = cluster.leader
        assert leader is not None
        follower = next(place for place in cluster.running if place is not leader)
        victim = leader if who == "leader" else follower
        victim.points_to_crash = point
        victim.crashes_with_system = system
        story.submit(point)
        story.world.run_while(lambda: story.client.open > 0, 60 * SECOND_US)
        story.world.run_while(partial(is_up, victim), 60 * SECOND_US)
        victim.start()
        assert len(story.results) == point
    story.world.run_until(story.world.now_us + 20 * SECOND_US)
    cluster.check_settled()
    assert {tally.units_of(place.up.ledger.state, "acme") for place in cluster.running} == {24}


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_chain_of_other_sizes_holds_as_well(count: int) -> None:
    story = Story(100 + count, tuple(f"node-{number}" for number in range(count)))
    story.play()
    story.check()


def test_the_same_seed_gives_the_same_trace_under_any_hash_seed() -> None:
    program = (
        "from tests.properties.test_cluster_simulation import Story\n"
        "story = Story(4); story.play(); print(story.world.trace, story.reads)"
    )
    traces = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "4242")
    }
    assert len(traces) == 1
    story = Story(4)
    story.play()
    assert traces == {f"{story.world.trace} {story.reads}\n"}
    assert story.reads > 0


def test_another_seed_gives_another_trace() -> None:
    first, second = Story(1), Story(2)
    first.cluster.start()
    second.cluster.start()
    first.world.run_until(5 * SECOND_US)
    second.world.run_until(5 * SECOND_US)
    assert first.world.trace != second.world.trace


def test_a_slow_clock_does_not_keep_its_office() -> None:
    """A leader a minute behind hands over, and block time catches up with the others' clocks."""
    story = Story(11)
    story.cluster.start()
    story.world.run_while(lambda: story.cluster.final_height < 1, 30 * SECOND_US)
    slow = story.cluster.leader
    assert slow is not None
    slow.skew_ms = -60_000
    story.world.run_while(lambda: story.cluster.leader in {slow, None}, 60 * SECOND_US)
    story.world.run_until(story.world.now_us + 30 * SECOND_US)
    leader = story.cluster.leader
    assert leader is not None
    assert leader is not slow
    newest = leader.up.ledger.header.time_unix_ms
    assert leader.now_unix_ms() - newest < 12_000
    story.cluster.check_settled()


def test_a_fast_clock_cannot_lead() -> None:
    """Blocks a minute ahead are never acknowledged, so none is committed."""
    story = Story(12)
    fast = story.cluster.nodes["bank-1"]
    fast.skew_ms = 60_000
    story.cluster.start()
    for number in range(10):
        story.world.after(number * SECOND_US, partial(story.submit, number))
    story.world.run_until(60 * SECOND_US)
    assert len(story.results) == 10
    for place in story.cluster.running:
        ledger = place.up.ledger
        for height in range(1, ledger.applied_height + 1):
            ahead = ledger.header_at(height).time_unix_ms - tally.START_UNIX_MS
            assert ahead <= story.world.now_us // 1_000 + 2_000


def test_with_a_quorum_cut_apart_nothing_becomes_final_until_it_heals() -> None:
    story = Story(13)
    story.cluster.start()
    story.world.run_while(lambda: story.cluster.final_height < 1, 30 * SECOND_US)
    names = [place.name for place in story.cluster.nodes.values()]
    story.network.isolate(names[:2], names[2:])
    story.world.run_until(story.world.now_us + SECOND_US)
    before = story.cluster.final_height
    story.submit(1)
    story.world.run_until(story.world.now_us + 30 * SECOND_US)
    assert story.cluster.final_height == before
    assert not story.results
    story.network.heal()
    story.world.run_while(lambda: not story.results, 60 * SECOND_US)
