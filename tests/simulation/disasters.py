"""What goes wrong in a simulated world, planned from its seed; at the end everything is healed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from common.testing.cluster import Cluster, SimulatedNode
from common.testing.faults import Faults
from common.testing.network import Network
from common.testing.world import SECOND_US, World
from tests.simulation.bargaining import DESKS
from tests.simulation.oracle import Oracle
from tests.simulation.relays import SimulatedRelay

__all__ = ["CRASHES_MIN", "PARTITIONS_MIN", "Disasters"]

CRASHES_MIN = 3
PARTITIONS_MIN = 2
SKEW_MS_MAX = 800
RATE_PPM_MAX = 300
POINTS_MAX = 40
EFFECTS_MAX = 40
PATIENCE_US = 1_500_000
LAST_US = 4 * SECOND_US
"""So long before all is healed the last disaster begins."""
OFF_CLOCK_MS = 5_000


class Disasters:
    """The faults of one world. Of the nodes of a chain all may be down at once."""

    def __init__(
        self,
        world: World,
        network: Network,
        clusters: Sequence[Cluster],
        relays: Sequence[SimulatedRelay],
        oracle: Oracle,
    ) -> None:
        self._world = world
        self._random = world.random
        self._network = network
        self._clusters = list(clusters)
        self._relays = list(relays)
        self._oracle = oracle
        self._faults = Faults(world, network, clusters)

    def plan(self, until_us: int) -> None:
        """Spread faults over the time until `until_us`, then heal."""
        random = self._random
        self._faults.skew_clocks(SKEW_MS_MAX, RATE_PPM_MAX)
        for relay in self._relays:
            relay.skew_ms = random.randint(-SKEW_MS_MAX, SKEW_MS_MAX)
        crashes = [self._crash_one] * random.randint(CRASHES_MIN, CRASHES_MIN + 2)
        cuts = [self._cut] * random.randint(PARTITIONS_MIN, PARTITIONS_MIN + 1)
        others = [self._crash_relay] * random.randint(1, 3)
        others += [self._faults.make_noise] * 2
        if self._world.chance(400):
            others.append(self._restart_cluster)
        if self._world.chance(150):
            others.append(self._shift_clock)
        for disaster in (*crashes, *cuts, *others):
            self._world.after(random.randrange(2 * SECOND_US, until_us - LAST_US), disaster)
        self._world.after(until_us, self.heal)

    def heal(self) -> None:
        """Everything is up and connected from now on."""
        self._faults.heal()
        for relay in self._relays:
            relay.effects_to_crash = None
            if relay.reconciler is None:
                relay.start()

    # --- nodes -----------------------------------------------------------------------------------

    def _crash_one(self) -> None:
        """End a node now, or at one of its next sends or writes."""
        running = [place for cluster in self._clusters for place in cluster.running]
        whole = [place for place in running if place.points_to_crash is None]
        if not whole:
            self._world.after(SECOND_US, self._crash_one)
            return
        place = self._random.choice(whole)
        if self._world.chance(750):
            place.points_to_crash = self._random.randint(1, POINTS_MAX)
            self._world.after(PATIENCE_US, partial(self._insist, place))
        else:
            place.crash(system=self._world.chance(300))
        self._restart_later(place)

    def _insist(self, place: SimulatedNode) -> None:
        """It has not come to its point in time: end it here."""
        if place.node is not None and place.points_to_crash is not None:
            place.crash()

    def _restart_cluster(self) -> None:
        """All nodes of a chain go down within a moment, and come back one by one."""
        self._oracle.counts["clusters restarted"] += 1
        for place in self._random.choice(self._clusters).running:
            self._world.after(self._random.randrange(300_000), partial(self._end, place))

    def _end(self, place: SimulatedNode) -> None:
        if place.node is not None:
            place.crash(system=self._world.chance(200))
        self._restart_later(place)

    def _restart_later(self, place: SimulatedNode) -> None:
        down_us = self._random.randint(2 * SECOND_US, 8 * SECOND_US)
        self._world.after(down_us, partial(self._restart, place))

    def _restart(self, place: SimulatedNode) -> None:
        if place.node is None:
            place.start()

    def _shift_clock(self) -> None:
        """A clock goes wrong by more than the bound, for a while."""
        place = self._random.choice([place for one in self._clusters for place in one.running])
        shift_ms = self._random.choice((-OFF_CLOCK_MS, OFF_CLOCK_MS))
        self._oracle.counts["clocks off"] += 1
        self._world.note(place.name, f"clock {shift_ms} ms off")
        place.skew_ms += shift_ms
        self._world.after(10 * SECOND_US, partial(self._set_clock, place, -shift_ms))

    def _set_clock(self, place: SimulatedNode, shift_ms: int) -> None:
        place.skew_ms += shift_ms

    # --- relays and links ------------------------------------------------------------------------

    def _crash_relay(self) -> None:
        """End a relay at one of its next effects; now and then its disk goes with it."""
        relay = self._random.choice(self._relays)
        relay.effects_to_crash = self._random.randint(1, EFFECTS_MAX)
        down_us = self._random.randint(2 * SECOND_US, 6 * SECOND_US)
        self._world.after(down_us, partial(self._restart_relay, relay))

    def _restart_relay(self, relay: SimulatedRelay) -> None:
        if relay.reconciler is None:
            relay.start()

    def _cut(self) -> None:
        """A partition among nodes, or between some nodes and whoever asks them."""
        self._oracle.counts["partitions"] += 1
        if self._world.chance(700):
            self._faults.partition_one()
            return
        nodes = [place.name for cluster in self._clusters for place in cluster.nodes.values()]
        callers = [*DESKS, *(relay.name for relay in self._relays)]
        pairs = [(one, other) for one in nodes for other in callers]
        pairs += [(other, one) for one, other in pairs]
        cut = set(self._random.sample(pairs, len(pairs) // 3))
        self._world.note("network", f"cut {len(cut)} links to callers")
        self._network.cuts |= cut
        mend = partial(self._network.cuts.difference_update, cut)
        self._world.after(self._random.randint(SECOND_US, 8 * SECOND_US), mend)
