"""One Raft node among peers that exist only as the messages a test sends for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from common.raft.core import Raft, RaftConfig
from common.raft.messages import (
    Append,
    AppendReply,
    Entry,
    HardState,
    Message,
    PreVote,
    PreVoteReply,
    Vote,
    VoteReply,
)
from common.raft.ready import ReadFailed, ReadState, Ready
from common.raft.roles import Role
from common.raft.storage import MemoryLog

M = TypeVar("M")


def entries(*terms: int, first_index: int = 1) -> list[Entry]:
    return [Entry(term, index, b"x") for index, term in enumerate(terms, start=first_index)]


class Solo:
    """Node "a" of voters "a", "b", ... Its disk is as fast as `work` is called."""

    def __init__(
        self,
        voters: int = 3,
        *,
        term: int = 0,
        vote: str = "",
        log: Sequence[int] = (),
        **settings: Any,
    ) -> None:
        names = tuple("abcdefghi"[:voters])
        self.disk = MemoryLog(entries(*log))
        self.state = HardState(term, vote)
        self.timeouts: list[int] = []
        self.sent: list[Message] = []
        self.applied: list[Entry] = []
        self.reads: list[ReadState | ReadFailed] = []
        config = {"election_ticks_min": 10, "election_ticks_max": 20, "heartbeat_ticks": 1}
        self.raft = Raft(
            RaftConfig(node_id="a", voters=names, **(config | settings)),
            self.state,
            self.disk,
            self._random_ticks,
            lambda: b"noop",
        )
        self.peers = names[1:]

    def _random_ticks(self, _low: int, high: int) -> int:
        self.timeouts.append(high)
        return high

    def work(self) -> list[Message]:
        """Do all there is to do. Returns what was sent."""
        sent: list[Message] = []
        while (ready := self.raft.ready()) is not None:
            sent += ready.messages
            sent += self.write(ready)
            self.applied += ready.committed
            self.reads += ready.reads
        self.sent += sent
        return sent

    def ready(self) -> Ready:
        """The next batch of work, which the test itself does."""
        ready = self.raft.ready()
        assert ready is not None
        return ready

    def write(self, ready: Ready) -> tuple[Message, ...]:
        """The write of `ready` reaches the disk. Returns what may leave now."""
        if ready.hard_state is not None:
            self.state = ready.hard_state
        self.disk.write(ready.entries)
        if ready.receipt is not None:
            self.raft.persisted(ready.receipt)
        return ready.messages_after_persist

    def step(self, message: Message) -> list[Message]:
        self.raft.step(message)
        return self.work()

    def tick(self, count: int = 1) -> list[Message]:
        sent: list[Message] = []
        for _ in range(count):
            self.raft.tick()
            sent += self.work()
        return sent

    def stand(self) -> list[Message]:
        """Time passes until the node is a candidate. Returns its requests for votes."""
        term = self.raft.term
        self.raft.tick()
        while self.raft.role is not Role.PRE_CANDIDATE and self.raft.term == term:
            self.raft.tick()
        self.work()
        for peer in self.peers:
            if self.raft.role is Role.PRE_CANDIDATE:
                self.raft.step(PreVoteReply(peer, "a", self.raft.term + 1, granted=True))
        return self.work()

    def lead(self) -> list[Message]:
        """Win an election. Returns the first Appends."""
        self.stand()
        for peer in self.peers:
            if self.raft.role is Role.CANDIDATE:
                self.raft.step(VoteReply(peer, "a", self.raft.term, granted=True))
        return self.work()

    def log(self) -> list[Entry]:
        last = self.disk.last_index
        return list(self.disk.entries(1, last + 1, 1 << 62)) if last else []

    # Messages of the peers.

    def append(
        self,
        *new: Entry,
        sender: str = "b",
        term: int,
        prev: tuple[int, int] = (0, 0),
        commit: int = 0,
        round_number: int = 1,
    ) -> Append:
        """An Append after `prev`, an (index, term)."""
        return Append(sender, "a", term, prev[0], prev[1], new, commit, round_number)

    def yes(self, append: Append) -> AppendReply:
        """The receiver of `append` has it all on its disk."""
        end = append.prev_index + len(append.entries)
        return AppendReply(append.receiver, "a", append.term, append.round, True, end, 0, 0, end)

    def no(self, append: Append, hint: tuple[int, int] = (0, 0)) -> AppendReply:
        """The receiver does not have the entry before `append`."""
        return AppendReply(
            append.receiver,
            "a",
            append.term,
            append.round,
            False,
            append.prev_index,
            *hint,
            hint[0],
        )

    def ask(self, term: int, last: tuple[int, int], sender: str = "b") -> Vote:
        """A request for a vote by a candidate whose log ends at `last`, an (index, term)."""
        return Vote(sender, "a", term, last[0], last[1], transfer=False)

    def pre_ask(self, term: int, last: tuple[int, int], sender: str = "b") -> PreVote:
        return PreVote(sender, "a", term, last[0], last[1])


def of(kind: type[M], messages: Sequence[object]) -> list[M]:
    """The messages of one kind, in order."""
    return [message for message in messages if isinstance(message, kind)]
