"""What Raft asks of its driver, and what it tells it."""

from __future__ import annotations

import msgspec

from common.raft.messages import Entry, HardState, Message
from common.raft.roles import Role

__all__ = ["PersistReceipt", "ReadFailed", "ReadState", "Ready", "RoleChange"]


class PersistReceipt(msgspec.Struct, frozen=True):
    """Names one write. The driver hands it back by `Raft.persisted` when the disk has the write."""

    number: int
    """The number of the `Ready` it belongs to."""
    term: int
    """The term the node was in."""
    last_index: int
    """The end of the log the write leaves."""


class ReadState(msgspec.Struct, frozen=True):
    """The read `token` may be answered from any state that has applied `index`."""

    token: int
    index: int


class ReadFailed(msgspec.Struct, frozen=True):
    """The read `token` gets no answer here: this node does not lead, or has too many reads."""

    token: int


class RoleChange(msgspec.Struct, frozen=True):
    """The node's role, term or known leader is new."""

    role: Role
    term: int
    leader_id: str | None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """One batch of work. Each part is handed out once; the package's docstring says what to do."""

    number: int
    """Grows by one with each `Ready`."""
    hard_state: HardState | None = None
    """To be written, with `entries` and not after them."""
    entries: tuple[Entry, ...] = ()
    """To be written: they replace everything stored at or above `entries[0].index`."""
    receipt: PersistReceipt | None = None
    """Not None when there is something to write, or to send after earlier writes."""
    messages: tuple[Message, ...] = ()
    """To be sent at once."""
    messages_after_persist: tuple[Message, ...] = ()
    """To be sent when this write and all before it are on the disk."""
    committed: tuple[Entry, ...] = ()
    """To be applied, in order. They are committed, and on this node's own disk."""
    reads: tuple[ReadState | ReadFailed, ...] = ()
    role_change: RoleChange | None = None

    @property
    def must_sync(self) -> bool:
        """Whether there is anything to write before `receipt` is handed back."""
        return self.hard_state is not None or bool(self.entries)
