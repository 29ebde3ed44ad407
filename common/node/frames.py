"""What nodes say to each other: frames of Raft messages, header votes and certificates.

A frame is canonical, names no sender (the transport has authenticated it), and carries its sender's
clock. Items of kinds 1 to 15 are Raft's own messages; those above are the node's.

    encode_frame(Frame(clock_unix_ms=1, items=(CertificateRequest(7),)))
"""

from __future__ import annotations

from typing import TypeAlias

from common.encoding import Canonical, Malformed, decode, encode
from common.ledger.certificate import Certificate, HeaderVote
from common.raft.messages import (
    Append,
    AppendReply,
    Message,
    Number,
    PreVote,
    PreVoteReply,
    TimeoutNow,
    Vote,
    VoteReply,
)

__all__ = [
    "FRAME_BYTES_MAX",
    "FRAME_BYTES_WANTED",
    "REPLY_HEIGHTS_MAX",
    "CertificateNotice",
    "CertificateReply",
    "CertificateRequest",
    "Frame",
    "Item",
    "SignedVote",
    "decode_frame",
    "encode_frame",
]

FRAME_BYTES_MAX = 4 * 1024 * 1024
"""A larger frame is rubbish."""
FRAME_BYTES_WANTED = 1024 * 1024
"""A frame is sent when it has grown to this, even if there is more to say."""
REPLY_HEIGHTS_MAX = 64
"""Heights answered by one `CertificateReply`."""


class SignedVote(Canonical, frozen=True, tag=16):
    """A node's statement about a header, with its signature of `vote_digest`: 64 bytes."""

    vote: HeaderVote
    signature: bytes


class CertificateRequest(Canonical, frozen=True, tag=17):
    """Which certificates and votes do you hold from this height on, and what have I signed?"""

    from_height: Number


class CertificateReply(Canonical, frozen=True, tag=18):
    """Answer to a request: the next certificates and the newest one; votes where none is yet."""

    from_height: Number
    certificates: tuple[Certificate, ...]
    votes: tuple[SignedVote, ...]


class CertificateNotice(Canonical, frozen=True, tag=19):
    """A certificate the leader has just made of the votes it was sent."""

    certificate: Certificate


Item: TypeAlias = Message | SignedVote | CertificateRequest | CertificateReply | CertificateNotice


class Frame(Canonical, frozen=True):
    """One delivery. `clock_unix_ms` is the sender's clock as it was sent; items may be none."""

    clock_unix_ms: Number
    items: tuple[
        PreVote
        | PreVoteReply
        | Vote
        | VoteReply
        | Append
        | AppendReply
        | TimeoutNow
        | SignedVote
        | CertificateRequest
        | CertificateReply
        | CertificateNotice,
        ...,
    ]


def encode_frame(frame: Frame) -> bytes:
    """The bytes of a frame."""
    return encode(frame)


def decode_frame(data: bytes) -> Frame:
    """The frame in `data`. Raises `Malformed`, also for more than `FRAME_BYTES_MAX` bytes."""
    if len(data) > FRAME_BYTES_MAX:
        raise Malformed("the frame is larger than any may be")
    return decode(Frame, data)
