"""The settings of one Raft node, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass

from common.raft.messages import NO_VOTE, NODE_ID_CHARACTERS_MAX
from common.raft.quorum import majority

__all__ = ["VOTERS_MAX", "RaftConfig"]

VOTERS_MAX = 9
"""The most voters of one chain: beyond it every block costs more than the safety is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaftConfig:
    """Who takes part, how long to wait, how much at once. Raises ValueError for a broken rule."""

    node_id: str
    voters: tuple[str, ...]
    """Every node of the chain, this one included, the same on every node."""

    applied_index: int = 0
    """The last entry the driver has applied: `committed` starts after it."""

    election_ticks_min: int = 10
    """A follower hears nothing for at least this long before it stands; a leader that hears no
    quorum for this long steps down."""
    election_ticks_max: int = 20
    heartbeat_ticks: int = 1

    commit_news_max: int = VOTERS_MAX
    """How many followers hear of a commit at once: the first to have the entry on disk. The others
    hear of it by whatever they are sent next, or when the driver says `announce_commit`."""

    inflight_entries_max: int = 64
    """The most entries on the way to one follower: sent, and not yet known to be on its disk."""
    append_bytes_max: int = 1 << 20
    """Data of one Append, in bytes; a single larger entry travels alone."""
    entry_bytes_max: int = 2 << 20
    """The largest data of one entry, in bytes."""
    uncommitted_entries_max: int = 256
    """Entries a leader takes ahead of its commit index before it says `Busy`."""
    committed_entries_max: int = 64
    committed_bytes_max: int = 4 << 20
    """Most of `Ready.committed`, in entries and in bytes of data."""
    cached_bytes_max: int = 16 << 20
    """Memory for entries that are on the disk already and may be sent again, in bytes."""
    reads_pending_max: int = 4096
    """Reads waiting for their confirmation; a read beyond them fails at once."""

    def __post_init__(self) -> None:
        self._check_voters()
        if not 0 < self.heartbeat_ticks < self.election_ticks_min:
            raise ValueError("heartbeat_ticks must be at least 1 and below election_ticks_min")
        if self.election_ticks_max <= self.election_ticks_min:
            raise ValueError("election_ticks_max must be above election_ticks_min")
        if self.applied_index < 0:
            raise ValueError("applied_index must not be negative")
        limits = (
            self.commit_news_max,
            self.inflight_entries_max,
            self.append_bytes_max,
            self.entry_bytes_max,
            self.uncommitted_entries_max,
            self.committed_entries_max,
            self.committed_bytes_max,
            self.cached_bytes_max,
            self.reads_pending_max,
        )
        if min(limits) < 1:
            raise ValueError("every limit must be at least 1")

    def _check_voters(self) -> None:
        if not 1 <= len(self.voters) <= VOTERS_MAX:
            raise ValueError(f"a chain has 1 to {VOTERS_MAX} voters, not {len(self.voters)}")
        if len(set(self.voters)) != len(self.voters):
            raise ValueError(f"a voter is named twice in {self.voters}")
        if self.node_id not in self.voters:
            raise ValueError(f"{self.node_id!r} is not one of the voters {self.voters}")
        for voter in self.voters:
            if voter == NO_VOTE or len(voter) > NODE_ID_CHARACTERS_MAX:
                raise ValueError(
                    f"{voter!r} is no node id: 1 to {NODE_ID_CHARACTERS_MAX} characters"
                )

    @property
    def peers(self) -> tuple[str, ...]:
        """The other voters."""
        return tuple(voter for voter in self.voters if voter != self.node_id)

    @property
    def quorum(self) -> int:
        """Nodes needed to elect, to commit and to confirm a read."""
        return majority(len(self.voters))
