"""One real node whose peers, disk and clock are played by the test, one step at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from common.crypto.signing import sign
from common.encoding import encode
from common.ledger.block import Block
from common.ledger.certificate import HeaderVote, vote_digest
from common.ledger.chain import SignatureClaim
from common.ledger.genesis import chain_id_of
from common.node.frames import Frame, Item, SignedVote, decode_frame, encode_frame
from common.node.node import Node
from common.node.ports import NodeSettings, Result
from common.raft.messages import Append, AppendReply, Entry, PreVote, PreVoteReply, Vote, VoteReply
from common.raft.roles import Role
from common.storage.memory import MemoryLogStore, MemoryStateStore
from common.storage.ports import LogWrite
from tests.kit import tally

T = TypeVar("T")

ME = "bank-1"
PEERS = ("core-1", "logistics-1", "warehouse-1")
SETTINGS = NodeSettings(outcome_wait_ticks=50)


class Solo:
    """The node `bank-1` of a tally chain, and everything it says and asks for."""

    def __init__(self, node_ids: Sequence[str] = tally.NODE_IDS, **settings: Any) -> None:
        self.genesis = tally.make_genesis(node_ids)
        self.chain_id = chain_id_of(self.genesis)
        self.settings = replace(SETTINGS, **settings)
        self.log = MemoryLogStore()
        self.state = MemoryStateStore()
        self.now = tally.START_UNIX_MS + 1_000
        self.peers_ahead_ms = 0
        self.sent: list[tuple[str, Item]] = []
        self.clocks_shown: list[str] = []
        self.written: list[LogWrite] = []
        self.holds_writes = False
        self.holds_checks = False
        self.checks: list[Callable[[], None]] = []
        self.asked: list[str] = []
        self.holds_work = False
        self.work: list[Callable[[], None]] = []
        self.final: list[int] = []
        self.alarms: list[tuple[str, dict[str, object]]] = []
        self.stopped: list[str] = []
        self._done: list[Callable[[], None]] = []
        self.node = self._new_node()

    def _new_node(self) -> Node:
        key = tally.key_of(ME)
        return Node(ME, tally.CHAIN, self.genesis, key, self.log, self.state, self, self.settings)

    # --- NodePorts

    def now_unix_ms(self) -> int:
        return self.now

    def random_ticks(self, low: int, high: int) -> int:  # noqa: ARG002
        return low

    def send(self, receiver: str, frame: bytes) -> None:
        decoded = decode_frame(frame)
        assert decoded.clock_unix_ms == self.now
        self.clocks_shown.append(receiver)
        self.sent += [(receiver, item) for item in decoded.items]

    def write_log(self, write: LogWrite, done: Callable[[], None]) -> None:
        self.asked.append("write")
        self.log.submit([write])
        self.written.append(write)
        self._done.append(done)
        if not self.holds_writes:
            self.sync()

    def verify(self, claims: Sequence[SignatureClaim], done: Callable[[], None]) -> None:
        assert claims, "nothing to check"
        self.asked.append("check")
        if self.holds_checks:
            self.checks.append(done)
        else:
            done()

    def soon(self, work: Callable[[], None]) -> None:
        if self.holds_work:
            self.work.append(work)
        else:
            work()

    def on_final(self, height: int) -> None:
        self.final.append(height)

    def alarm(self, kind: str, **details: object) -> None:
        self.alarms.append((kind, details))

    def stop(self, reason: str) -> None:
        self.stopped.append(reason)

    # --- what the test does

    def sync(self) -> None:
        """The disk has everything; the node is told."""
        while self._done:
            self.log.complete()
            self._done.pop(0)()

    def restart(self, *, lost_writes: bool = True) -> None:
        """Crash and start again on the same disk."""
        self.log.crash(reached=0 if lost_writes else self.log.queued)
        self.state.crash()
        self._done.clear()
        self.sent.clear()
        self.node = self._new_node()
        self.node.start()

    def ticks(self, count: int, *, pass_time: bool = True) -> None:
        for _ in range(count):
            self.now += self.settings.tick_ms if pass_time else 0
            self.node.tick()

    def receive(self, sender: str, *items: Item) -> None:
        self.node.receive(sender, encode_frame(Frame(self.now + self.peers_ahead_ms, items)))

    def take(self, kind: type[T]) -> list[tuple[str, T]]:
        """What of a kind was sent since last taken."""
        found: list[tuple[str, T]] = []
        for to, item in self.sent:
            if isinstance(item, kind):
                found.append((to, item))
        self.sent = [(to, item) for to, item in self.sent if not isinstance(item, kind)]
        return found

    def elect(self) -> None:
        """Let the node win an election."""
        while not (asked := self.take(PreVote)):
            self.ticks(1)
        for peer, message in asked:
            self.receive(peer, PreVoteReply(peer, ME, message.term, True))
        for peer, vote in self.take(Vote):
            self.receive(peer, VoteReply(peer, ME, vote.term, True))
        assert self.node.raft.role is Role.LEADER

    def acknowledge(self, peers: Sequence[str] = PEERS, rounds: int = 20) -> None:
        """Peers take everything they are sent, until nothing more comes."""
        for _ in range(rounds):
            appends = [(to, item) for to, item in self.take(Append) if to in peers]
            if not appends:
                return
            for peer, append in appends:
                self.accept(peer, append)

    def accept(self, peer: str, append: Append) -> None:
        """A peer has all of an Append on its disk."""
        end = append.prev_index + len(append.entries)
        self.receive(peer, AppendReply(peer, ME, append.term, append.round, True, end, 0, 0, end))

    def lead(self, *, final: bool = True) -> None:
        """Elected, with the first block committed (and final)."""
        self.node.start()
        self.elect()
        self.acknowledge()
        if final:
            self.vote_for_all()
            self.acknowledge()  # who was not needed hears of the commit with the certificate

    def vote_of(self, peer: str, height: int, header_hash: bytes | None = None) -> SignedVote:
        """A peer's vote for the node's own header, or for another hash."""
        vote = HeaderVote(
            self.chain_id,
            0,
            0,
            height,
            self.log.term(height) if height <= self.log.last_index else 1,
            peer,
            header_hash or self.node.ledger.hash_at(height),
        )
        return SignedVote(vote, sign(tally.key_of(peer), vote_digest(vote)))

    def vote_for_all(self, peers: Sequence[str] = PEERS[:2]) -> None:
        """Peers vote for every block that is applied and not final."""
        ledger = self.node.ledger
        for height in range(ledger.final_height + 1, ledger.applied_height + 1):
            for peer in peers:
                self.receive(peer, self.vote_of(peer, height))

    def append(
        self,
        *blocks: Block,
        leader: str = "core-1",
        term: int = 1,
        prev: tuple[int, int] | None = None,
        commit: int = 0,
        round_number: int = 1,
    ) -> None:
        """As a follower: an Append of `blocks` after the end of the log (or after `prev`)."""
        prev_index, prev_term = prev or (self.log.last_index, self.log.term(self.log.last_index))
        entries = tuple(
            Entry(term, prev_index + 1 + place, encode(block)) for place, block in enumerate(blocks)
        )
        self.receive(
            leader, Append(leader, ME, term, prev_index, prev_term, entries, commit, round_number)
        )

    def submit(self, *raws: bytes) -> list[Result]:
        """Submit; the returned list fills when the answer comes."""
        results: list[Result] = []
        self.node.submit(raws, results.extend)
        return results

    def transaction(self, number: int, operation: Any = None, **kwargs: Any) -> bytes:
        """A valid deposit by the bank, or what is given."""
        made = tally.make_transaction(
            self.chain_id, "bank", operation or tally.deposit("acme", 5), number, **kwargs
        )
        return made.raw
