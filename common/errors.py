"""Refusals with numbered reasons, and the two errors that stop a process.

An expected outcome is a `Refused`: it carries one `Reason`, whose number is stored in receipts and
whose name is the `ErrorInfo.reason` of a gRPC answer. Numbers and names are never changed or used
again.

    1-99 common · 100-199 transfer · 1000-1999 bizchain · 2000-2999 assetchain

What must not happen is not refused but crashes: `InvariantBroken` (the code or its data is wrong)
and `StorageFailed` (the disk did not do what it was told; nothing may be retried in place).
"""

from __future__ import annotations

import enum

__all__ = [
    "CommonReason",
    "InvariantBroken",
    "Kind",
    "Reason",
    "Refused",
    "StorageFailed",
    "TransferReason",
    "reason_of",
]


class Kind(enum.Enum):
    """What a refusal asks of the caller. `common.rpc.status` maps each kind to one gRPC code."""

    INVALID = "the request can never be accepted as it is"
    UNAUTHENTICATED = "the signer is not who it must be"
    FORBIDDEN = "the signer may not do this"
    NOT_FOUND = "what the request names does not exist"
    EXISTS = "what the request would create exists already"
    PRECONDITION = "the state does not allow it"
    LIMIT = "a limit is reached; later may do"
    UNAVAILABLE = "this node cannot answer now; another can, or later"
    UNKNOWN = "the outcome is not known; ask by id"


class Reason(enum.Enum):
    """Base of the numbered reasons. A member's value is (number, kind, transient).

    `transient` says whether the same request may be accepted later without being changed.
    """

    def __init__(self, number: int, kind: Kind, transient: bool = False) -> None:
        self.number = number
        self.kind = kind
        self.transient = transient


class CommonReason(Reason):
    """Reasons of the ledger and the node, the same on every chain."""

    MALFORMED = (1, Kind.INVALID)
    TOO_LARGE = (2, Kind.INVALID)
    UNKNOWN_OPERATION = (3, Kind.INVALID)
    WRONG_CHAIN = (4, Kind.INVALID)
    BAD_SIGNATURE = (5, Kind.UNAUTHENTICATED)
    SIGNER_UNKNOWN = (6, Kind.UNAUTHENTICATED)
    PERMISSION_DENIED = (7, Kind.FORBIDDEN)
    EXPIRED = (8, Kind.PRECONDITION)
    VALID_UNTIL_TOO_FAR = (9, Kind.INVALID)
    REQUEST_ID_REUSED = (10, Kind.EXISTS)
    NOT_IN_WINDOW = (11, Kind.NOT_FOUND)
    BUSY = (12, Kind.LIMIT, True)
    NOT_LEADER = (13, Kind.UNAVAILABLE, True)
    NOT_READY = (14, Kind.UNAVAILABLE, True)
    OUTCOME_UNKNOWN = (15, Kind.UNKNOWN, True)
    HEIGHT_NOT_FINAL = (16, Kind.UNAVAILABLE, True)
    HEIGHT_NOT_KEPT = (17, Kind.NOT_FOUND)
    NOT_FOUND = (18, Kind.NOT_FOUND)
    INVALID_ARGUMENT = (19, Kind.INVALID)
    AMOUNT_OUT_OF_RANGE = (20, Kind.INVALID)
    UNKNOWN_CURRENCY = (21, Kind.INVALID)
    UNKNOWN_UNIT = (22, Kind.INVALID)
    NOT_LINKED = (23, Kind.PRECONDITION, True)
    ALREADY_LINKED = (24, Kind.EXISTS)
    BAD_CERTIFICATE = (25, Kind.INVALID)
    BAD_PROOF = (26, Kind.INVALID)
    HEADER_CONFLICT = (27, Kind.PRECONDITION)
    PEER_CHAIN_FROZEN = (28, Kind.PRECONDITION, True)
    HEADER_UNKNOWN = (29, Kind.PRECONDITION, True)
    MESSAGE_OUT_OF_ORDER = (30, Kind.PRECONDITION, True)
    UNSIGNED = (31, Kind.UNAUTHENTICATED)
    NO_QUORUM = (32, Kind.UNAVAILABLE, True)
    STALE_ANSWER = (33, Kind.UNAVAILABLE, True)
    DEADLINE_EXCEEDED = (34, Kind.UNAVAILABLE, True)
    TIME_AHEAD = (35, Kind.UNAVAILABLE, True)
    PAGE_TOKEN_INVALID = (36, Kind.INVALID)


class TransferReason(Reason):
    """Reasons of the cross-ledger commit, the same on both chains."""

    TERMS_INVALID = (100, Kind.INVALID)
    TERMS_OF_ANOTHER_CHAIN = (101, Kind.INVALID)
    LEG_MISMATCH = (102, Kind.INVALID)
    FLOW_UNKNOWN = (103, Kind.INVALID)
    NOT_THE_FOLLOWER = (104, Kind.INVALID)
    NOT_THE_DECIDER = (105, Kind.INVALID)
    DEADLINE_TOO_NEAR = (106, Kind.PRECONDITION)
    DEADLINE_TOO_FAR = (107, Kind.INVALID)
    TRANSFER_EXPIRED = (108, Kind.PRECONDITION)
    NOT_EXPIRED = (109, Kind.PRECONDITION, True)
    TRANSFER_UNKNOWN = (111, Kind.NOT_FOUND)
    TRANSFER_DECIDED = (112, Kind.PRECONDITION)
    CONSENT_MISSING = (113, Kind.UNAUTHENTICATED)
    HASH_LOCK_USED = (114, Kind.EXISTS)
    SECRET_MISMATCH = (115, Kind.INVALID)
    MODE_MISMATCH = (116, Kind.INVALID)
    PROOF_MISMATCH = (117, Kind.INVALID)
    SUBJECT_HELD = (118, Kind.PRECONDITION, True)
    MESSAGES_BEHIND = (119, Kind.PRECONDITION, True)
    PEER_HEADER_TOO_OLD = (120, Kind.PRECONDITION, True)
    DECLINE_NOT_ALLOWED = (121, Kind.FORBIDDEN)


class Refused(Exception):
    """An expected refusal: the request had no effect. `metadata` values are short strings."""

    def __init__(self, reason: Reason, message: str, **metadata: object) -> None:
        super().__init__(f"{reason.name}: {message}")
        self.reason = reason
        self.message = message
        self.metadata = {key: str(value) for key, value in metadata.items()}


class InvariantBroken(AssertionError):
    """Something that cannot happen happened. The process stops; it never logs and goes on."""


class StorageFailed(Exception):
    """A read or write of the disk failed or returned damaged bytes. The process stops."""


def reason_of(number: int) -> Reason:
    """The reason with this number. Raises KeyError for a number nobody registered."""
    for family in Reason.__subclasses__():
        for reason in family:
            if reason.number == number:
                return reason
    raise KeyError(number)
