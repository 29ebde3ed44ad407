"""What a leader knows of one follower, and what it may send it.

PROBE: the leader does not know where the two logs part. It sends one Append and waits for the
answer (or the next heartbeat). REPLICATE: the last Append was accepted; entries are sent without
waiting, as many as `inflight_entries_max` ahead of what is on the follower's disk.

              accepted
      PROBE ------------> REPLICATE
        ^                     |
        +---------------------+
          refused: go back to the follower's hint

How much is on the way is `next - 1 - match`: derived, so no lost message can leave a count wrong.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from common.raft.messages import AppendReply

__all__ = ["Mode", "Peer", "PeerProgress"]


class Mode(enum.Enum):
    """How a leader sends to one follower."""

    PROBE = "probe"
    REPLICATE = "replicate"


@dataclass(frozen=True, slots=True)
class PeerProgress:
    """What an operator may see of a follower: its place in the log, and how long it is silent."""

    node_id: str
    mode: Mode
    match: int
    next: int
    last_index: int
    """The end of its log as it said last, on its disk or not."""
    silent_ticks: int


class Peer:
    """One follower in one term of one leader. `match` never falls."""

    __slots__ = (
        "awaiting",
        "commit_sent",
        "last_index",
        "match",
        "mode",
        "next",
        "node_id",
        "reset_round",
        "round_acked",
        "round_sent",
        "silent_ticks",
        "told_ticks",
    )

    def __init__(self, node_id: str, next_index: int) -> None:
        self.node_id = node_id
        self.mode = Mode.PROBE
        self.match = 0
        """The log is the leader's up to here, on the follower's disk."""
        self.next = next_index
        """The first entry to send."""
        self.awaiting = False
        """A probe is on the way."""
        self.commit_sent = 0
        self.round_sent = 0
        self.round_acked = 0
        self.reset_round = 1
        """Refusals of rounds before this one are news of a time before the last step back."""
        self.last_index = 0
        self.silent_ticks = 0
        """How long it has said nothing."""
        self.told_ticks = 0
        """How long it was told nothing."""

    def heard(self, reply: AppendReply) -> None:
        """A reply to a newer round than before proves that the follower still follows."""
        if reply.round > self.round_acked:
            self.round_acked = reply.round
            self.silent_ticks = 0
            self.last_index = reply.last_index

    def accepted(self, reply: AppendReply) -> None:
        """The follower's log is the leader's up to `reply.index`."""
        self.match = max(self.match, reply.index)
        self.next = max(self.next, self.match + 1)
        if reply.round >= self.reset_round:
            self.mode = Mode.REPLICATE
            self.awaiting = False

    def is_stale(self, refusal: AppendReply) -> bool:
        """Whether a refusal says nothing new: a later answer has overtaken it."""
        return refusal.round < self.reset_round or refusal.index <= self.match

    def step_back(self, place: int, next_round: int) -> None:
        """Probe again after `place`, the last one where the logs may agree."""
        self.next = max(self.match, place) + 1
        self.mode = Mode.PROBE
        self.awaiting = False
        self.reset_round = next_round

    def view(self) -> PeerProgress:
        return PeerProgress(
            self.node_id, self.mode, self.match, self.next, self.last_index, self.silent_ticks
        )
