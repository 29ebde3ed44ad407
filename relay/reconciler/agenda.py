"""When to look at which transfer again: by the relay's own clock, and by the clock of its decider.

An entry says at most that it is time to look; whoever looks finds out what there is to do. So an
entry may be early, late or of a transfer that has ended meanwhile.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator

from relay.reconciler.transfers import Transfer

__all__ = ["Agenda"]

STALE_ENTRIES_MAX = 1_000
"""Deadlines of transfers that ended, kept before they are swept out."""


class Agenda:
    """Wake times of transfers, and their deadlines by chain."""

    def __init__(self, chains: Collection[str]) -> None:
        self._sequence = 0
        self._wakes: list[tuple[int, int, bytes]] = []
        self._deadlines: dict[str, list[tuple[int, int, bytes]]] = {name: [] for name in chains}

    def wake(self, transfer: Transfer, at_unix_ms: int, now_unix_ms: int) -> None:
        """Look at the transfer at that time, or before."""
        if now_unix_ms < transfer.wake_unix_ms <= at_unix_ms:
            return  # it wakes before that, and looks again
        transfer.wake_unix_ms = at_unix_ms
        self._sequence += 1
        heapq.heappush(self._wakes, (at_unix_ms, self._sequence, transfer.transfer_id))

    def awake(self, now_unix_ms: int) -> Iterator[tuple[bytes, int]]:
        """(transfer id, its wake time) of each whose time has come."""
        while self._wakes and self._wakes[0][0] <= now_unix_ms:
            wake, _, transfer_id = heapq.heappop(self._wakes)
            yield transfer_id, wake

    def watch_deadline(self, transfer: Transfer, known: Collection[bytes]) -> None:
        """Look at the transfer when its decider's clock passes the deadline."""
        heap = self._deadlines[transfer.decider_chain]
        self._sequence += 1
        heapq.heappush(heap, (transfer.deadline_unix_ms, self._sequence, transfer.transfer_id))
        if len(heap) > 2 * len(known) + STALE_ENTRIES_MAX:
            heap[:] = [entry for entry in heap if entry[2] in known]
            heapq.heapify(heap)

    def passed(self, chain: str, time_unix_ms: int) -> Iterator[bytes]:
        """The transfers whose deadline that chain's clock has passed."""
        heap = self._deadlines[chain]
        while heap and heap[0][0] <= time_unix_ms:
            yield heapq.heappop(heap)[2]
