"""What Raft stores and what Raft nodes say to each other, with the one encoding of both.

`Entry` and `HardState` are stored; every other struct is a message. A message names its sender,
its receiver and the sender's term, and is one MessagePack array whose first element is the number
of its kind. Kinds are only ever appended (snapshots and set changes come later), never renumbered.

    encode_message(TimeoutNow(sender="a", receiver="b", term=3)) == bytes.fromhex("9409a161a16203")
    decode_message(bytes.fromhex("9409a161a16203")) == TimeoutNow("a", "b", 3)

Decoding proves shape and ranges only. `Raft.step` judges the rest: who may say it, and when.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, cast

import msgspec

from common.encoding import Canonical, decode, encode

__all__ = [
    "NODE_ID_CHARACTERS_MAX",
    "NO_VOTE",
    "Append",
    "AppendReply",
    "Entry",
    "HardState",
    "Message",
    "PreVote",
    "PreVoteReply",
    "TimeoutNow",
    "Vote",
    "VoteReply",
    "decode_message",
    "encode_message",
]

NODE_ID_CHARACTERS_MAX = 64
"""Longest node id, in characters."""

NO_VOTE = ""
"""The `HardState.vote` of a node that has not voted in its term. No node has the empty id."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A term, an index or a round: they start at 0 and only grow."""

NodeId: TypeAlias = Annotated[str, msgspec.Meta(max_length=NODE_ID_CHARACTERS_MAX)]


class Entry(Canonical, frozen=True):
    """One place of the log: one block. `data` is the block's bytes and opaque to Raft.

    The first entry has index 1. Index 0 with term 0 is the place before it: the genesis.
    """

    term: Number
    index: Number
    data: bytes


class HardState(Canonical, frozen=True):
    """What a node must never forget: its term and its vote in it. Always written together."""

    term: Number
    vote: NodeId


class PreVote(Canonical, frozen=True, tag=1):
    """Would you vote for me? `term` is the term a real election would have, not the sender's."""

    sender: NodeId
    receiver: NodeId
    term: Number
    last_index: Number
    last_term: Number


class PreVoteReply(Canonical, frozen=True, tag=2):
    """Answer to `PreVote`: the asked term where granted, the answerer's own term where refused."""

    sender: NodeId
    receiver: NodeId
    term: Number
    granted: bool


class Vote(Canonical, frozen=True, tag=3):
    """RequestVote. `last_*` is the end of the candidate's log, which is on its disk.

    `transfer` says the leader itself asked for this election, so its being alive is no objection.
    """

    sender: NodeId
    receiver: NodeId
    term: Number
    last_index: Number
    last_term: Number
    transfer: bool


class VoteReply(Canonical, frozen=True, tag=4):
    """Answer to `Vote`. A granted vote is on the voter's disk before it is said."""

    sender: NodeId
    receiver: NodeId
    term: Number
    granted: bool


class Append(Canonical, frozen=True, tag=5):
    """AppendEntries, and with no entries the heartbeat.

    The entries follow (`prev_index`, `prev_term`) without a gap. `commit` is the leader's commit
    index, which may lie beyond this message. `round` is new for every Append of a term: a reply
    that repeats it proves that its sender still followed this leader after the round was sent.
    """

    sender: NodeId
    receiver: NodeId
    term: Number
    prev_index: Number
    prev_term: Number
    entries: tuple[Entry, ...]
    commit: Number
    round: Number


class AppendReply(Canonical, frozen=True, tag=6):
    """Answer to `Append`, with the `round` it answers; round 0 to a leader of an older term.

    accepted: the receiver's log equals the leader's up to `index`, and that much is on its disk. It
    is the end of the answered message, or less where that had no entries and the disk is behind.

    refused: `index` is the `prev_index` that did not match. The leader goes back to (`hint_index`,
    `hint_term`): the last place of the receiver's log at or before it whose term is not above
    `prev_term`; nothing between the two can match.

    `last_index` is the end of the receiver's log, on disk or not. It is news for operators.
    """

    sender: NodeId
    receiver: NodeId
    term: Number
    round: Number
    accepted: bool
    index: Number
    hint_index: Number
    hint_term: Number
    last_index: Number


class TimeoutNow(Canonical, frozen=True, tag=9):
    """The leader asks the receiver, whose log is complete, to start an election at once."""

    sender: NodeId
    receiver: NodeId
    term: Number


# Kinds 7 and 8 are kept for the snapshot offer and its reply.

Message: TypeAlias = PreVote | PreVoteReply | Vote | VoteReply | Append | AppendReply | TimeoutNow
"""Every message of Raft."""


def encode_message(message: Message) -> bytes:
    """The bytes of a message, for the transport."""
    return encode(message)


def decode_message(data: bytes) -> Message:
    """The message whose encoding is exactly `data`; its size is the transport's to bound.

    Raises `Malformed` where the bytes are anything else than one canonical message.
    """
    return decode(_MESSAGE, data)


_MESSAGE = cast("type[Message]", cast("Any", Message))
