"""One simulated world, from its seed to its end."""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from assetchain.chain import CHAIN as ASSET_CHAIN
from bizchain.chain import CHAIN as BUSINESS_CHAIN
from common.ledger.chain import Chain
from common.ledger.genesis import Genesis
from common.testing.cluster import SIMULATION_SETTINGS, Cluster
from common.testing.network import Network
from common.testing.world import SECOND_US, World
from tests.simulation.disasters import CRASHES_MIN, PARTITIONS_MIN, Disasters
from tests.simulation.founding import ASSET, BUSINESS, MEMO, found, key_of
from tests.simulation.liars import LYING_WAYS, LyingNode, LyingRelay
from tests.simulation.market import TRANSFERS_MIN, Market
from tests.simulation.oracle import Oracle
from tests.simulation.places import WatchedNode
from tests.simulation.relays import POLICY, Line, SimulatedRelay

__all__ = ["SeedFailed", "Summary", "simulate"]

FAULTS_US = 60 * SECOND_US
STEP_US = SECOND_US
QUIET_US = 25 * SECOND_US
STORY_LINES = 60
SETTINGS = dataclasses.replace(SIMULATION_SETTINGS, tick_ms=600, election_ticks_min=3)
"""A slower tick: most of what nodes say in a minute is that they are there."""
RELAYS = ("relay-1", "relay-2")
LYING_RELAY = "relay-3"
LYING_RELAY_EVERY = 3
LYING_NODE_EVERY = 4
"""In one of so many worlds a relay, or a node, is dishonest."""
DISHONEST_US = 20 * SECOND_US
"""How long a world with a dishonest node goes on after it is healed."""


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


def simulate(seed: int, *, tell: Callable[[str], None] | None = None) -> Summary:
    """Run the world of a seed to its end; `tell` is given its story. Raises `SeedFailed`."""
    story: deque[str] = deque(maxlen=STORY_LINES)
    try:
        return _Simulation(seed, tell or story.append).run()
    except Exception as error:
        raise SeedFailed(seed, error, list(story)) from error


class _Simulation:
    def __init__(self, seed: int, tell: Callable[[str], None]) -> None:
        self.world = world = World(seed)
        world.narrate = lambda line: None if _is_noise(line) else tell(line)
        self.network = Network(world)
        self.oracle = Oracle(world, (BUSINESS_CHAIN, ASSET_CHAIN))
        self.claims_liveness = True
        founding = found()
        self.clusters = {
            BUSINESS: self._cluster(BUSINESS_CHAIN, founding.business),
            ASSET: self._cluster(ASSET_CHAIN, founding.asset),
        }
        if seed % LYING_NODE_EVERY == 0:
            self._corrupt_node(world.random.choice((BUSINESS, ASSET)))
        clusters = list(self.clusters.values())
        self.relays = [
            SimulatedRelay(name, world, self.network, clusters, self.oracle) for name in RELAYS
        ]
        self.market = Market(world, self.network, self.clusters, self.relays, self.oracle)
        self.liars = [self._lying_relay()] if seed % LYING_RELAY_EVERY == 0 else []
        self.disasters = Disasters(world, self.network, clusters, self.relays, self.oracle)

    def _corrupt_node(self, chain: str) -> None:
        """One node of a chain is dishonest."""
        cluster, random = self.clusters[chain], self.world.random
        node_id = random.choice(sorted(cluster.nodes))
        ways = frozenset(random.sample(LYING_WAYS, random.randint(1, len(LYING_WAYS))))
        if self.world.seed % (2 * LYING_NODE_EVERY) == 0:
            ways = frozenset({"answers"})  # the chain goes on, and so must everybody
        self.world.note(node_id, f"lies in its {sorted(ways)}")
        liar = LyingNode(cluster, node_id, key_of(node_id), self.oracle, ways)
        cluster.nodes[node_id] = liar
        cluster.may_stop = bool(ways - {"answers"})
        self.claims_liveness = not cluster.may_stop
        if "blocks" in ways:
            self.oracle.divided = True

    def _lying_relay(self) -> LyingRelay:
        lines = [
            Line(cluster, self.network, LYING_RELAY, self.oracle)
            for cluster in self.clusters.values()
        ]
        liar = LyingRelay(LYING_RELAY, self.world, lines, self.oracle)
        for relay in self.relays:
            relay.on_sent = liar.overhear
        self.market.bargaining.trust(liar)
        return liar

    def _cluster(self, chain: Chain, genesis: Genesis) -> Cluster:
        keys = {node.node_id: key_of(node.node_id) for node in genesis.node_set.nodes}
        cluster = Cluster(
            self.world, self.network, chain, genesis, keys, settings=SETTINGS, memo=MEMO
        )
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
        for liar in self.liars:
            liar.start()
        self.market.open(FAULTS_US)
        self.world.run_until(FAULTS_US)
        if self.claims_liveness:
            self._end_all()
        else:
            self.world.run_until(FAULTS_US + DISHONEST_US)
        self._check_end()
        world, counts = self.world, self.oracle.counts
        return Summary(world.seed, world.trace, world.now_us, counts)

    def _end_all(self) -> None:
        """I4: with everything healed, each transfer ends within its stated bound."""
        world = self.world
        while (unfinished := self.market.bargaining.unfinished) or self.market.waiting:
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
        for places in self._honest():
            ledgers = [place.up.ledger for place in places]
            if len({ledger.final_height for ledger in ledgers}) > 1:
                return True
            if any(ledger.applied_height > ledger.final_height for ledger in ledgers):
                return True
            if any(place.up.waiting for place in places):
                return True
        return False

    def _honest(self) -> list[list[WatchedNode]]:
        """The honest places of each chain."""
        return [
            [place for place in _watched(cluster) if place.honest]
            for cluster in self.clusters.values()
        ]

    def _check_end(self) -> None:
        for places in self._honest():
            for place in places:
                recovered = hasattr(place.up, "ledger")
                self.oracle.require(recovered, f"{place.name} stopped: {place.stopped_because}")
                chain, height = place.cluster.chain, place.up.ledger.applied_height
                self.oracle.check_invariants(chain, place.state, height)
            self.oracle.count_pots(places[0].state)
        self.oracle.check_acknowledged()
        secrets = [deal.agreement.secret for deal in self.market.bargaining.deals.values()]
        for relay in self.relays:
            at_rest = relay.journal.raw()
            sealed = not any(secret in at_rest for secret in secrets)
            self.oracle.require(sealed, f"a secret lies open in the journal of {relay.name}")
            if relay.reconciler is not None:
                self.oracle.check_lapsed(relay.name, relay.reconciler.ended_transfers)
        counts = self.oracle.counts
        crashes = counts["crashes"] + counts["system crashes"]
        for count, least in (
            (crashes, CRASHES_MIN),
            (counts["partitions"], PARTITIONS_MIN),
            (len(self.market.bargaining.deals), TRANSFERS_MIN),
        ):
            self.oracle.require(count >= least, f"an empty world: {count} of {least}")


def _is_noise(line: str) -> bool:
    _, _, what = line.split(" ", 2)
    return what.startswith(("receive", "synced", "final"))


def _watched(cluster: Cluster) -> list[WatchedNode]:
    return [place for place in cluster.nodes.values() if isinstance(place, WatchedNode)]
