"""Messages on their way out: which may leave at once, and which wait for the disk."""

from __future__ import annotations

from common.raft.messages import Message

__all__ = ["Outbox"]


class Outbox:
    """Collects the messages of one `Ready`.

    A promise (a vote, an acknowledged entry) may leave only when a crash cannot make the node
    forget it. So with the bare term: who has shown a term must never act in an older one.
    """

    __slots__ = ("_after_writes", "_now")

    def __init__(self) -> None:
        self._now: list[Message] = []
        self._after_writes: list[Message] = []

    @property
    def is_empty(self) -> bool:
        return not self._now and not self._after_writes

    @property
    def waits(self) -> bool:
        """Whether a message waits for the disk."""
        return bool(self._after_writes)

    def send(self, message: Message) -> None:
        """A message that promises nothing the disk does not have."""
        self._now.append(message)

    def send_after_writes(self, message: Message) -> None:
        """A promise: it leaves when all that is to be written now is on the disk."""
        self._after_writes.append(message)

    def drop_promises(self) -> None:
        """The term has changed: nobody needs what was promised in the old one."""
        self._after_writes.clear()

    def release(self) -> None:
        """Nothing is to be written and no write is under way: what waited may leave at once."""
        self._now += self._after_writes
        self._after_writes.clear()

    def take(self) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
        """What may leave at once, and what leaves after the writes; both are gone from here."""
        taken = tuple(self._now), tuple(self._after_writes)
        self._now.clear()
        self._after_writes.clear()
        return taken
