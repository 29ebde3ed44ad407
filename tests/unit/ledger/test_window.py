"""Exactly once, by block time."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from common.errors import CommonReason as Reason
from common.ledger.compose import compose
from common.ledger.window import EVICTED_MAX, VALIDITY_MAX_MS, WINDOW_GRACE_MS, WINDOW_ORDER
from tests.kit import tally
from tests.kit.tally_ledger import TallyLedger

START = tally.START_UNIX_MS
UNTIL = START + 600_000


def test_a_repeat_gets_the_first_result_and_names_its_place() -> None:
    made = TallyLedger()
    raw, refused = made.deposit("acme", 5, 1), made.deposit("acme", -5, 2)
    made.apply(raw, refused)
    again = made.apply(made.deposit("acme", 1, 3), raw, refused)
    assert [(receipt.code, receipt.repeat_of) for receipt in again.receipts] == [
        (0, None),
        (0, (1, 0)),
        (Reason.AMOUNT_OUT_OF_RANGE.number, (1, 1)),
    ]
    assert made.units("acme") == 6


def test_a_repeat_within_one_block_runs_once() -> None:
    made = TallyLedger()
    raw = made.deposit("acme", 5, 1)
    applied = made.apply(raw, raw)
    assert [receipt.repeat_of for receipt in applied.receipts] == [None, (1, 0)]
    assert made.units("acme") == 5


def test_a_refused_transaction_is_not_tried_again_when_it_would_succeed() -> None:
    made = TallyLedger()
    payment = made.pay("acme", "zeta", 5, 1)
    assert made.codes(payment) == [Reason.AMOUNT_OUT_OF_RANGE.number]
    assert made.codes(made.deposit("acme", 5, 2), payment) == [
        0,
        Reason.AMOUNT_OUT_OF_RANGE.number,
    ]
    assert made.units("zeta") == 0


def test_a_request_id_serves_one_body() -> None:
    made = TallyLedger()
    made.apply(made.deposit("acme", 5, 1))
    assert made.codes(made.deposit("acme", 6, 1)) == [Reason.REQUEST_ID_REUSED.number]
    assert made.codes(made.deposit("acme", 5, 1)) == [0]
    assert made.units("acme") == 5


def test_the_same_request_id_of_another_sender_is_another_transaction() -> None:
    made = TallyLedger()
    made.apply(made.deposit("acme", 5, 1))
    assert made.codes(made.pay("acme", "zeta", 5, 1)) == [0]


def test_the_repeat_check_comes_before_the_expiry_check() -> None:
    made = TallyLedger()
    raw = made.deposit("acme", 5, 1)
    made.apply(raw)
    assert made.codes(raw, time_unix_ms=UNTIL) == [0]
    last = UNTIL + WINDOW_GRACE_MS - 1
    assert made.codes(raw, time_unix_ms=last) == [0]
    assert made.codes(raw, time_unix_ms=last + 1) == [Reason.NOT_IN_WINDOW.number]
    assert made.units("acme") == 5


def test_validity_begins_and_ends_to_the_millisecond() -> None:
    made = TallyLedger()
    far = START + 1_000 + VALIDITY_MAX_MS
    too_far = made.deposit("acme", 1, 1, valid_until_unix_ms=far + 1)
    just = made.deposit("acme", 1, 2, valid_until_unix_ms=far)
    assert made.codes(too_far, just) == [Reason.VALID_UNTIL_TOO_FAR.number, 0]
    last = made.deposit("acme", 1, 3)
    late = made.deposit("acme", 1, 4)
    assert made.codes(last, time_unix_ms=UNTIL - 1) == [0]
    assert made.codes(late, time_unix_ms=UNTIL) == [Reason.EXPIRED.number]


def test_what_came_too_early_or_unsigned_does_not_take_the_request_id() -> None:
    made = TallyLedger()
    far = START + 2_000 + VALIDITY_MAX_MS
    early = made.deposit("acme", 1, 1, valid_until_unix_ms=far)
    forged = made.deposit("acme", 1, 2)[:-1] + b"\x00"
    assert made.codes(early, forged) == [
        Reason.VALID_UNTIL_TOO_FAR.number,
        Reason.BAD_SIGNATURE.number,
    ]
    assert made.codes(early, made.deposit("acme", 1, 2)) == [0, 0]


def test_what_carries_its_own_justification_is_not_kept() -> None:
    made = TallyLedger()
    unsigned = compose(
        made.chain_id,
        tally.deposit("acme", 1),
        request_id=bytes(16),
        valid_until_unix_ms=UNTIL,
    )
    first, second = made.apply(unsigned.raw), made.apply(unsigned.raw)
    assert [first.receipts[0].code, second.receipts[0].code] == [Reason.UNSIGNED.number] * 2
    assert second.receipts[0].repeat_of is None
    assert made.ledger.window_rows == 0


def test_rows_leave_the_window_in_time_and_are_found_by_the_index_then() -> None:
    made = TallyLedger()
    first, second = made.deposit("acme", 1, 1), made.deposit("acme", 1, 2)
    ids = [receipt.transaction_id for receipt in made.apply(first, second).receipts]
    digest = made.ledger.header.window_digest
    assert made.ledger.window_rows == 2
    made.apply(time_unix_ms=UNTIL + WINDOW_GRACE_MS - 1)
    assert made.ledger.window_rows == 2
    assert made.ledger.header.window_digest == digest
    made.apply(time_unix_ms=UNTIL + WINDOW_GRACE_MS)
    assert made.ledger.window_rows == 0
    assert made.ledger.header.window_digest == TallyLedger().ledger.header.window_digest
    assert [made.ledger.place_of(known) for known in ids] == [(1, 0), (1, 1)]
    assert made.ledger.place_of(bytes(32)) is None


def test_one_block_evicts_a_bounded_number_and_the_next_goes_on() -> None:
    made = TallyLedger()
    total = EVICTED_MAX + 100
    for start in range(0, total, 500):
        made.apply(*[made.deposit("acme", 1, number) for number in range(start, start + 500)])
        made.ledger._verify = lambda *_: True
    late = UNTIL + WINDOW_GRACE_MS
    before = made.ledger.window_rows
    made.apply(time_unix_ms=late)
    assert made.ledger.window_rows == before - EVICTED_MAX
    old = made.deposit("acme", 1, 0)
    assert made.codes(old, time_unix_ms=late + 1) == [Reason.NOT_IN_WINDOW.number]
    assert made.ledger.window_rows == 0
    assert list(made.ledger.state.scan(WINDOW_ORDER)) == []


def test_the_window_digest_tells_every_result() -> None:
    """A snapshot with a result left out, added or changed has another digest."""
    digests = set()
    for amounts in ((), (5,), (5, 6), (6, 5), (-5,)):
        made = TallyLedger()
        made.apply(*[made.deposit("acme", amount, at) for at, amount in enumerate(amounts)])
        digests.add(made.ledger.header.window_digest)
    assert len(digests) == 5


def test_after_a_restart_the_window_is_what_it_was() -> None:
    made = TallyLedger()
    raw = made.deposit("acme", 5, 1)
    made.apply(raw)
    made.reopen()
    assert made.ledger.window_rows == 1
    assert made.codes(raw) == [0]
    assert made.units("acme") == 5
    twin = TallyLedger()
    twin.apply(raw)
    twin.apply(raw)
    assert replace(twin.ledger.header) == made.ledger.header


def test_a_row_younger_than_the_last_look_leaves_in_time_too() -> None:
    made = TallyLedger()
    made.apply(made.deposit("acme", 1, 1))
    made.apply()  # looks: no row is due before the first one's time
    soonest = START + 4_000
    made.apply(made.deposit("acme", 1, 2, valid_until_unix_ms=soonest), time_unix_ms=soonest - 1)
    made.apply(time_unix_ms=soonest + WINDOW_GRACE_MS - 1)
    assert made.ledger.window_rows == 2
    made.apply(time_unix_ms=soonest + WINDOW_GRACE_MS)
    assert made.ledger.window_rows == 1
    made.apply(time_unix_ms=UNTIL + WINDOW_GRACE_MS)
    assert made.ledger.window_rows == 0


def test_a_quiet_window_is_not_looked_at_by_every_block() -> None:
    made = TallyLedger()
    made.apply(made.deposit("acme", 1, 1))
    made.apply()
    looks = 0
    scan = made.ledger.state._rows.scan

    def counted(prefix: bytes, **limits: Any) -> list[tuple[bytes, bytes]]:
        nonlocal looks
        looks += prefix == WINDOW_ORDER.prefix
        return scan(prefix, **limits)

    made.ledger.state._rows.scan = counted  # type: ignore[method-assign]
    made.apply()
    assert looks == 0
    made.apply(time_unix_ms=UNTIL + WINDOW_GRACE_MS)
    assert looks == 2
