"""Fees: which schedule counts, when a trade agreed under another is refused, how it is rounded."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bizchain.contracts.cash.keys import FEE_TERMS
from bizchain.contracts.cash.queries import (
    DAY_MS,
    cash_of,
    days_begun,
    management_fee,
    schedule_at,
    trade_fee,
)
from bizchain.contracts.cash.types import (
    FEE_SCHEDULE,
    FEE_SCHEDULE_FORMAT,
    PLATFORM_FEES,
    FeeSchedule,
)
from bizchain.reasons import BusinessReason
from common.amount import AMOUNT_MAX
from common.encoding import encode
from common.errors import CommonReason, Reason, Refused
from common.transfer.machine import TransferState
from common.transfer.terms import Mode
from relay.agreement import Agreement
from relay.audit.findings import Violated
from relay.audit.pair import check_pair
from tests.kit import cast
from tests.kit.council import Council
from tests.kit.pair import CASH_EACH, Pair, furnished

NEW_BASIS_POINTS = 200
SUBJECT = (FEE_SCHEDULE, PLATFORM_FEES)
MODES = pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
S = TransferState


def schedule(trade: int = NEW_BASIS_POINTS, management: int = 0) -> bytes:
    return encode(FeeSchedule(FEE_SCHEDULE_FORMAT, trade, management))


def voted(pair: Pair, ahead: int = 0, basis_points: int = NEW_BASIS_POINTS) -> int:
    """Vote a new schedule; the height it is in force from, `ahead` blocks after the decision."""
    begins = pair.business.height + 2 + ahead if ahead else 0
    _, ballot = Council(pair).decide(
        *SUBJECT, content=schedule(basis_points), proposer="core", activation_height=begins
    )
    return ballot.activation_height


def trade(
    pair: Pair, basis_points: int = cast.FEE_BASIS_POINTS, mode: str = Mode.EXPRESS
) -> Agreement:
    return pair.trade("bob", "alice", lot_id="lot-alice", fee_basis_points=basis_points, mode=mode)


def bobs_money(pair: Pair) -> tuple[int, int]:
    account = cash_of(pair.business.ledger.state, "bob", "EUR")
    return account.available, account.reserved


@MODES
def test_a_trade_agreed_under_an_older_schedule_is_refused_before_anything_moves(mode: str) -> None:
    """In the last block before the new one it is reserved; in its first block it is refused, and
    the same trade by the new fee is taken.
    """
    pair = furnished()
    begins = voted(pair, ahead=2)
    assert pair.business.height == begins - 2
    assert pair.twin().reserve(trade(pair, NEW_BASIS_POINTS, mode)) is BusinessReason.FEE_MISMATCH
    assert pair.reserve(trade(pair, mode=mode)) is None
    assert pair.business.height == begins - 1
    before = pair.business.ledger.header.state_root
    late = trade(pair, mode=mode)
    assert pair.reserve(late) is BusinessReason.FEE_MISMATCH
    assert pair.business.height == begins
    assert pair.business.ledger.header.state_root == before
    assert pair.business.state_of(late.transfer_id) is S.NONE
    assert pair.reserve(trade(pair, NEW_BASIS_POINTS, mode)) is None
    assert bobs_money(pair) == (CASH_EACH - 2_000, 2_000)


@MODES
def test_what_is_reserved_settles_with_its_own_fee(mode: str) -> None:
    """However the schedule changes between the reservation, the decision and the settlement."""
    pair = furnished()
    deal = trade(pair, mode=mode)
    assert pair.reserve(deal) is None
    voted(pair)
    pair.carry()
    if mode == Mode.TWO_STEP:
        assert pair.reserve(deal, pair.asset) is None
        assert pair.commit(deal) is None
    else:
        assert pair.decide(deal) is None
    voted(pair, basis_points=9_000)
    pair.carry()
    assert pair.settle(deal) is None
    fee = trade_fee(1_000, cast.FEE_BASIS_POINTS)
    got = cash_of(pair.business.ledger.state, "alice", "EUR").available - CASH_EACH
    assert got == 1_000 - fee
    pair.carry()
    check_pair(pair.business.ledger, pair.asset.ledger)


def test_every_height_has_its_schedule_and_the_audit_judges_by_it() -> None:
    """B15: trades under three versions, and a fee of a version not in force is found."""
    pair = furnished()
    deals = []
    for basis_points in (cast.FEE_BASIS_POINTS, 100, 0):
        if basis_points != cast.FEE_BASIS_POINTS:
            voted(pair, basis_points=basis_points)
        deals.append(trade(pair, basis_points))
        pair.complete(deals[-1])
    state = pair.business.ledger.state
    check_pair(pair.business.ledger, pair.asset.ledger)
    height = pair.business.height
    assert schedule_at(state, cast.PARAMETERS, height).version == 2
    assert schedule_at(state, cast.PARAMETERS, 0).schedule.trade_basis_points == 50
    assert state.get(FEE_TERMS, FEE_TERMS.key(deals[0].transfer_id)) is None
    key = FEE_TERMS.key(deals[1].transfer_id)
    terms = state.get(FEE_TERMS, key)
    assert terms is not None
    for wrong in (
        replace(terms, schedule_version=2),
        replace(terms, reserved_height=height),
        replace(terms, reserved_height=0),
    ):
        state.put(FEE_TERMS, key, wrong)
        with pytest.raises(Violated, match="B15"):
            check_pair(pair.business.ledger, pair.asset.ledger)
    state.delete(FEE_TERMS, key)
    with pytest.raises(Violated, match="B15"):
        check_pair(pair.business.ledger, pair.asset.ledger)


INVALID = CommonReason.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (PLATFORM_FEES, schedule(0, 0), None),
        (PLATFORM_FEES, schedule(10_000, 100), None),
        (PLATFORM_FEES, schedule(10_001), INVALID),
        (PLATFORM_FEES, schedule(-1), INVALID),
        (PLATFORM_FEES, schedule(1, 101), INVALID),
        (PLATFORM_FEES, schedule(1, -1), INVALID),
        ("another", schedule(), INVALID),
        (PLATFORM_FEES, encode(FeeSchedule(2, 1, 1)), INVALID),
        (PLATFORM_FEES, b"x", CommonReason.MALFORMED),
        (PLATFORM_FEES, schedule() + b"\x00", CommonReason.MALFORMED),
        (PLATFORM_FEES, encode((1, 2)), CommonReason.MALFORMED),
    ],
)
def test_only_a_schedule_can_be_voted_for(
    name: str, content: bytes, expected: Reason | None
) -> None:
    council = Council.new()
    assert council.propose(council.proposal(FEE_SCHEDULE, name, content=content)) is expected


@pytest.mark.parametrize(
    ("value", "days", "basis_points", "fee"),
    [
        (0, 30, 5, 0),
        (1, 1, 1, 1),
        (10_000, 1, 1, 1),
        (10_001, 1, 1, 2),
        (10_000, 30, 2, 60),
        (333, 3, 10, 1),
        (9_999, 30, 1, 30),
        (1_000_000, 0, 100, 0),
        (1_000_000, 365, 0, 0),
        (AMOUNT_MAX, 100, 100, AMOUNT_MAX),
    ],
)
def test_the_management_fee_is_rounded_up_once_over_all_days(
    value: int, days: int, basis_points: int, fee: int
) -> None:
    assert management_fee(value, days, basis_points) == fee


def test_a_management_fee_larger_than_any_amount_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        management_fee(AMOUNT_MAX, 101, 100)
    assert refused.value.reason is CommonReason.AMOUNT_OUT_OF_RANGE


@pytest.mark.parametrize(
    ("stood_ms", "days"),
    [(0, 0), (1, 1), (DAY_MS - 1, 1), (DAY_MS, 1), (DAY_MS + 1, 2), (365 * DAY_MS, 365)],
)
def test_a_day_that_has_begun_counts_whole(stood_ms: int, days: int) -> None:
    assert days_begun(cast.START_UNIX_MS, cast.START_UNIX_MS + stood_ms) == days
