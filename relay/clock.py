"""A clock for deadlines and for timers at once: true like the wall clock, steady like a timer.

The wall clock is set now and then. Forward, this clock follows at once, since a deadline may have
passed. Backward, it never goes: it runs at half speed until the wall clock has caught up, so that
no timer stops.

    now_unix_ms = SteadyClock(wall_unix_ms, monotonic_ms)
    now_unix_ms()
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["SteadyClock", "system_clock"]

NANOSECONDS = 1_000_000
"""In a millisecond."""


class SteadyClock:
    """Call it for the time. `wall_unix_ms` may jump; `monotonic_ms` never does."""

    def __init__(self, wall_unix_ms: Callable[[], int], monotonic_ms: Callable[[], int]) -> None:
        self._wall_unix_ms = wall_unix_ms
        self._monotonic_ms = monotonic_ms
        self._shown = wall_unix_ms()
        self._shown_at = monotonic_ms()

    def __call__(self) -> int:
        """Milliseconds of Unix time; never less than the last answer."""
        passed = self._monotonic_ms() - self._shown_at
        wall = self._wall_unix_ms()
        if wall < self._shown + passed:
            slowed = max(self._shown + passed // 2, wall)
            if slowed == self._shown:
                return slowed  # too little has passed to halve it
            wall = slowed
        self._shown = wall
        self._shown_at += passed
        return wall


def system_clock() -> SteadyClock:
    """The clock of this machine."""
    return SteadyClock(
        lambda: time.time_ns() // 1_000_000, lambda: time.monotonic_ns() // 1_000_000
    )
