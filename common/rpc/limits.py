"""What one caller may take: a rate, and a number of calls at a time.

Limits are kept for each identity, not for each connection, so a caller gains nothing by opening
more. Both classes forget callers who have not come for a while; neither reads a clock.

    buckets = TokenBuckets(rate_per_second=200, burst=1_000, callers_max=1_024)
    buckets.take("wutong://devnet/client/acme", 12, now_seconds)         # or Refused(BUSY)
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import CommonReason, Refused

__all__ = ["CallCounter", "TokenBuckets"]


class TokenBuckets:
    """One bucket for each caller: `burst` tokens at most, `rate_per_second` flow in."""

    def __init__(self, rate_per_second: int, burst: int, callers_max: int) -> None:
        assert rate_per_second > 0, "a bucket that never fills lets nobody in twice"
        self._rate_per_second = rate_per_second
        self._burst = burst
        self._callers_max = callers_max
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, tokens: int, now_seconds: float) -> None:
        """Take `tokens` from the caller's bucket, all or none. Raises `Refused(BUSY)`.

        `now_seconds` comes from a clock that never runs backwards.
        """
        level, since = self._levels.get(caller, (float(self._burst), now_seconds))
        level = min(self._burst, level + (now_seconds - since) * self._rate_per_second)
        if tokens > level:
            wait_ms = int((min(tokens, self._burst) - level) * 1000 / self._rate_per_second) + 1
            raise Refused(
                CommonReason.BUSY,
                f"{caller} has used its rate of {self._rate_per_second} a second",
                retry_after_ms=wait_ms,
            )
        self._levels[caller] = (level - tokens, now_seconds)
        self._levels.move_to_end(caller)
        if len(self._levels) > self._callers_max:
            self._levels.popitem(last=False)


class CallCounter:
    """How many calls each caller has open, at most `calls_max`."""

    def __init__(self, calls_max: int) -> None:
        self._calls_max = calls_max
        self._open: Counter[str] = Counter()

    @contextmanager
    def one(self, caller: str) -> Iterator[None]:
        """Count a call while it runs. Raises `Refused(BUSY)` where the caller has too many."""
        if self._open[caller] >= self._calls_max:
            message = f"{caller} has {self._calls_max} calls open already"
            raise Refused(CommonReason.BUSY, message)
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1
            if not self._open[caller]:
                del self._open[caller]
