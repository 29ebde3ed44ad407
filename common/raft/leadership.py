"""All that a node knows and does only while it leads: made for one term, then dropped."""

from __future__ import annotations

from collections.abc import Sequence

from common.raft.config import RaftConfig
from common.raft.errors import BadMessage
from common.raft.log import RaftLog
from common.raft.messages import Append, AppendReply, Entry, Message, TimeoutNow
from common.raft.progress import Mode, Peer
from common.raft.quorum import reached
from common.raft.reads import Reads
from common.raft.ready import ReadFailed, ReadState

__all__ = ["Leadership"]


class Leadership:
    """Replication, commits, reads and the handing over of one term."""

    __slots__ = (
        "_announcing",
        "_config",
        "_first_own_index",
        "_log",
        "_reads",
        "_round",
        "_timeout_now_sent",
        "_transfer_ticks",
        "peers",
        "term",
        "transfer_target",
    )

    def __init__(self, config: RaftConfig, log: RaftLog, term: int) -> None:
        """`log` does not have the leader's first entry yet: it comes next."""
        self._announcing = False
        self._config = config
        self._log = log
        self._first_own_index = log.last_index + 1
        self._reads = Reads()
        self._round = 0
        self._timeout_now_sent = False
        self._transfer_ticks = 0
        self.peers = {peer: Peer(peer, self._first_own_index) for peer in config.peers}
        self.term = term
        self.transfer_target: str | None = None

    # Time.

    def tick(self) -> None:
        """Time passes: peers fall silent, heartbeats come due, a handing over runs out."""
        for peer in self.peers.values():
            peer.silent_ticks += 1
            peer.told_ticks += 1
        if self.transfer_target is not None:
            self._transfer_ticks -= 1
            if self._transfer_ticks <= 0:
                self.transfer_target = None

    def hears_quorum(self) -> bool:
        """Whether enough followers have answered within the shortest election timeout."""
        limit = self._config.election_ticks_min
        heard = sum(peer.silent_ticks < limit for peer in self.peers.values())
        return heard + 1 >= self._config.quorum

    # Replication.

    def acknowledge(self, reply: AppendReply) -> None:
        """Learn from a follower's reply of this term. Raises `BadMessage` for a made-up one."""
        peer = self.peers[reply.sender]
        if reply.round > peer.round_sent:
            raise BadMessage(f"{reply.sender} answers round {reply.round}, which it was not sent")
        if reply.accepted and reply.index > self._log.last_index:
            raise BadMessage(f"{reply.sender} acknowledges {reply.index}, beyond the log's end")
        peer.heard(reply)
        if reply.accepted:
            peer.accepted(reply)
        elif not peer.is_stale(reply):
            place = min(reply.hint_index, reply.index - 1)
            place = self._log.last_place(place, reply.hint_term, low=peer.match)
            peer.step_back(place, self._round + 1)

    def commit_index(self, durable_index: int) -> int:
        """The highest index that is committed, given how much of the leader's log is on its disk.

        Only an entry of the leader's own term is committed by counting; all before it come with it
        (Raft paper, section 5.4.2 and figure 8).
        """
        matches = [peer.match for peer in self.peers.values()]
        index = reached([durable_index, *matches], self._config.quorum)
        return index if index >= self._first_own_index else self._log.committed

    def messages(self) -> list[Message]:
        """Everything due now, to all followers; what it returns counts as sent."""
        due: list[Message] = []
        hearers = self._hearers()
        for peer in self.peers.values():
            due += self._appends(peer, hears_commit=peer in hearers)
            if self._may_time_out(peer):
                self._timeout_now_sent = True
                due.append(TimeoutNow(self._config.node_id, peer.node_id, self.term))
        self._announcing = False
        return due

    def announce(self) -> None:
        """Have the next messages tell every follower how far the log is committed."""
        self._announcing = True

    def _hearers(self) -> Sequence[Peer]:
        """Who is told of a commit by a message of its own: those who were, then the quickest."""
        peers = list(self.peers.values())
        if self._announcing or self._config.commit_news_max >= len(peers):
            return peers
        committed = self._log.committed
        peers.sort(key=lambda peer: (peer.commit_sent < committed, -peer.match))
        return peers[: self._config.commit_news_max]

    def _appends(self, peer: Peer, *, hears_commit: bool) -> list[Append]:
        due: list[Append] = []
        if peer.mode is Mode.PROBE:
            if not peer.awaiting or self._is_heartbeat_due(peer):
                peer.awaiting = True
                due.append(self._append(peer, self._window(peer)))
        else:
            while entries := self._window(peer):
                due.append(self._append(peer, entries))
                peer.next = entries[-1].index + 1
        if not due and (self._is_owed_empty(peer) or (hears_commit and self._has_news(peer))):
            due.append(self._append(peer, ()))
        return due

    def _window(self, peer: Peer) -> Sequence[Entry]:
        """The next entries the follower may be sent, within the limits of one message."""
        on_the_way_from = peer.match if peer.mode is Mode.REPLICATE else peer.next - 1
        high = min(self._log.last_index, on_the_way_from + self._config.inflight_entries_max) + 1
        if peer.next >= high or self._is_stranded(peer):
            return ()
        return self._log.entries(peer.next, high, self._config.append_bytes_max)

    def _is_stranded(self, peer: Peer) -> bool:
        """Whether the follower needs entries this log no longer keeps.

        It is sent heartbeats, which it refuses, so that it knows its leader until a snapshot comes.
        """
        return peer.next <= self._log.first_index and self._log.first_index > 1

    def _is_owed_empty(self, peer: Peer) -> bool:
        """Whether a message is due that needs no entries: a heartbeat, or a read to confirm."""
        return self._is_heartbeat_due(peer) or peer.round_sent < self._reads.round_needed

    def _has_news(self, peer: Peer) -> bool:
        """Whether entries are committed that the follower was sent, and it was not told so."""
        news = min(self._log.committed, peer.next - 1)
        return peer.mode is Mode.REPLICATE and news > peer.commit_sent

    def _is_heartbeat_due(self, peer: Peer) -> bool:
        """Whether a peer was sent nothing for so long that it might take the leader for dead."""
        return peer.told_ticks >= self._config.heartbeat_ticks

    def _append(self, peer: Peer, entries: Sequence[Entry]) -> Append:
        prev_index = self._log.first_index if self._is_stranded(peer) else peer.next - 1
        self._round += 1
        peer.round_sent = self._round
        peer.told_ticks = 0
        peer.commit_sent = min(self._log.committed, prev_index + len(entries))
        return Append(
            sender=self._config.node_id,
            receiver=peer.node_id,
            term=self.term,
            prev_index=prev_index,
            prev_term=self._log.term(prev_index),
            entries=tuple(entries),
            commit=self._log.committed,
            round=self._round,
        )

    # Reads.

    def read(self, token: int) -> ReadFailed | None:
        """Take a read; its answer comes by `answered_reads`, or at once where there is no room."""
        if self.transfer_target is not None or len(self._reads) >= self._config.reads_pending_max:
            return ReadFailed(token)
        if self._log.committed < self._first_own_index:
            self._reads.hold(token)
        else:
            self._reads.wait(token, self._log.committed, self._round + 1)
        return None

    def answered_reads(self) -> list[ReadState]:
        """The reads a quorum has confirmed since the last call."""
        if not self._reads:
            return []
        if self._log.committed >= self._first_own_index:
            self._reads.release(self._log.committed, self._round + 1)
        rounds = [peer.round_acked for peer in self.peers.values()]
        own_round = self._round + 1  # The leader itself follows, in every round.
        return self._reads.confirmed(reached([own_round, *rounds], self._config.quorum))

    def abandoned_reads(self) -> list[ReadFailed]:
        """The reads that end with this leadership."""
        return self._reads.abandon()

    # Handing over.

    def transfer(self, target: str) -> None:
        """Stop taking work and hand over to `target` as soon as its disk has the whole log."""
        self.transfer_target = target
        self._transfer_ticks = self._config.election_ticks_max
        self._timeout_now_sent = False

    def _may_time_out(self, peer: Peer) -> bool:
        return (
            peer.node_id == self.transfer_target
            and not self._timeout_now_sent
            and peer.match == self._log.last_index
        )
