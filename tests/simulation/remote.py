"""Calls over the simulated network: to one node after another, until one answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from common.testing.cluster import Cluster
from common.testing.network import Network
from tests.simulation.places import WatchedNode
from tests.simulation.service import NodeService, Reply

__all__ = ["Question", "Remote"]

Question = Callable[[NodeService, Reply], None]
TIMEOUT_US = 1_500_000


class Remote:
    """One caller's connection to one chain. `current` is the node that is asked next."""

    def __init__(self, cluster: Cluster, network: Network, caller: str) -> None:
        self.cluster = cluster
        self.caller = caller
        self._network = network
        self._names = sorted(cluster.nodes)
        self.current = cluster.world.random.choice(self._names)

    def ask(
        self,
        question: Question,
        answered: Callable[[Any], None],
        silent: Callable[[], None],
        timeout_us: int = TIMEOUT_US,
    ) -> None:
        """Ask the current node. Then either `answered` or `silent` is called, once."""
        place = self.cluster.nodes[self.current]
        assert isinstance(place, WatchedNode)
        call = _Call(answered, silent)

        def reply(answer: object) -> None:
            self._network.send(place.name, self.caller, partial(call.arrive, answer))

        self._network.send(self.caller, place.name, partial(place.serve, question, reply))
        self.cluster.world.after(timeout_us, call.time_out)

    def move_on(self, hint: str = "") -> None:
        """Ask the named node next time, or where there is none the next in turn."""
        if hint in self.cluster.nodes and hint != self.current:
            self.current = hint
        else:
            place = self._names.index(self.current) + 1
            self.current = self._names[place % len(self._names)]


class _Call:
    __slots__ = ("_answered", "_open", "_silent")

    def __init__(self, answered: Callable[[Any], None], silent: Callable[[], None]) -> None:
        self._answered = answered
        self._silent = silent
        self._open = True

    def arrive(self, answer: object) -> None:
        if self._open:
            self._open = False
            self._answered(answer)

    def time_out(self) -> None:
        if self._open:
            self._open = False
            self._silent()
