"""Raft nodes on simulated disks and a simulated network, moved by hand one step at a time.

Nothing happens by itself: time passes by `tick`, a node's work is taken by `drain`, a write reaches
the disk by `sync`, a message arrives by `deliver`. A crash loses what was not synced. Every message
goes through its encoding. `trace` is called with one line for each thing that happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from common.raft.core import Raft, RaftConfig
from common.raft.messages import (
    Append,
    AppendReply,
    Entry,
    HardState,
    Message,
    PreVote,
    PreVoteReply,
    TimeoutNow,
    Vote,
    VoteReply,
    decode_message,
    encode_message,
)
from common.raft.ready import ReadState, Ready
from common.raft.storage import MemoryLog

NOOP = b"-"


@dataclass
class Disk:
    """What survives a crash, and the writes still on their way to it."""

    hard_state: HardState = field(default_factory=lambda: HardState(0, ""))
    log: MemoryLog = field(default_factory=MemoryLog)
    pending: deque[Ready] = field(default_factory=deque)

    def sync_one(self) -> Ready:
        """The oldest write reaches the disk."""
        ready = self.pending.popleft()
        if ready.hard_state is not None:
            self.hard_state = ready.hard_state
        self.log.write(ready.entries)
        return ready

    def read_all(self) -> list[Entry]:
        last = self.log.last_index
        return list(self.log.entries(1, last + 1, 1 << 62)) if last else []


class Node:
    """One node: its disk, and while it is up its Raft."""

    def __init__(self, config: dict[str, Any], random_ticks: Callable[[int, int], int]) -> None:
        self.node_id: str = config["node_id"]
        self.config = config
        self.random_ticks = random_ticks
        self.disk = Disk()
        self.raft: Raft | None = None
        self.applied: list[Entry] = []
        self.reads: dict[int, int | None] = {}
        self.holds_writes = False
        self.forbidden = 0

    @property
    def up(self) -> Raft:
        assert self.raft is not None, f"{self.node_id} is down"
        return self.raft

    def start(self, applied_index: int = 0) -> None:
        """Start from the disk; entries up to `applied_index` have been applied before."""
        del self.applied[applied_index:]
        self.raft = Raft(
            RaftConfig(**self.config, applied_index=applied_index),
            self.disk.hard_state,
            self.disk.log,
            self.random_ticks,
            lambda: NOOP,
        )
        if self.forbidden:
            self.raft.forbid_truncation(self.forbidden)

    def log_entries(self) -> list[Entry]:
        """The log as the node believes it; of a node that is down, as its disk has it."""
        if self.raft is None:
            return self.disk.read_all()
        log = self.raft._log
        entries: list[Entry] = []
        while len(entries) < log.last_index:
            entries += log.entries(len(entries) + 1, log.last_index + 1, 1 << 62)
        return entries


class Cluster:
    """All nodes, and the messages between them in the order they were sent."""

    def __init__(
        self,
        node_ids: Sequence[str],
        trace: Callable[[str], None] = lambda _: None,
        random_ticks: Callable[[int, int], int] = lambda low, _: low,
        **settings: int,
    ) -> None:
        self.trace = trace
        self.network: list[Message] = []
        self.cut: set[tuple[str, str]] = set()
        self.nodes = {
            node_id: Node({"node_id": node_id, "voters": tuple(node_ids), **settings}, random_ticks)
            for node_id in node_ids
        }

    def __getitem__(self, node_id: str) -> Raft:
        return self.nodes[node_id].up

    @property
    def up(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.raft is not None]

    def start_all(self) -> None:
        for node in self.nodes.values():
            node.start()

    def drain(self, node_id: str) -> bool:
        """Do the duties of the driver until there is nothing to do. True if there was anything."""
        node, worked = self.nodes[node_id], False
        while (ready := node.up.ready()) is not None:
            worked = True
            self._take(node, ready)
            if not node.holds_writes:
                self.sync(node_id)
        return worked

    def _take(self, node: Node, ready: Ready) -> None:
        node_id = node.node_id
        if change := ready.role_change:
            led = f", led by {change.leader_id}" if change.leader_id else ""
            self.trace(f"{node_id} is {change.role.value} in term {change.term}{led}")
        for message in ready.messages:
            self.send(message)
        if ready.receipt is not None:
            node.disk.pending.append(ready)
            if ready.must_sync:
                self.trace(f"{node_id} writes {describe_write(ready)}")
        for entry in ready.committed:
            self.trace(f"{node_id} applies {describe_entry(entry)}")
        node.applied += ready.committed
        for read in ready.reads:
            index = read.index if isinstance(read, ReadState) else None
            assert read.token not in node.reads, "a read was answered twice"
            node.reads[read.token] = index
            self.trace(f"{node_id} read {read.token} " + (f"at {index}" if index else "failed"))

    def sync(self, node_id: str, count: int | None = None) -> int:
        """The oldest `count` writes (all by default) reach the disk, and Raft is told."""
        node, done = self.nodes[node_id], 0
        while node.disk.pending and done != count:
            done += 1
            ready = node.disk.sync_one()
            if node.holds_writes and ready.must_sync:
                self.trace(f"{node_id} has on disk {describe_write(ready)}")
            for message in ready.messages_after_persist:
                self.send(message)
            assert ready.receipt is not None
            node.up.persisted(ready.receipt)
        return done

    def send(self, message: Message) -> None:
        lost = (message.sender, message.receiver) in self.cut
        arrow = "-x" if lost else "->"
        self.trace(f"{message.sender} {arrow} {message.receiver} {describe(message)}")
        if not lost:
            self.network.append(decode_message(encode_message(message)))

    def deliver(self, message: Message) -> None:
        """Give a message to its receiver, if that is up; the message stays where it is."""
        node = self.nodes[message.receiver]
        if node.raft is not None:
            node.raft.step(message)

    def deliver_all(self, node_ids: Iterable[str]) -> bool:
        """Deliver, in order, all that is on the way to `node_ids`. True if there was anything."""
        receivers = set(node_ids)
        arriving = [m for m in self.network if m.receiver in receivers]
        self.network = [m for m in self.network if m.receiver not in receivers]
        for message in arriving:
            self.deliver(message)
        return bool(arriving)

    def stabilize(self, node_ids: Iterable[str] | None = None, rounds_max: int = 500) -> None:
        """Drain and deliver among `node_ids` (all by default) until nothing moves."""
        chosen = list(self.nodes if node_ids is None else node_ids)
        for _ in range(rounds_max):
            active = [n for n in chosen if self.nodes[n].raft is not None]
            drained = [self.drain(node_id) for node_id in active]
            if not self.deliver_all(chosen) and not any(drained):
                return
        raise AssertionError("the cluster does not come to rest")

    def crash(self, node_id: str, reached_disk: int = 0) -> None:
        """Stop a node. The oldest `reached_disk` of its pending writes are on the disk anyway."""
        node = self.nodes[node_id]
        for _ in range(reached_disk):
            node.disk.sync_one()
        node.disk.pending.clear()
        node.raft = None


def describe_entry(entry: Entry) -> str:
    return f"{entry.index}.{entry.term}:{entry.data.decode()}"


def describe_write(ready: Ready) -> str:
    parts = []
    if ready.hard_state is not None:
        parts.append(f"term {ready.hard_state.term} vote {ready.hard_state.vote or 'none'}")
    if ready.entries:
        parts.append("[" + " ".join(map(describe_entry, ready.entries)) + "]")
    return " ".join(parts)


def describe(message: Message) -> str:
    """One line: what a message says. An entry is index.term:data, a place is index.term."""
    term = f"t{message.term}"
    match message:
        case PreVote() | Vote():
            forced = " by transfer" if isinstance(message, Vote) and message.transfer else ""
            kind = type(message).__name__
            return f"{kind} {term} log ends {message.last_index}.{message.last_term}{forced}"
        case PreVoteReply() | VoteReply():
            return f"{type(message).__name__} {term} {'yes' if message.granted else 'no'}"
        case Append():
            entries = " ".join(map(describe_entry, message.entries))
            return (
                f"Append {term} after {message.prev_index}.{message.prev_term} "
                f"[{entries}] commit {message.commit} round {message.round}"
            )
        case AppendReply():
            verdict = f"yes {message.index}"
            if not message.accepted:
                hint = f"{message.hint_index}.{message.hint_term}"
                verdict = f"no {message.index} hint {hint}"
            return f"AppendReply {term} {verdict} round {message.round}"
        case TimeoutNow():
            return f"TimeoutNow {term}"
