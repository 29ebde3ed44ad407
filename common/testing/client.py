"""A client of a simulated cluster: it follows the leader and retries the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from common.errors import CommonReason, Refused
from common.node.ports import Result
from common.testing.cluster import Cluster
from common.testing.world import SECOND_US

__all__ = ["SimulatedClient"]

RETRIED = frozenset(
    {
        CommonReason.NOT_LEADER,
        CommonReason.NOT_READY,
        CommonReason.BUSY,
        CommonReason.OUTCOME_UNKNOWN,
    }
)


class SimulatedClient:
    """Submits one transaction at a time, or many, over the network; each until it has a result.

    Every answer is checked: one transaction never has two different results.
    """

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        *,
        timeout_us: int = 3 * SECOND_US,
        wait_us: int = 200_000,
    ) -> None:
        self.cluster = cluster
        self.name = name
        self.attempts = 0
        self.open = 0
        self._timeout_us = timeout_us
        self._wait_us = wait_us
        self._world = cluster.world
        self._leader = min(cluster.nodes)
        self._results: dict[bytes, tuple[int, int, object]] = {}

    def submit(self, raw: bytes, done: Callable[[Result], None]) -> None:
        """Submit, again and again, until there is a final result or a refusal that stays."""
        self.open += 1
        self._attempt(_Attempt(raw, done))

    def read(self, node_id: str, done: Callable[[int | Refused], None]) -> None:
        """Ask one node, once, for a height that includes all that is final. It may not answer."""
        place = self.cluster.nodes[node_id]

        def answer(height: int | Refused) -> None:
            self.cluster.network.send(place.name, self.name, partial(done, height))

        def ask() -> None:
            if place.node is not None:
                place.call(partial(place.node.read_barrier, answer))

        self.cluster.network.send(self.name, place.name, ask)

    def _attempt(self, attempt: _Attempt) -> None:
        if attempt.is_done:
            return
        self.attempts += 1
        attempt.number += 1
        number, node_id = attempt.number, self._leader
        place = self.cluster.nodes[node_id]

        def answer(results: Sequence[Result]) -> None:
            arrive = partial(self._answered, attempt, number, results[0])
            self.cluster.network.send(place.name, self.name, arrive)

        ask = partial(self.cluster.submit, node_id, [attempt.raw], answer)
        self.cluster.network.send(self.name, place.name, ask)
        self._world.after(self._timeout_us, partial(self._timed_out, attempt, number))

    def _answered(self, attempt: _Attempt, number: int, result: Result) -> None:
        if result.reason in RETRIED:
            if number == attempt.number and not attempt.is_done:
                self._follow(result.metadata.get("leader_node_id", ""))
                self._world.after(self._wait_us, partial(self._retry, attempt, number))
            return
        if result.height:
            said = (result.height, result.position, result.reason)
            known = self._results.setdefault(result.transaction_id, said)
            assert known == said, f"seed {self._world.seed}: {known} became {said}"
        if not attempt.is_done:
            attempt.is_done = True
            self.open -= 1
            attempt.done(result)

    def _timed_out(self, attempt: _Attempt, number: int) -> None:
        if number == attempt.number and not attempt.is_done:
            self._follow("")
            self._attempt(attempt)

    def _retry(self, attempt: _Attempt, number: int) -> None:
        if number == attempt.number:
            self._attempt(attempt)

    def _follow(self, leader: str) -> None:
        """Ask the named leader next time, or where none is known the next node in turn."""
        if leader in self.cluster.nodes:
            self._leader = leader
        else:
            names = sorted(self.cluster.nodes)
            self._leader = names[(names.index(self._leader) + 1) % len(names)]


class _Attempt:
    """One transaction of a client, until it has its result."""

    __slots__ = ("done", "is_done", "number", "raw")

    def __init__(self, raw: bytes, done: Callable[[Result], None]) -> None:
        self.raw = raw
        self.done = done
        self.number = 0
        self.is_done = False
