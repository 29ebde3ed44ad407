"""Fees: which schedule counts, when a trade agreed under another is refused, how it is rounded."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from bizchain.contracts.cash import operations
from bizchain.contracts.cash.keys import CASH, FEE_TERMS, ISSUANCE
from bizchain.contracts.cash.queries import (
    DAY_MS,
    cash_of,
    days_begun,
    management_fee,
    schedule_at,
    trade_fee,
    trial_balance,
)
from bizchain.contracts.cash.types import (
    CHART,
    FEE_SCHEDULE,
    FEE_SCHEDULE_FORMAT,
    PLATFORM_FEES,
    AccountClass,
    CashLeg,
    FeeSchedule,
    JournalEntry,
    TrialBalance,
)
from bizchain.reasons import BusinessReason
from bizchain.v1.operation_pb2 import DepositCash
from common.amount import AMOUNT_MAX
from common.encoding import decode, encode
from common.errors import CommonReason, Reason, Refused
from common.ledger.chain import Context
from common.ledger.state import Reader
from common.transfer.machine import TransferState
from common.transfer.pots import POT
from common.transfer.terms import Mode
from relay.agreement import Agreement
from relay.audit import fees
from relay.audit.findings import Violated
from relay.audit.pair import check_pair
from relay.audit.replay import Replay
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
    assert not pair.business.chain.invariants["fees are scheduled"](state)
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
        assert pair.business.chain.invariants["fees are scheduled"](state)
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


# --- what was collected -------------------------------------------------------------------------


def replayed(pair: Pair) -> Replay:
    """The business books again, from their blocks alone."""
    replay = Replay(pair.business.chain, pair.business.genesis)
    for block in pair.business.blocks:
        replay.take_block(encode(block))
    return replay


def traded() -> Pair:
    """A trade under version 0, one under version 1, one reserved before version 2 and settled
    after it, one declined.
    """
    pair = furnished()
    pair.complete(trade(pair))
    voted(pair, basis_points=100)
    pair.complete(trade(pair, 100))
    late, declined = trade(pair, 100), trade(pair, 100, Mode.TWO_STEP)
    for deal in (late, declined):
        assert pair.reserve(deal) is None
    voted(pair, basis_points=0)
    pair.carry()
    assert pair.decide(late) is None
    assert pair.decline(declined, "alice") is None
    pair.carry()
    for deal in (late, declined):
        assert pair.settle(deal) is None
    pair.complete(trade(pair, 0))
    return pair


def test_the_journal_alone_says_what_was_collected() -> None:
    """Through the fee account, from which all of it goes on: to the platform, or to its pot."""
    pair = traded()
    entries = [
        decode(JournalEntry, event.payload)
        for height in range(1, pair.business.height + 1)
        for event in pair.business.events(height, "journal")
    ]
    account = AccountClass.FEES.of(cast.FEE_PARTY)
    collected = [entry.amount for entry in entries if entry.credit == account]
    assert collected == [5, 10, 10]
    passed_on = [(entry.credit, entry.amount) for entry in entries if entry.debit == account]
    assert passed_on == [(AccountClass.CLAIMABLE.of(cast.FEE_PARTY), fee) for fee in collected]
    replayed(pair).finish()


@pytest.mark.parametrize("wrong", ["none", "more", "kept", "twice"])
def test_a_fee_the_schedule_does_not_ask_for_is_found_in_the_events(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where every node agreed on it: the rules that booked it are wrong, the audit is not."""
    pair = traded()
    honest = operations._journal_leg

    def book(
        context: Context, transfer_id: bytes, leg: CashLeg, debit: str, credit: str, amount: int
    ) -> None:
        fee_in, fee_out = credit.startswith("fees/"), debit.startswith("fees/")
        if (wrong == "none" and (fee_in or fee_out)) or (wrong == "kept" and fee_out):
            return
        more = wrong == "more" and (fee_in or fee_out)
        for _ in range(2 if wrong == "twice" and fee_in else 1):
            honest(context, transfer_id, leg, debit, credit, amount + more)

    monkeypatch.setattr(operations, "_journal_leg", book)
    with pytest.raises(Violated, match=r"B15: .* due"):
        replayed(pair)


def test_the_schedule_is_the_one_where_the_cash_was_reserved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A rule that judged by another block's schedule would be found."""
    pair = traded()
    replayed(pair).finish()
    monkeypatch.setattr(
        fees, "schedule_at", lambda state, given, _: schedule_at(state, given, pair.business.height)
    )
    with pytest.raises(Violated, match="B15"):
        replayed(pair)


def test_both_sides_of_the_trial_balance_are_equal_at_every_height() -> None:
    """B6: per currency; and a minor unit too many on either side is found."""
    pair = traded()
    assert pair.business.do("bank", deposit_cash=DepositCash(
        party="alice", currency="JPY", amount=7, reference="r"
    )) is None  # fmt: skip
    state = pair.business.ledger.state
    balances = books_of(state)
    assert sorted(balances) == ["EUR", "JPY"]
    assert balances["JPY"] == TrialBalance(available=7, issuance=7)
    euros = balances["EUR"]
    assert euros.debit == euros.credit == 3 * CASH_EACH
    assert euros.claimable == 25
    account = cash_of(state, "alice", "JPY")
    state.put(CASH, CASH.key("alice", "JPY"), replace(account, available=8))
    assert books_of(state)["JPY"].credit == 8
    [violation] = pair.business.chain.invariants["money is conserved"](state)
    assert "JPY: 1 minor units" in violation.message


def books_of(state: Reader) -> Mapping[str, TrialBalance]:
    return trial_balance(
        ((key[1:].decode().split("/")[1], account) for key, account in state.scan(CASH)),
        (pot for _, pot in state.scan(POT)),
        ((key[1:].decode().split("/")[0], row) for key, row in state.scan(ISSUANCE)),
    )


def test_the_chart_names_every_class_of_account() -> None:
    assert set(CHART) == set(AccountClass)
    assert [kind for kind, account in CHART.items() if account.is_debit] == [AccountClass.ISSUANCE]
