"""Blocks, headers, receipts and events: what one height of a chain is made of.

A block is what Raft orders: a time and transactions. Its header is *computed* by every node when it
applies the block and is never in the log; it has no Raft term, so that a block keeps its hash when
a new leader proposes it again.

The event tree of a block (RFC 9162) has as leaves the receipts of its transactions, in order, then
the events they caused, in order. Transfer records and one-way messages are events: their proof is a
path in this tree. Blocks are kept, so such a proof can always be made.
"""

from __future__ import annotations

from common.crypto.digest import Tag, tagged
from common.deadline import UNIX_MS_MAX
from common.encoding import Canonical, decode, encode
from common.errors import CommonReason, Refused

__all__ = [
    "BLOCK_BYTES_MAX",
    "BLOCK_TRANSACTIONS_MAX",
    "TRANSACTION_BYTES_MAX",
    "Block",
    "Event",
    "EventKind",
    "Header",
    "TransactionReceipt",
    "check_block",
    "decode_leaf",
    "header_hash",
]

TRANSACTION_BYTES_MAX = 64 * 1024
BLOCK_BYTES_MAX = 1024 * 1024
BLOCK_TRANSACTIONS_MAX = 500
HEADER_VERSION = 1


class Block(Canonical, frozen=True):
    """One Raft entry. `transactions` are serialised SignedTransactions exactly as received."""

    time_unix_ms: int
    transactions: tuple[bytes, ...]


class Header(Canonical, frozen=True):
    """What the nodes sign. All hashes are 32 bytes.

    `outbox_last` is the number of the last message this chain has sent to the other one, at this
    height; `inbox_last` the number of the last message of the other chain it has applied.
    """

    version: int
    chain_id: bytes
    history: int
    epoch: int
    height: int
    parent_hash: bytes
    time_unix_ms: int
    transaction_root: bytes
    event_root: bytes
    state_root: bytes
    window_digest: bytes
    node_set_hash: bytes
    next_node_set_hash: bytes
    outbox_last: int
    inbox_last: int


class TransactionReceipt(Canonical, frozen=True, tag="receipt"):
    """What became of one transaction of a block.

    `code` is 0 or the number of a reason; `repeat_of` is (height, position) of the block that
    decided it first, where this one is a repeat.
    """

    transaction_id: bytes
    body_hash: bytes
    position: int
    code: int
    message: str
    repeat_of: tuple[int, int] | None


class EventKind:
    """Kinds of events the node itself knows. Contracts add their own."""

    TRANSFER = "transfer"
    MESSAGE = "message"


class Event(Canonical, frozen=True, tag="event"):
    """A fact a block wrote. `position` is that of the transaction that caused it.

    `payload` is the canonical encoding of the fact; its type follows from `kind`.
    """

    position: int
    kind: str
    key: str
    payload: bytes


def check_block(block: Block, data_bytes: int, parent_time_unix_ms: int) -> None:
    """Refuse a block no node may let into its log. Raises `Refused` (TOO_LARGE, MALFORMED).

    `data_bytes` is the size of its encoding. A transaction inside may be anything: one that does
    not parse gets a receipt that says so.
    """
    if data_bytes > BLOCK_BYTES_MAX or len(block.transactions) > BLOCK_TRANSACTIONS_MAX:
        raise Refused(CommonReason.TOO_LARGE, "the block has too many bytes or transactions")
    if any(len(raw) > TRANSACTION_BYTES_MAX for raw in block.transactions):
        raise Refused(CommonReason.TOO_LARGE, "a transaction of the block is too large")
    if not parent_time_unix_ms < block.time_unix_ms <= UNIX_MS_MAX:
        raise Refused(CommonReason.MALFORMED, "the block does not lie after its parent in time")


def header_hash(header: Header) -> bytes:
    """The 32-byte hash of a header: what certificates are over."""
    return tagged(Tag.HEADER, encode(header))


def decode_leaf(leaf: bytes) -> TransactionReceipt | Event:
    """The receipt or event in a leaf of an event tree. Raises `Malformed`."""
    return decode(TransactionReceipt | Event, leaf)  # type: ignore[arg-type]
