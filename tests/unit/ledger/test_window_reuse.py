"""Exactly once, also for a sender who uses a request id again once its first result is over."""

from __future__ import annotations

from common.ledger.window import EVICTED_MAX, VALIDITY_MAX_MS, WINDOW_GRACE_MS, WINDOW_ORDER
from tests.kit import tally
from tests.kit.tally_ledger import TallyLedger

UNTIL = tally.START_UNIX_MS + 600_000
OVER = UNTIL + WINDOW_GRACE_MS


def test_evicting_an_old_result_keeps_the_newer_one_of_the_same_request_id() -> None:
    made = TallyLedger()
    made.apply(made.deposit("acme", 1, 1))
    again = made.deposit("acme", 2, 1, valid_until_unix_ms=OVER + VALIDITY_MAX_MS)
    assert made.codes(again, time_unix_ms=OVER) == [0]
    repeat = made.apply(again)
    assert [(receipt.code, receipt.repeat_of) for receipt in repeat.receipts] == [(0, (2, 0))]
    assert made.units("acme") == 3
    assert made.ledger.window_rows == 1


def test_a_newer_result_outlives_the_old_one_that_waits_to_be_evicted() -> None:
    """Eviction is bounded, so an old row may lie there for blocks after its time."""
    made = TallyLedger()
    made.ledger._verify = lambda *_: True
    numbers: dict[bytes, int] = {}
    for start in range(0, EVICTED_MAX + 100, 500):
        run = range(start, start + 500)
        applied = made.apply(*[made.deposit("acme", 1, number) for number in run])
        ids = [receipt.transaction_id for receipt in applied.receipts]
        numbers.update(zip(ids, run, strict=True))
    made.apply(time_unix_ms=OVER)
    _, waiting = next(iter(made.ledger.state.scan(WINDOW_ORDER)))
    number, before = numbers[waiting.transaction_id], made.units("acme")
    again = made.deposit("acme", 2, number, valid_until_unix_ms=OVER + VALIDITY_MAX_MS)
    assert [made.codes(again) for _ in range(3)] == [[0]] * 3
    assert made.units("acme") == before + 2
    assert made.ledger.window_rows == 1
