"""ReadIndex: a leader proves that it still leads before anyone reads what it has committed.

A read waits for two things, in this order: an entry of the leader's own term must be committed
(else the leader does not know how far its predecessors committed), and then a quorum must answer an
Append whose round began after the read. No round is used twice: an old answer proves nothing new.
"""

from __future__ import annotations

from collections import deque

from common.raft.ready import ReadFailed, ReadState

__all__ = ["Reads"]


class Reads:
    """The reads of one leader's term, from arrival to their one answer."""

    __slots__ = ("_early", "_waiting")

    def __init__(self) -> None:
        self._early: list[int] = []
        self._waiting: deque[tuple[int, ReadState]] = deque()

    def __len__(self) -> int:
        return len(self._early) + len(self._waiting)

    @property
    def round_needed(self) -> int:
        """The round a quorum must answer for the newest read; 0 where no read waits for one."""
        return self._waiting[-1][0] if self._waiting else 0

    def hold(self, token: int) -> None:
        """Keep a read until the leader's first entry is committed."""
        self._early.append(token)

    def wait(self, token: int, index: int, next_round: int) -> None:
        """A read of the commit index `index` that any round from `next_round` on confirms."""
        self._waiting.append((next_round, ReadState(token, index)))

    def release(self, index: int, next_round: int) -> None:
        """The leader's first entry is committed: the held reads are reads of `index`."""
        for token in self._early:
            self.wait(token, index, next_round)
        self._early.clear()

    def confirmed(self, round_reached: int) -> list[ReadState]:
        """The reads that a quorum's answers to `round_reached` confirm, oldest first."""
        done: list[ReadState] = []
        while self._waiting and self._waiting[0][0] <= round_reached:
            done.append(self._waiting.popleft()[1])
        return done

    def abandon(self) -> list[ReadFailed]:
        """The leader leads no more: no read that still waits may be answered."""
        tokens = self._early + [state.token for _, state in self._waiting]
        self._early.clear()
        self._waiting.clear()
        return [ReadFailed(token) for token in tokens]
