"""What a node can be in its term, and the count of an election.

          no leader heard               a majority would vote
FOLLOWER ----------------> PRE_CANDIDATE --------------------> CANDIDATE
    ^                            |                                 | a majority voted
    |      a leader, or a        |                                 v
    +----- higher term ----------+----------------------------- LEADER
                                   a higher term, or no quorum heard for too long
"""

from __future__ import annotations

import enum

__all__ = ["Role", "Tally"]


class Role(enum.Enum):
    """The part a node plays in its term."""

    FOLLOWER = "follower"
    PRE_CANDIDATE = "pre-candidate"
    CANDIDATE = "candidate"
    LEADER = "leader"


class Tally:
    """The votes for one candidacy. A node counts once, however often its reply arrives."""

    __slots__ = ("_granted", "_quorum")

    def __init__(self, quorum: int) -> None:
        self._quorum = quorum
        self._granted: set[str] = set()

    def grant(self, node_id: str) -> bool:
        """Count the vote of `node_id`. True once a quorum has voted."""
        self._granted.add(node_id)
        return len(self._granted) >= self._quorum
