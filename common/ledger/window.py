"""The transaction window: exactly once, by block time.

The result of every signed transaction stays in the window until one hour after it could no longer
have been accepted: `expired(block time, valid_until + WINDOW_GRACE_MS)`. While it is there a repeat
is answered with the recorded result; the repeat check comes before the expiry check, so whoever
asks late is never told "expired" of a transaction that ran.

Rows are keyed by (valid until, transaction id), so that they are written nearly in order and the
oldest lie together. A second row, by id, finds the first.
"""

from __future__ import annotations

from common.deadline import expired
from common.encoding import Canonical
from common.errors import CommonReason, Reason, Refused
from common.ledger.state import Commitment, State, Table

__all__ = [
    "EVICTED_MAX",
    "TAKES_NO_ID",
    "VALIDITY_MAX_MS",
    "WINDOW",
    "WINDOW_GRACE_MS",
    "Recorded",
    "check_validity",
    "evict",
    "record",
    "recorded",
]

VALIDITY_MAX_MS = 3_600_000
"""How far ahead of block time a transaction's valid_until may lie."""
WINDOW_GRACE_MS = 3_600_000
EVICTED_MAX = 2_000
"""Rows evicted by one block at most. Membership is judged by time; eviction only frees space."""

TIME_BYTES = 8

TAKES_NO_ID: frozenset[Reason] = frozenset(
    {
        CommonReason.WRONG_CHAIN,
        CommonReason.UNKNOWN_OPERATION,
        CommonReason.UNSIGNED,
        CommonReason.BAD_SIGNATURE,
        CommonReason.SIGNER_UNKNOWN,
        CommonReason.EXPIRED,
        CommonReason.NOT_IN_WINDOW,
        CommonReason.VALID_UNTIL_TOO_FAR,
    }
)
"""Refusals that take no request id: of what the sender may not have signed, or not in its time.
Anybody can have one written under any id, so it says nothing of the sender's transaction."""


class Recorded(Canonical, frozen=True):
    """The result of a transaction and where it stands. `code` 0 or the number of a reason."""

    body_hash: bytes
    height: int
    position: int
    code: int
    message: str
    valid_until_unix_ms: int


class WindowSlot(Canonical, frozen=True):
    """The order of eviction: nothing but its key."""

    transaction_id: bytes


WINDOW = Table(b"\x0b", "window", Recorded, Commitment.DIGEST, cached=False)
WINDOW_ORDER = Table(b"\x0c", "window_order", WindowSlot, Commitment.DERIVED, cached=False)


def recorded(state: State, transaction_id: bytes, time_unix_ms: int) -> Recorded | None:
    """The recorded result of a transaction while it is in the window, else None."""
    row = state.get(WINDOW, WINDOW.key(transaction_id))
    if row is None or expired(time_unix_ms, row.valid_until_unix_ms + WINDOW_GRACE_MS):
        return None
    return row


def check_validity(valid_until_unix_ms: int, since_unix_ms: int, now_unix_ms: int) -> None:
    """Refuse a transaction that is expired, or valid for too long. After the repeat check.

    EXPIRED says that it never takes effect: by `since` it was over, and what was in time then is
    recorded. The rest `now` judges. In a block both are its time. Once its result may have left the
    window nothing is said of whether it ran: NOT_IN_WINDOW.
    """
    if expired(now_unix_ms, valid_until_unix_ms + WINDOW_GRACE_MS):
        raise Refused(
            CommonReason.NOT_IN_WINDOW, "too old to know; ask the block index by transaction id"
        )
    if expired(since_unix_ms, valid_until_unix_ms):
        raise Refused(CommonReason.EXPIRED, f"it was valid until {valid_until_unix_ms}")
    if valid_until_unix_ms > now_unix_ms + VALIDITY_MAX_MS:
        raise Refused(
            CommonReason.VALID_UNTIL_TOO_FAR, f"valid for more than {VALIDITY_MAX_MS} ms from now"
        )


def record(state: State, transaction_id: bytes, result: Recorded) -> None:
    """Keep the result of a transaction that was judged in this block."""
    state.put(WINDOW, WINDOW.key(transaction_id), result)
    slot = WINDOW_ORDER.key(result.valid_until_unix_ms.to_bytes(TIME_BYTES, "big"), transaction_id)
    state.put(WINDOW_ORDER, slot, WindowSlot(transaction_id))


def evict(state: State, time_unix_ms: int) -> None:
    """Free the rows whose time is over, the oldest first, at most `EVICTED_MAX`.

    A sender may have used the request id again meanwhile: the newer result stays.
    """
    if time_unix_ms < state.window_rests_until_unix_ms:
        return
    oldest = state.committed_rows(WINDOW_ORDER, 1)
    if not _over(oldest, time_unix_ms):
        state.window_rests_until_unix_ms = _rests_until(oldest, time_unix_ms)
        return
    over = _over(state.committed_rows(WINDOW_ORDER, EVICTED_MAX), time_unix_ms)
    state.prefetch([WINDOW.key(slot.transaction_id) for _, slot in over])
    for key, slot in over:
        state.delete(WINDOW_ORDER, key)
        result = WINDOW.key(slot.transaction_id)
        row = state.get(WINDOW, result)
        if row is not None and row.valid_until_unix_ms == _valid_until_of(key):
            state.delete(WINDOW, result)


def _rests_until(oldest: list[tuple[bytes, WindowSlot]], time_unix_ms: int) -> int:
    """When a row may be due next. A result is recorded in its time (`check_validity`), so one of
    this block or a later one stays for `WINDOW_GRACE_MS` from now on at least.
    """
    times = [_valid_until_of(key) for key, _ in oldest]
    return min([time_unix_ms, *times]) + WINDOW_GRACE_MS


def _over(
    rows: list[tuple[bytes, WindowSlot]], time_unix_ms: int
) -> list[tuple[bytes, WindowSlot]]:
    return [
        (key, slot)
        for key, slot in rows
        if expired(time_unix_ms, _valid_until_of(key) + WINDOW_GRACE_MS)
    ]


def _valid_until_of(slot_key: bytes) -> int:
    return int.from_bytes(slot_key[1 : 1 + TIME_BYTES], "big")
