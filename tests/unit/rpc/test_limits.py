"""No caller gets more than its rate and its number of calls, however it spreads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import CommonReason, Refused
from common.rpc.limits import CallCounter, TokenBuckets

RATE = 10
BURST = 50


def taken(buckets: TokenBuckets, caller: str, tokens: int, now_seconds: float) -> int:
    try:
        buckets.take(caller, tokens, now_seconds)
    except Refused:
        return 0
    return tokens


@given(st.lists(st.tuples(st.integers(1, 60), st.floats(0, 5)), max_size=50))
def test_nobody_takes_more_than_the_burst_and_the_rate(asked: list[tuple[int, float]]) -> None:
    buckets = TokenBuckets(RATE, BURST, callers_max=10)
    now_seconds, total = 1_000.0, 0
    for tokens, pause in asked:
        now_seconds += pause
        total += taken(buckets, "acme", tokens, now_seconds)
    assert total <= BURST + RATE * (now_seconds - 1_000.0) + 1e-6


def test_a_bucket_fills_again_and_is_nobody_elses() -> None:
    buckets = TokenBuckets(RATE, BURST, callers_max=10)
    assert taken(buckets, "acme", BURST, 0.0) == BURST
    assert taken(buckets, "acme", 1, 0.0) == 0
    assert taken(buckets, "zeta", BURST, 0.0) == BURST
    assert taken(buckets, "acme", RATE, 1.0) == RATE
    assert taken(buckets, "acme", 1, 1.0) == 0


def test_the_pause_that_is_named_is_long_enough() -> None:
    buckets = TokenBuckets(RATE, BURST, callers_max=10)
    buckets.take("acme", BURST, 0.0)
    with pytest.raises(Refused) as caught:
        buckets.take("acme", 7, 0.0)
    assert caught.value.reason is CommonReason.BUSY
    later = int(caught.value.metadata["retry_after_ms"]) / 1000
    assert taken(buckets, "acme", 7, later) == 7


def test_calls_are_counted_while_they_run_for_each_caller() -> None:
    counter = CallCounter(2)
    with counter.one("acme"), counter.one("acme"):
        with pytest.raises(Refused) as caught, counter.one("acme"):
            pass
        assert caught.value.reason is CommonReason.BUSY
        with counter.one("zeta"):
            pass
    with counter.one("acme"), counter.one("acme"):
        pass
