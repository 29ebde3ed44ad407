"""The one rule of expiry: every deadline of the system is judged by `expired`, by nothing else."""

from __future__ import annotations

__all__ = ["UNIX_MS_MAX", "expired", "lies_within"]

UNIX_MS_MAX = 253_402_300_799_999
"""The last millisecond of the year 9999; no time or deadline lies beyond it."""


def expired(now_unix_ms: int, deadline_unix_ms: int) -> bool:
    """True from the deadline's own millisecond on: at `now == deadline` it is already too late."""
    return now_unix_ms >= deadline_unix_ms


def lies_within(span_ms: int, now_unix_ms: int, deadline_unix_ms: int) -> bool:
    """Whether a deadline has not expired and will have by `span_ms` from now."""
    return (
        0 < deadline_unix_ms <= UNIX_MS_MAX
        and not expired(now_unix_ms, deadline_unix_ms)
        and expired(now_unix_ms + span_ms, deadline_unix_ms)
    )
