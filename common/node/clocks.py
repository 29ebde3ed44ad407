"""Whether this node's clock agrees with those of a quorum.

Every frame carries its sender's clock. What is left of it after the way here is the sender's clock
less the delay, so the largest offset seen lately is the best estimate.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Clocks"]

WINDOW_TICKS = 50
"""Offsets are kept for one to two windows."""


class Clocks:
    """The offsets of the peers' clocks from this one, in milliseconds: above 0 they are ahead."""

    __slots__ = ("_current", "_peers", "_previous", "_quorum", "_ticks")

    def __init__(self, peers: Sequence[str], quorum: int) -> None:
        """`quorum` clocks, this one included, are enough to judge by."""
        self._peers = tuple(peers)
        self._quorum = quorum
        self._ticks = 0
        self._current: dict[str, int] = {}
        self._previous: dict[str, int] = {}

    def tick(self) -> None:
        """Time passes; old offsets are forgotten."""
        self._ticks += 1
        if self._ticks % WINDOW_TICKS == 0:
            self._previous, self._current = self._current, {}

    def heard(self, peer: str, offset_ms: int) -> None:
        """A frame's clock was this far ahead of this node's when it arrived."""
        known = self._current.get(peer)
        if known is None or offset_ms > known:
            self._current[peer] = offset_ms

    def offset(self, peer: str) -> int | None:
        """How far a peer's clock is ahead; None where nothing was heard lately."""
        offsets = [window[peer] for window in (self._previous, self._current) if peer in window]
        return max(offsets) if offsets else None

    def deviation(self) -> int:
        """How far the median of a quorum's clocks is ahead of this one; 0 while it is not known.

        Of the two middle clocks of an even number the one nearer to this one counts.
        """
        heard = (self.offset(peer) for peer in self._peers)
        offsets = sorted([0, *(offset for offset in heard if offset is not None)])
        if len(offsets) < self._quorum:
            return 0
        low, high = offsets[(len(offsets) - 1) // 2], offsets[len(offsets) // 2]
        return low if low > 0 else min(high, 0)
