"""Whether this node's clock agrees with those of a quorum, and what time to go by.

Every frame carries its sender's clock. What is left of it after the way here is the sender's clock
less the delay, so the largest offset seen lately is the best estimate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.raft.progress import PeerProgress

__all__ = ["Clocks"]

WINDOW_TICKS = 50
"""Offsets are kept for one to two windows."""


class Clocks:
    """The offsets of the peers' clocks from this one, in milliseconds: above 0 they are ahead.

    `deviation` is how far the median of a quorum's clocks is ahead of this one; 0 while fewer are
    known. Of the two middle clocks of an even number the one nearer to this one counts.
    """

    __slots__ = (
        "_current",
        "_delta_ms",
        "_now_unix_ms",
        "_peers",
        "_previous",
        "_quorum",
        "_ticks",
        "deviation",
    )

    def __init__(
        self, peers: Sequence[str], quorum: int, delta_ms: int, now_unix_ms: Callable[[], int]
    ) -> None:
        """`quorum` clocks, this one included, are enough to judge by; `delta_ms` off is too far."""
        self._peers = tuple(peers)
        self._quorum = quorum
        self._delta_ms = delta_ms
        self._now_unix_ms = now_unix_ms
        self._ticks = 0
        self._current: dict[str, int] = {}
        self._previous: dict[str, int] = {}
        self.deviation = 0

    @property
    def is_off(self) -> bool:
        """Whether this clock is too far from those of a quorum to lead by."""
        return abs(self.deviation) > self._delta_ms

    def agreed_now_unix_ms(self) -> int:
        """This clock, or the quorum's where this one is off."""
        now = self._now_unix_ms()
        return now + self.deviation if self.is_off else now

    def tick(self) -> None:
        """Time passes; old offsets are forgotten."""
        self._ticks += 1
        if self._ticks % WINDOW_TICKS == 0:
            self._previous, self._current = self._current, {}
            self._judge()

    def heard(self, peer: str, clock_unix_ms: int) -> None:
        """A frame has arrived that was sent at `clock_unix_ms` of the peer's clock."""
        offset = clock_unix_ms - self._now_unix_ms()
        known = self._current.get(peer)
        if known is None or offset > known:
            self._current[peer] = offset
            self._judge()

    def successor(self, progress: Sequence[PeerProgress]) -> str | None:
        """Who should lead instead: the longest log among the peers near the median."""
        near = [
            peer
            for peer in progress
            if (offset := self._offset(peer.node_id)) is not None
            and abs(offset - self.deviation) <= self._delta_ms
        ]
        return max(near, key=lambda peer: peer.match).node_id if near else None

    def _offset(self, peer: str) -> int | None:
        offsets = [window[peer] for window in (self._previous, self._current) if peer in window]
        return max(offsets) if offsets else None

    def _judge(self) -> None:
        heard = (self._offset(peer) for peer in self._peers)
        offsets = sorted([0, *(offset for offset in heard if offset is not None)])
        low, high = offsets[(len(offsets) - 1) // 2], offsets[len(offsets) // 2]
        enough = len(offsets) >= self._quorum
        self.deviation = (low if low > 0 else min(high, 0)) if enough else 0
