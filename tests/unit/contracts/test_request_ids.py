"""One request id has one effect (B16), at every boundary of the window."""

from __future__ import annotations

import pytest

from bizchain.contracts.cash.queries import cash_of
from bizchain.v1.operation_pb2 import DepositCash
from common.errors import CommonReason
from common.ledger.compose import Composed
from common.ledger.window import VALIDITY_MAX_MS, WINDOW_GRACE_MS
from tests.kit.pair import CASH_EACH, Pair, furnished
from tests.kit.side import reason

REQUEST = 77


@pytest.fixture
def pair() -> Pair:
    return furnished()


def deposit(pair: Pair, valid_until: int, amount: int = 1) -> Composed:
    operation = DepositCash(party="alice", currency="EUR", amount=amount)
    return pair.business.compose(
        "bank", request=REQUEST, valid_until=valid_until, deposit_cash=operation
    )


def gained(pair: Pair) -> int:
    return cash_of(pair.business.ledger.state, "alice", "EUR").available - CASH_EACH


def test_a_body_refused_as_a_reuse_never_takes_effect_later(pair: Pair) -> None:
    """It was refused while the first result stood; it is still valid when that result would go."""
    until = pair.business.now + 1_000
    pair.business.submit(deposit(pair, until).raw)
    over = until + WINDOW_GRACE_MS
    second = deposit(pair, over + 60_000, amount=5)
    assert reason(pair.business.submit(second.raw, at=over - 1)) is CommonReason.REQUEST_ID_REUSED
    assert reason(pair.business.submit(second.raw, at=over)) is CommonReason.REQUEST_ID_REUSED
    assert gained(pair) == 1


def test_a_forged_body_does_not_keep_a_result_longer(pair: Pair) -> None:
    until = pair.business.now + 1_000
    pair.business.submit(deposit(pair, until).raw)
    over = until + WINDOW_GRACE_MS
    forged = deposit(pair, over + 60_000, amount=5).raw[:-1] + b"\0"
    assert reason(pair.business.submit(forged, at=over - 1)) is CommonReason.REQUEST_ID_REUSED
    pair.business.block(at=over)
    assert reason(pair.business.submit(deposit(pair, over + 60_000).raw)) is None
    assert gained(pair) == 2


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (-1, None),
        (0, CommonReason.EXPIRED),
        (WINDOW_GRACE_MS - 1, CommonReason.EXPIRED),
        (WINDOW_GRACE_MS, CommonReason.NOT_IN_WINDOW),
    ],
)
def test_a_transaction_is_valid_until_its_moment(
    pair: Pair, offset: int, expected: CommonReason | None
) -> None:
    until = pair.business.now + 60_000
    assert reason(pair.business.submit(deposit(pair, until).raw, at=until + offset)) is expected
    assert gained(pair) == (expected is None)


@pytest.mark.parametrize(("offset", "expected"), [(0, None), (1, CommonReason.VALID_UNTIL_TOO_FAR)])
def test_a_transaction_is_valid_for_an_hour_at_most(
    pair: Pair, offset: int, expected: CommonReason | None
) -> None:
    at = pair.business.now + 10
    until = at + VALIDITY_MAX_MS + offset
    assert reason(pair.business.submit(deposit(pair, until).raw, at=at)) is expected


@pytest.mark.parametrize(
    ("offset", "expected"),
    [(59_999, None), (60_000, None), (60_000 + WINDOW_GRACE_MS - 1, None),
     (60_000 + WINDOW_GRACE_MS, CommonReason.NOT_IN_WINDOW)],
)  # fmt: skip
def test_a_repeat_is_answered_before_expiry_is_judged(
    pair: Pair, offset: int, expected: CommonReason | None
) -> None:
    start = pair.business.now
    composed = deposit(pair, start + 60_000)
    first = pair.business.submit(composed.raw)
    again = pair.business.submit(composed.raw, at=start + offset)
    assert reason(again) is expected
    assert (again.repeat_of is not None) == (expected is None)
    assert first.code == 0
    assert gained(pair) == 1
