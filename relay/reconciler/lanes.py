"""What one chain needs of the other before it can judge a proof: headers, and messages in order.

There is one `Lane` for each direction. It remembers which headers of the source the target holds,
and which messages it has applied, as far as answers and certified headers tell. What it remembers
is an optimisation: where the target says otherwise, the lane forgets it and carries again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from common.v1.transfer_pb2 import ApplyMessages, ImportHeader
from relay.effects import Operation
from relay.inputs import CertifiedBlock, ChainView, SeenMessage
from relay.reconciler.policy import ChainPlan, Policy

__all__ = ["Lane", "import_of", "messages_of"]

MESSAGES_MAX = 200
"""Messages in one operation: the chains' own limit."""


class Lane:
    """From `source` to `target`. Heads are the newest certified blocks known of either chain."""

    def __init__(self, source: ChainPlan, target: ChainPlan, policy: Policy) -> None:
        self.source = source.name
        self.target = target.name
        self._heeds_holds = target.heeds_holds
        self._policy = policy
        self.source_head: CertifiedBlock | None = None
        self.target_head: CertifiedBlock | None = None
        self.closed = ""
        self._held: OrderedDict[int, None] = OrderedDict()
        self._sending: dict[int, int] = {}
        self._pool: dict[int, SeenMessage] = {}
        self._sent_to = 0
        self._resend_unix_ms = 0
        self._fresh_unix_ms = 0
        self._acknowledged = 0
        self._last_import_unix_ms = 0
        self._asked_unix_ms = 0

    # --- what is known ---------------------------------------------------------------------------

    @property
    def applied(self) -> int:
        """The last message the target has applied, by its newest certified header."""
        return self.target_head.inbox_last if self.target_head else 0

    @property
    def waiting(self) -> int:
        """How many messages of the source the target has not applied yet."""
        sent = self.source_head.outbox_last if self.source_head else 0
        return max(0, sent - self.applied)

    @property
    def fresh_unix_ms(self) -> int:
        """Time of the newest header at the target whose messages were all applied."""
        return self._fresh_unix_ms

    def see_source(self, head: CertifiedBlock) -> None:
        """A newer final block of the source."""
        self.source_head = head

    def see_target(self, head: CertifiedBlock) -> None:
        """A newer final block of the target: what it has applied need not be carried again."""
        self.target_head = head
        for number in [number for number in self._pool if number <= head.inbox_last]:
            del self._pool[number]

    def see_view(self, view: ChainView) -> None:
        """What the target's light client holds."""
        self._fresh_unix_ms = view.fresh_unix_ms
        self._acknowledged = max(self._acknowledged, view.acknowledged)
        self.closed = view.closed
        if view.peer_height:
            self.holds(view.peer_height)

    def see_messages(self, messages: Iterable[SeenMessage]) -> None:
        """Messages of the source, in any order; a bounded number ahead of what is applied."""
        limit = self.applied + self._policy.messages_pooled_max
        for message in messages:
            if self.applied < message.number <= limit:
                self._pool.setdefault(message.number, message)

    def holds(self, height: int) -> None:
        """The target holds the source's header of this height."""
        self._held[height] = None
        self._held.move_to_end(height)
        if len(self._held) > self._policy.headers_remembered_max:
            self._held.popitem(last=False)

    def has(self, height: int) -> bool:
        """Whether the header is held, or on its way in a batch sent before."""
        return height in self._held or height in self._sending

    def carry_again(self, *, stale: bool) -> None:
        """The target lacks a header it was thought to hold, or, `stale`, a fresh one."""
        self._held.clear()
        if stale:
            self._fresh_unix_ms = 0
            self._last_import_unix_ms = 0

    def ask_message(self, now_unix_ms: int) -> int | None:
        """The number of the first message to fetch from the source; None where none is missing.

        Asked for once in a while only: the answer may be on its way.
        """
        if now_unix_ms - self._asked_unix_ms < self._policy.echo_ms:
            return None
        missing = self._missing_message()
        if missing is not None:
            self._asked_unix_ms = now_unix_ms
        return missing

    def _missing_message(self) -> int | None:
        first = max(self.applied, self._sent_to) + 1
        sent = self.source_head.outbox_last if self.source_head else 0
        while first in self._pool:
            first += 1
        return first if first <= sent and first not in self._pool else None

    # --- what to carry ---------------------------------------------------------------------------

    def due_messages(self, now_unix_ms: int) -> list[SeenMessage]:
        """The next messages to carry, contiguous from the first that is neither applied nor sent.

        At most what one operation may hold.
        """
        if now_unix_ms >= self._resend_unix_ms:
            self._sent_to = 0
        first = max(self.applied, self._sent_to) + 1
        taken: list[SeenMessage] = []
        size = 0
        while len(taken) < MESSAGES_MAX and (message := self._pool.get(first + len(taken))):
            size += message.proof.ByteSize()
            if taken and size > self._policy.messages_bytes_max:
                break
            taken.append(message)
        return taken

    def covers(self, block: CertifiedBlock, carried_to: int) -> bool:
        """Whether every message the block numbers is applied, sent before, or in `carried_to`."""
        return block.outbox_last <= max(self.applied, self._sent_to, carried_to)

    def due_head(self, now_unix_ms: int) -> CertifiedBlock | None:
        """The source's newest header, if the target should be brought it for its own sake.

        Because the target heeds holds and its freshest header grows old, or because the source
        waits to learn that its messages were applied.
        """
        head = self.source_head
        since_import = now_unix_ms - self._last_import_unix_ms
        if head is None or self.has(head.height) or since_import < self._policy.acknowledge_ms:
            return None
        if self._heeds_holds and self._is_stale(head, now_unix_ms):
            return head
        return head if head.inbox_last > self._acknowledged else None

    def _is_stale(self, head: CertifiedBlock, now_unix_ms: int) -> bool:
        latest = max(now_unix_ms, self.target_head.time_unix_ms if self.target_head else 0)
        age = latest - self._fresh_unix_ms
        return head.time_unix_ms > self._fresh_unix_ms and age >= self._policy.heartbeat_ms

    # --- what was carried ------------------------------------------------------------------------

    def sending(self, blocks: Iterable[CertifiedBlock], carried_to: int, now_unix_ms: int) -> None:
        """These headers, and messages up to a number, are on their way."""
        for block in blocks:
            self._sending[block.height] = self._sending.get(block.height, 0) + 1
            self._last_import_unix_ms = now_unix_ms
        if carried_to:
            self._sent_to = carried_to
            self._resend_unix_ms = now_unix_ms + self._policy.submit_answer_ms

    def arrived(self, block: CertifiedBlock, *, taken: bool) -> None:
        """A header's import was answered."""
        left = self._sending.pop(block.height) - 1
        if left:
            self._sending[block.height] = left
        if not taken:
            return
        self.holds(block.height)
        self._acknowledged = max(self._acknowledged, block.inbox_last)
        if block.outbox_last <= max(self.applied, self._sent_to):
            self._fresh_unix_ms = max(self._fresh_unix_ms, block.time_unix_ms)

    def messages_answered(self, now_unix_ms: int, *, taken: bool) -> None:
        """An operation with messages was answered: await its echo, or carry them again later."""
        wait = self._policy.echo_ms if taken else self._policy.back_off_min_ms
        self._resend_unix_ms = now_unix_ms + wait


def import_of(block: CertifiedBlock) -> Operation:
    """The operation that imports a header."""
    payload = ImportHeader(header=block.header, certificate=block.certificate)
    return Operation("import_header", payload)


def messages_of(messages: Sequence[SeenMessage]) -> Operation:
    """The operation that applies messages."""
    payload = ApplyMessages(messages=[message.proof for message in messages])
    return Operation("apply_messages", payload)
