"""One simulated world, from its seed to its end."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from assetchain.chain import CHAIN as ASSET_CHAIN
from bizchain.chain import CHAIN as BUSINESS_CHAIN
from common.ledger.chain import Chain
from common.ledger.genesis import Genesis
from common.testing.cluster import Cluster
from common.testing.network import Network
from common.testing.world import SECOND_US, World
from tests.simulation.disasters import CRASHES_MIN, PARTITIONS_MIN, Disasters
from tests.simulation.founding import ASSET, BUSINESS, MEMO, found, key_of
from tests.simulation.market import TRANSFERS_MIN, Market
from tests.simulation.oracle import Oracle, RuleBroken
from tests.simulation.places import WatchedNode
from tests.simulation.relays import POLICY, SimulatedRelay

__all__ = ["SeedFailed", "Summary", "simulate"]

FAULTS_US = 60 * SECOND_US
STEP_US = SECOND_US
QUIET_US = 25 * SECOND_US
STORY_LINES = 400
RELAYS = ("relay-1", "relay-2")


@dataclass(frozen=True)
class Summary:
    """What happened in one world."""

    seed: int
    trace: str
    virtual_us: int
    counts: Counter[str]


class SeedFailed(AssertionError):
    """A rule was broken in a world. Its text says how to replay, and how the story ended."""

    def __init__(self, seed: int, error: BaseException, story: list[str]) -> None:
        tail = "\n".join(story)
        super().__init__(
            f"seed {seed}: {type(error).__name__}: {error}\n"
            f"replay: make sim SEED={seed}\n"
            f"how it ended (microseconds, who, what):\n{tail}"
        )
        self.seed = seed


def simulate(seed: int, *, lines_max: int = STORY_LINES) -> Summary:
    """Run the world of a seed to its end. Raises `SeedFailed`."""
    story: deque[str] = deque(maxlen=lines_max)
    try:
        return _Simulation(seed, story).run()
    except Exception as error:
        raise SeedFailed(seed, error, list(story)) from error


class _Simulation:
    def __init__(self, seed: int, story: deque[str]) -> None:
        self.world = world = World(seed)
        world.narrate = lambda line: None if _is_noise(line) else story.append(line)
        self.network = Network(world)
        self.oracle = Oracle(world, (BUSINESS_CHAIN, ASSET_CHAIN))
        founding = found()
        self.clusters = {
            BUSINESS: self._cluster(BUSINESS_CHAIN, founding.business),
            ASSET: self._cluster(ASSET_CHAIN, founding.asset),
        }
        clusters = list(self.clusters.values())
        self.relays = [
            SimulatedRelay(name, world, self.network, clusters, self.oracle) for name in RELAYS
        ]
        self.market = Market(world, self.network, self.clusters, self.relays, self.oracle)
        self.disasters = Disasters(world, self.network, clusters, self.relays, self.oracle)

    def _cluster(self, chain: Chain, genesis: Genesis) -> Cluster:
        keys = {node.node_id: key_of(node.node_id) for node in genesis.node_set.nodes}
        cluster = Cluster(self.world, self.network, chain, genesis, keys, memo=MEMO)
        for node_id, key in keys.items():
            cluster.nodes[node_id] = WatchedNode(cluster, node_id, key, self.oracle)
        cluster.on_final = self.oracle.final  # type: ignore[assignment]  # every place is watched
        return cluster

    def run(self) -> Summary:
        self.disasters.plan(FAULTS_US)
        for cluster in self.clusters.values():
            cluster.start()
        for relay in self.relays:
            relay.start()
        self.market.open(FAULTS_US)
        self.world.run_until(FAULTS_US)
        self._end_all()
        self._check_end()
        world, counts = self.world, self.oracle.counts
        return Summary(world.seed, world.trace, world.now_us, counts)

    def _end_all(self) -> None:
        """I4: with everything healed, each transfer ends within its stated bound."""
        world = self.world
        while (unfinished := self.market.unfinished) or self.market.waiting:
            for deal in unfinished:
                due_us = max(deal.deadline_us, FAULTS_US) + POLICY.ends_within_ms * 1_000
                late = world.now_us > due_us
                self.oracle.require(not late, f"I4: transfer {deal.name} has not ended in time")
            late = world.now_us > FAULTS_US + 120 * SECOND_US
            self.oracle.require(not late, f"{self.market.waiting} clients have no answer")
            world.run_until(world.now_us + STEP_US)
        world.run_while(self._unsettled, QUIET_US)

    def _unsettled(self) -> bool:
        """Whether a node is still behind, or owes an answer to somebody."""
        for cluster in self.clusters.values():
            ledgers = [place.up.ledger for place in cluster.nodes.values()]
            if len({ledger.final_height for ledger in ledgers}) > 1:
                return True
            if any(ledger.applied_height > ledger.final_height for ledger in ledgers):
                return True
            if any(place.up.waiting for place in cluster.nodes.values()):
                return True
        return False

    def _check_end(self) -> None:
        for cluster in self.clusters.values():
            cluster.check_settled()
            for place in cluster.nodes.values():
                height = place.up.ledger.applied_height
                self.oracle.check_invariants(cluster.chain, place.state, height)
        self.oracle.check_acknowledged()
        counts = self.oracle.counts
        crashes = counts["crashes"] + counts["system crashes"]
        for count, least in (
            (crashes, CRASHES_MIN),
            (counts["partitions"], PARTITIONS_MIN),
            (len(self.market.deals), TRANSFERS_MIN),
        ):
            self.oracle.require(count >= least, f"an empty world: {count} of {least}")


def _is_noise(line: str) -> bool:
    _, _, what = line.split(" ", 2)
    return what.startswith(("receive", "synced"))
