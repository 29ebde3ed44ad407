"""Faults, planned from the seed: crashes anywhere, partitions, cuts, noise; then all is healed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from common.testing.cluster import Cluster, SimulatedNode
from common.testing.network import Network
from common.testing.world import SECOND_US, World

__all__ = ["Faults"]

POINTS_MAX = 60
DOWN_US_MAX = 8 * SECOND_US


class Faults:
    """Makes things go wrong in a world. Never more than one node of a cluster is down at a time."""

    def __init__(self, world: World, network: Network, clusters: Sequence[Cluster]) -> None:
        self._world = world
        self._network = network
        self._clusters = list(clusters)

    def plan(self, until_us: int, *, crashes: int, partitions: int, noise: int = 2) -> None:
        """Spread faults over the time until `until_us`; then everything is up and connected."""
        random = self._world.random
        for _ in range(crashes):
            self._world.after(random.randrange(until_us), self.crash_one)
        for _ in range(partitions):
            self._world.after(random.randrange(until_us), self.partition_one)
        for _ in range(noise):
            self._world.after(random.randrange(until_us), self.make_noise)
        self._world.after(until_us, self.heal)

    def skew_clocks(self, skew_ms_max: int, rate_ppm_max: int) -> None:
        """Set every node's clock off, by less than the bound and at its own rate."""
        random = self._world.random
        for place in self._places():
            place.skew_ms = random.randint(-skew_ms_max, skew_ms_max)
            place.rate_ppm = random.randint(-rate_ppm_max, rate_ppm_max)

    def crash_one(self) -> None:
        """End one node now, or at one of its next sends or writes; it comes back later."""
        random = self._world.random
        cluster = random.choice(self._clusters)
        if len(cluster.running) < len(cluster.nodes):
            return
        place = random.choice(cluster.running)
        if random.random() < 0.7:
            place.points_to_crash = random.randint(1, POINTS_MAX)
        else:
            place.crash(system=random.random() < 0.3)
        self._world.after(random.randint(SECOND_US, DOWN_US_MAX), partial(self._restart, place))

    def partition_one(self) -> None:
        """Cut one node of a cluster off, or half of it, or some links one way, for a while."""
        random = self._world.random
        cluster = random.choice(self._clusters)
        names = [place.name for place in cluster.nodes.values()]
        if len(names) == 1:
            return
        random.shuffle(names)
        shape = random.randrange(3)
        if shape == 2:
            pairs = [(one, other) for one in names for other in names if one != other]
            cut = set(random.sample(pairs, random.randint(1, len(pairs) // 2)))
        else:
            inside = names[: 1 if shape == 0 else len(names) // 2]
            pairs = [(one, other) for one in inside for other in names if other not in inside]
            cut = {pair for one, other in pairs for pair in ((one, other), (other, one))}
        self._world.note(cluster.chain.name, f"cut {sorted(cut)}")
        self._network.cuts |= cut
        self._world.after(random.randint(SECOND_US, DOWN_US_MAX), partial(self._mend, cut))

    def make_noise(self) -> None:
        """Lose and double messages for a while."""
        random = self._world.random
        self._network.loss_permille = random.randint(0, 200)
        self._network.duplicate_permille = random.randint(0, 200)
        self._world.after(random.randint(SECOND_US, DOWN_US_MAX), self._be_quiet)

    def heal(self) -> None:
        """Everything is up and connected from now on."""
        self._world.note("world", "heal")
        self._network.heal()
        for place in self._places():
            place.points_to_crash = None
            if place.node is None:
                place.start()

    def _restart(self, place: SimulatedNode) -> None:
        place.points_to_crash = None
        if place.node is None:
            place.start()

    def _mend(self, cut: set[tuple[str, str]]) -> None:
        self._network.cuts -= cut

    def _be_quiet(self) -> None:
        self._network.loss_permille = self._network.duplicate_permille = 0

    def _places(self) -> list[SimulatedNode]:
        return [place for cluster in self._clusters for place in cluster.nodes.values()]
