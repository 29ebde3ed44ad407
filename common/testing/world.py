"""Virtual time: a heap of events, one source of chance, one trace of all that happens."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from hashlib import sha256
from random import Random

__all__ = ["SECOND_US", "World"]

SECOND_US = 1_000_000


class World:
    """Where simulated things live. Time is in microseconds from 0 and moves from event to event.

    `random` is the only source of chance. `narrate`, if set, is given every line of the trace.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)  # noqa: S311 (it must be repeatable)
        self.now_us = 0
        self.events = 0
        self.narrate: Callable[[str], None] | None = None
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._made = 0
        self._trace = sha256()

    def after(self, delay_us: int, action: Callable[[], None]) -> None:
        """Let something happen `delay_us` from now. Events at one time happen as they were made."""
        self._made += 1
        heapq.heappush(self._heap, (self.now_us + delay_us, self._made, action))

    def run_until(self, time_us: int) -> None:
        """Let happen what is due up to and at `time_us`."""
        heap = self._heap
        while heap and heap[0][0] <= time_us:
            self.now_us, _, action = heapq.heappop(heap)
            self.events += 1
            action()
        self.now_us = time_us

    def run_while(self, waiting: Callable[[], bool], limit_us: int) -> None:
        """Let events happen until `waiting()` is False. AssertionError after `limit_us` more."""
        limit = self.now_us + limit_us
        while waiting():
            due_us = self._heap[0][0] if self._heap else limit + 1
            assert due_us <= limit, f"seed {self.seed}: still waiting at {self.now_us // 1000} ms"
            self.run_until(due_us)

    def chance(self, permille: int) -> bool:
        """True in `permille` of a thousand cases."""
        return permille > 0 and self.random.randrange(1000) < permille

    def note(self, who: str, what: str, data: bytes = b"") -> None:
        """Put one thing that happened into the trace."""
        line = f"{self.now_us} {who} {what}"
        self._trace.update(line.encode())
        self._trace.update(data)
        if self.narrate is not None:
            self.narrate(f"{line} {len(data)} B" if data else line)

    @property
    def trace(self) -> str:
        """The digest of all that was noted so far."""
        return self._trace.hexdigest()
