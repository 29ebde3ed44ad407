"""The transfer machine: which states a transfer goes through on each chain, as one table.

Write-once: no state after SETTLED, RELEASED, COMMITTED or ABORTED. Anything not in `TRANSITIONS`
cannot happen; both chains use this table, each in its role.

    follower   (none) --reserve--> RESERVED --settle COMMIT--> SETTLED
                                   RESERVED --settle ABORT---> RELEASED
               (none) --settle ABORT--> RELEASED                      (tombstone)
    decider    (none) --reserve--> RESERVED --commit--> COMMITTED     (two-step)
               (none) --reserve_and_commit--> COMMITTED               (express)
               RESERVED --expire, decline--> ABORTED
               (none) --expire, decline--> ABORTED                    (tombstone)
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from common.encoding import Canonical
from common.errors import InvariantBroken, Refused, TransferReason
from common.ledger.actors import BY_ANYONE, Actors
from common.ledger.state import Commitment, Reader, State, Table

__all__ = [
    "ACTORS",
    "HASH_LOCK",
    "OPEN_TRANSFER",
    "TRANSFER",
    "TRANSITIONS",
    "Action",
    "Outcome",
    "Role",
    "TransferRecord",
    "TransferRow",
    "TransferState",
    "next_state",
    "outcome_of",
    "record_of",
    "write",
]

RECORD_VERSION = 1


class Role:
    """What a chain is for a transfer."""

    FOLLOWER = "follower"
    DECIDER = "decider"


class TransferState(enum.StrEnum):
    """What a transfer awaits, or what became of it, on one chain."""

    NONE = ""
    RESERVED = "RESERVED"
    SETTLED = "SETTLED"
    RELEASED = "RELEASED"
    COMMITTED = "COMMITTED"
    ABORTED = "ABORTED"


class Action(enum.StrEnum):
    """What can be done to a transfer."""

    RESERVE = "reserve"
    COMMIT = "commit"
    RESERVE_AND_COMMIT = "reserve_and_commit"
    EXPIRE = "expire"
    DECLINE = "decline"
    SETTLE_COMMIT = "settle_commit"
    SETTLE_ABORT = "settle_abort"


class Outcome(enum.StrEnum):
    """What the decider decided."""

    NONE = ""
    COMMIT = "COMMIT"
    ABORT = "ABORT"


_S, _A = TransferState, Action

TRANSITIONS: Mapping[tuple[str, TransferState, Action], TransferState] = {
    (Role.FOLLOWER, _S.NONE, _A.RESERVE): _S.RESERVED,
    (Role.FOLLOWER, _S.RESERVED, _A.SETTLE_COMMIT): _S.SETTLED,
    (Role.FOLLOWER, _S.RESERVED, _A.SETTLE_ABORT): _S.RELEASED,
    (Role.FOLLOWER, _S.NONE, _A.SETTLE_ABORT): _S.RELEASED,
    (Role.DECIDER, _S.NONE, _A.RESERVE): _S.RESERVED,
    (Role.DECIDER, _S.RESERVED, _A.COMMIT): _S.COMMITTED,
    (Role.DECIDER, _S.NONE, _A.RESERVE_AND_COMMIT): _S.COMMITTED,
    (Role.DECIDER, _S.RESERVED, _A.EXPIRE): _S.ABORTED,
    (Role.DECIDER, _S.NONE, _A.EXPIRE): _S.ABORTED,
    (Role.DECIDER, _S.RESERVED, _A.DECLINE): _S.ABORTED,
    (Role.DECIDER, _S.NONE, _A.DECLINE): _S.ABORTED,
}

ACTORS: Actors = {
    _A.RESERVE: (".leg_owners",),
    _A.COMMIT: (".secret_holder",),
    _A.RESERVE_AND_COMMIT: (".leg_owners",),
    _A.EXPIRE: (".secret_holder", BY_ANYONE),
    _A.DECLINE: (".secret_holder", ".leg_owners"),
    _A.SETTLE_COMMIT: (BY_ANYONE,),
    _A.SETTLE_ABORT: (BY_ANYONE,),
}
"""Whose signature or secret it takes, whoever brings it. Anyone expires with the other chain's
reservation, and settles with its decision: these are proofs, and nobody's will.
"""

_OUTCOMES: Mapping[TransferState, Outcome] = {
    _S.NONE: Outcome.NONE,
    _S.RESERVED: Outcome.NONE,
    _S.SETTLED: Outcome.COMMIT,
    _S.COMMITTED: Outcome.COMMIT,
    _S.RELEASED: Outcome.ABORT,
    _S.ABORTED: Outcome.ABORT,
}


class TransferRecord(Canonical, frozen=True):
    """What a chain proves of a transfer: the payload of its `transfer` events.

    `reason` is "", "expired" or "declined"; `secret` is set by COMMIT; `facts` are what a follower
    publishes about its leg.
    """

    version: int
    transfer_id: bytes
    flow: str
    role: str
    state: str
    reason: str
    secret: bytes
    deadline_unix_ms: int
    facts: bytes


class TransferRow(Canonical, frozen=True):
    """A record with what this chain keeps beside it. Never deleted.

    `terms` and `leg` are canonical bytes, empty in a tombstone that never saw them; `height` is
    that of the block that wrote the record, whose event root proves it.
    """

    record: TransferRecord
    terms: bytes
    leg: bytes
    height: int


class OpenTransfer(Canonical, frozen=True):
    """Index of transfers that await something here."""

    deadline_unix_ms: int


class HashLockUse(Canonical, frozen=True):
    """A hash lock an owner has used: never again by that owner."""

    transfer_id: bytes


TRANSFER = Table(b"\x08", "transfer", TransferRow, Commitment.DIGEST)
HASH_LOCK = Table(b"\x09", "hash_lock", HashLockUse, Commitment.DIGEST)
OPEN_TRANSFER = Table(b"\x0e", "open_transfer", OpenTransfer, Commitment.DERIVED)


def next_state(role: str, state: TransferState, action: Action) -> TransferState:
    """Where `action` leads. Raises `Refused(TRANSFER_DECIDED)` for what the table does not hold."""
    reached = TRANSITIONS.get((role, state, action))
    if reached is None:
        raise Refused(
            TransferReason.TRANSFER_DECIDED,
            f"{action} is not possible for a {role} in state {state or 'NONE'}",
            state=state or "NONE",
            outcome=_OUTCOMES[state] or "NONE",
        )
    return reached


def outcome_of(record: TransferRecord) -> Outcome:
    """COMMIT, ABORT, or NONE while nothing is decided."""
    return _OUTCOMES[TransferState(record.state)]


def record_of(state: Reader, transfer_id: bytes) -> TransferRow | None:
    """The row of a transfer, or None where this chain has never heard of it."""
    return state.get(TRANSFER, TRANSFER.key(transfer_id))


def write(state: State, row: TransferRow, action: Action) -> None:
    """Write a row that `action` leads to, and keep the index of open transfers true."""
    record = row.record
    key = TRANSFER.key(record.transfer_id)
    before = state.get(TRANSFER, key)
    was = TransferState(before.record.state) if before else TransferState.NONE
    if TRANSITIONS.get((record.role, was, action)) != record.state:
        raise InvariantBroken(f"a transfer cannot go from {was or 'NONE'} to {record.state}")
    state.put(TRANSFER, key, row)
    open_key = OPEN_TRANSFER.key(record.transfer_id)
    if record.state == TransferState.RESERVED:
        state.put(OPEN_TRANSFER, open_key, OpenTransfer(record.deadline_unix_ms))
    elif was == TransferState.RESERVED:
        state.delete(OPEN_TRANSFER, open_key)
