"""One-way certified messages: numbered facts for the other chain, applied there exactly once, in
order.

A message is an event of the block that sent it; the receiver proves it in the event root of that
block's header. It stays in the sender's state until the receiver's counter, which stands in the
receiver's headers, is proven back.
"""

from __future__ import annotations

from common.encoding import Canonical
from common.ledger.state import Commitment, Reader, State, Table

__all__ = [
    "COUNTERS",
    "OUTBOX",
    "Counters",
    "Message",
    "OutboxRow",
    "acknowledge",
    "append",
    "counters",
    "put_counters",
]


class Message(Canonical, frozen=True):
    """A fact for the other chain. Numbers are contiguous from 1; `kind` says what `payload` is."""

    number: int
    kind: str
    payload: bytes


class OutboxRow(Canonical, frozen=True):
    """A message that waits, and the height of the block that proves it."""

    message: Message
    height: int


class Counters(Canonical, frozen=True):
    """Last message sent, last one proven applied by the other chain, last one applied here."""

    outbox_last: int
    outbox_acknowledged: int
    inbox_last: int


OUTBOX = Table(b"\x07", "outbox", OutboxRow, Commitment.DIGEST)
COUNTERS = Table(b"\x0d", "message_counters", Counters, Commitment.DIGEST)

NUMBER_BYTES = 8


def counters(state: Reader) -> Counters:
    """The counters of both directions; zeros on a new chain."""
    return state.get(COUNTERS, COUNTERS.key()) or Counters(0, 0, 0)


def put_counters(state: State, value: Counters) -> None:
    """Write the counters."""
    state.put(COUNTERS, COUNTERS.key(), value)


def outbox_key(number: int) -> bytes:
    """The state key of a waiting message."""
    return OUTBOX.key(number.to_bytes(NUMBER_BYTES, "big"))


def append(state: State, kind: str, payload: bytes, height: int) -> Message:
    """Number and store a new message sent by the block at `height`."""
    known = counters(state)
    message = Message(known.outbox_last + 1, kind, payload)
    state.put(OUTBOX, outbox_key(message.number), OutboxRow(message, height))
    put_counters(state, Counters(message.number, known.outbox_acknowledged, known.inbox_last))
    return message


def acknowledge(state: State, number: int) -> None:
    """Forget messages up to `number`: the other chain's certified counter says it applied them."""
    known = counters(state)
    reached = min(number, known.outbox_last)
    if reached <= known.outbox_acknowledged:
        return
    for done in range(known.outbox_acknowledged + 1, reached + 1):
        state.delete(OUTBOX, outbox_key(done))
    put_counters(state, Counters(known.outbox_last, reached, known.inbox_last))
