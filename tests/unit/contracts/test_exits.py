"""Flow X6: whoever holds a whole lot, free and unheld, takes the goods out; nobody else does."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.contracts.holdings.keys import HOLDING
from assetchain.contracts.holdings.queries import holding_of
from assetchain.contracts.lots.queries import live_lot_of, lot_of
from assetchain.reasons import AssetReason
from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.cash.types import FEE_SCHEDULE_FORMAT, FeeSchedule, ScheduleInForce
from bizchain.contracts.exits.keys import EXIT_REQUEST
from bizchain.contracts.exits.queries import Worth, fee_of, request_of
from bizchain.contracts.exits.types import EXIT_TRANSITIONS, ExitState, StorageFee
from bizchain.contracts.receipts.queries import reserving_transfer
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.errors import CommonReason, Reason, Refused, TransferReason
from common.transfer.machine import TransferState
from common.transfer.terms import Mode
from tests.kit import logistics
from tests.kit.exits import DAY_MS, approve, approved_exit, ask, judged, leave, part, recast
from tests.kit.logistics import accept, deliver
from tests.kit.pair import RECEIPT_UNITS, Pair, furnished

RECEIPT, LOT, HOLDER = "receipt-alice", "lot-alice", "alice"


@pytest.fixture
def pair() -> Pair:
    """Alice holds all of her lot, and her exit is approved."""
    made = furnished()
    approved_exit(made, RECEIPT, HOLDER)
    made.carry()
    return made


def exit_of(pair: Pair, **changed: Any) -> Any:
    return leave(pair, RECEIPT, LOT, HOLDER, **changed)


def decided(pair: Pair, **changed: Any) -> Reason | None:
    """What the books say of an exit whose units are locked."""
    deal = exit_of(pair, **changed)
    assert pair.reserve(deal) is None
    pair.carry()
    return pair.decide(deal)


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_a_whole_lot_is_burned_and_its_goods_are_delivered_by_two_signatures(
    pair: Pair, mode: str
) -> None:
    deal = exit_of(pair, mode=mode)
    pair.complete(deal)
    assert pair.states(deal) == (TransferState.COMMITTED, TransferState.SETTLED)
    lot = lot_of(pair.asset.ledger.state, LOT)
    assert lot is not None
    assert (lot.state, lot.burned) == ("BURNED", RECEIPT_UNITS)
    assert live_lot_of(pair.asset.ledger.state, RECEIPT) is None
    receipt = pair.receipt_of(RECEIPT)
    assert (receipt.state, receipt.owner) == ("RELEASING", HOLDER)
    judged(pair)
    assert deliver(pair, RECEIPT) is None
    assert accept(pair, RECEIPT, HOLDER) is None
    assert pair.receipt_of(RECEIPT).state == "DELIVERED"
    judged(pair)


def test_the_goods_are_the_holders_not_the_first_owners(pair: Pair) -> None:
    """Bob bought the whole lot: he takes the goods out, and Alice's approval is worth nothing."""
    move = MoveTitle(lot_id=LOT, receiver="bob", quantity=RECEIPT_UNITS, reference="sold")
    assert pair.asset.do(HOLDER, move_title=move) is None
    assert pair.reserve(exit_of(pair)) is AssetReason.NOT_ALL_UNITS
    approved_exit(pair, RECEIPT, "bob")
    pair.carry()
    pair.complete(leave(pair, RECEIPT, LOT, "bob", payer=HOLDER))
    assert pair.receipt_of(RECEIPT).owner == "bob"
    judged(pair)


@pytest.mark.parametrize("quantity", [1, RECEIPT_UNITS - 1, RECEIPT_UNITS + 1])
def test_no_more_and_no_less_than_all_that_is_left_is_burned(pair: Pair, quantity: int) -> None:
    assert pair.reserve(exit_of(pair, quantity=quantity)) is AssetReason.NOT_ALL_UNITS


@pytest.mark.parametrize("part", ["on_order", "pledged", "reserved"])
def test_units_that_are_not_free_are_not_burned(pair: Pair, part: str) -> None:
    state = pair.asset.ledger.state
    units = replace(holding_of(state, HOLDER, LOT), free=RECEIPT_UNITS - 1, **{part: 1})
    state.put(HOLDING, HOLDING.key(HOLDER, LOT), units)
    assert pair.reserve(exit_of(pair)) is AssetReason.NOT_ALL_UNITS


@pytest.mark.parametrize("subject", [("lot", LOT), ("receipt", RECEIPT), ("party", HOLDER)])
def test_a_freeze_refuses_the_burning(pair: Pair, subject: tuple[str, str]) -> None:
    deal = exit_of(pair)
    pair.hold(*subject)
    pair.carry()
    assert pair.reserve(deal) is TransferReason.SUBJECT_HELD


@pytest.mark.parametrize("subject", [("receipt", RECEIPT), ("party", HOLDER), ("party", "bob")])
@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_a_freeze_between_the_burning_and_the_decision_wins(
    pair: Pair, subject: tuple[str, str], mode: str
) -> None:
    """And what was locked is free again once the transfer has ended."""
    deal = exit_of(pair, payer="bob", mode=mode)
    assert pair.reserve(deal) is None
    pair.carry()
    if mode == Mode.TWO_STEP:
        assert pair.reserve(deal, pair.business) is None
    pair.hold(*subject)
    refused = pair.commit(deal) if mode == Mode.TWO_STEP else pair.decide(deal)
    assert refused is TransferReason.SUBJECT_HELD
    pair.advance(100_000)
    assert pair.expire(deal) is None
    pair.carry()
    assert pair.settle(deal) is None
    assert holding_of(pair.asset.ledger.state, HOLDER, LOT).free == RECEIPT_UNITS
    assert not reserving_transfer(pair.business.ledger.state, RECEIPT)
    assert pair.receipt_of(RECEIPT).state == "TOKENISED"
    judged(pair)


def test_an_exit_that_nobody_approved_is_refused() -> None:
    pair = furnished()
    assert decided(pair) is CommonReason.NOT_FOUND
    pair = furnished()
    assert ask(pair, RECEIPT, HOLDER) is None
    pair.carry()
    assert decided(pair) is BusinessReason.EXIT_NOT_APPROVED


def test_an_approval_lapses_at_its_deadline() -> None:
    pair = furnished()
    assert ask(pair, RECEIPT, HOLDER, within=DAY_MS) is None
    assert approve(pair.twin(), RECEIPT, HOLDER) is None
    assert approve(pair, RECEIPT, HOLDER) is None
    pair.advance(DAY_MS)
    pair.fresh()
    assert decided(pair) is BusinessReason.EXIT_LAPSED
    assert ask(pair, RECEIPT, HOLDER) is None
    pair.advance(8 * DAY_MS)
    assert approve(pair, RECEIPT, HOLDER) is BusinessReason.EXIT_LAPSED


def test_an_exit_is_approved_by_an_administrator_of_another_firm() -> None:
    pair = furnished()
    assert approve(pair, RECEIPT, HOLDER) is CommonReason.NOT_FOUND
    assert ask(pair, RECEIPT, HOLDER) is None
    assert ask(pair, RECEIPT, "operator") is None
    for stranger in (HOLDER, "warehouse", "bank"):
        assert approve(pair, RECEIPT, HOLDER, by=stranger) is CommonReason.PERMISSION_DENIED
    assert approve(pair, RECEIPT, "operator") is BusinessReason.OWN_FIRM
    assert ask(pair, RECEIPT, HOLDER) is BusinessReason.EXIT_OPEN
    pair.hold("receipt", RECEIPT)
    assert approve(pair, RECEIPT, HOLDER) is TransferReason.SUBJECT_HELD


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"fee": 1}, BusinessReason.FEE_MISMATCH),
        ({"currency": "QQQ"}, CommonReason.UNKNOWN_CURRENCY),
        ({"receipt_id": "receipt-carol"}, BusinessReason.WRONG_STATE),
        ({"receipt_id": "receipt-bob"}, BusinessReason.FACTS_MISMATCH),
    ],
)
def test_the_books_let_nothing_out_on_false_terms(
    pair: Pair, changed: dict[str, Any], reason: Reason
) -> None:
    approved_exit(pair, "receipt-bob", HOLDER)
    pair.carry()
    assert decided(pair, **changed) is reason


def test_storage_is_paid_until_now_or_little_later(pair: Pair) -> None:
    for ahead in (-1, 2 * DAY_MS + 60_000):
        twin = pair.twin()
        until = twin.business.now + ahead
        assert decided(twin, stored_until_unix_ms=until) is BusinessReason.STORED_UNTIL_NOT_NOW


def test_goods_that_leave_are_not_let_out_twice(pair: Pair) -> None:
    first, second = exit_of(pair), exit_of(pair)
    assert pair.reserve(first) is None
    assert pair.reserve(second) is AssetReason.NOT_ALL_UNITS
    pair.carry()
    assert pair.decide(first) is None
    assert ask(pair, RECEIPT, HOLDER) is BusinessReason.WRONG_STATE
    pair.carry()
    assert pair.settle(first) is None
    assert pair.reserve(exit_of(pair)) is AssetReason.LOT_NOT_ACTIVE


@pytest.mark.parametrize("state", list(ExitState))
@pytest.mark.parametrize("step", ["approve", "reject", "withdraw", "use"])
def test_a_request_can_do_what_its_table_holds_and_nothing_else(
    state: ExitState, step: str
) -> None:
    pair = furnished()
    assert ask(pair, RECEIPT, HOLDER) is None
    pair.carry()
    key = EXIT_REQUEST.key(RECEIPT, HOLDER)
    row = pair.business.ledger.state.get(EXIT_REQUEST, key)
    assert row is not None
    pair.business.ledger.state.put(EXIT_REQUEST, key, replace(row, state=state.value))
    named = {"receipt_id": RECEIPT, "holder": HOLDER}
    if step == "use":
        refused = decided(pair)
    elif step == "withdraw":
        refused = pair.business.do(HOLDER, withdraw_exit=pb.WithdrawExit(receipt_id=RECEIPT))
    elif step == "approve":
        refused = pair.business.do("operator", approve_exit=pb.ApproveExit(**named))
    else:
        refused = pair.business.do("operator", reject_exit=pb.RejectExit(**named))
    reached = EXIT_TRANSITIONS.get((state, step))
    assert (refused is None) == (reached is not None)
    found = request_of(pair.business.ledger.state, RECEIPT, HOLDER)
    assert found is not None
    assert found.state == (reached or state)


def test_what_an_open_exit_has_reserved_nothing_else_takes(pair: Pair) -> None:
    """Its request is not taken back, and its receipt is not split, until the transfer has ended."""
    deal = exit_of(pair, mode=Mode.TWO_STEP)
    assert pair.reserve(deal) is None
    pair.carry()
    assert pair.reserve(deal, pair.business) is None
    taken_back = pb.WithdrawExit(receipt_id=RECEIPT)
    assert pair.business.do(HOLDER, withdraw_exit=taken_back) is BusinessReason.RECEIPT_RESERVED
    assert ask(pair, RECEIPT, "bob") is BusinessReason.RECEIPT_RESERVED
    split = recast(pair, HOLDER, [(RECEIPT, LOT)], [part("part", 1)])
    assert pair.reserve(split) is BusinessReason.RECEIPT_RESERVED
    assert pair.commit(deal) is None
    pair.carry()
    assert pair.settle(deal) is None
    judged(pair)


def test_only_an_exit_lets_goods_out(pair: Pair) -> None:
    """A receipt that is let out by anything else breaks an invariant."""
    logistics.change_receipt(pair, RECEIPT, state="RELEASING")
    with pytest.raises(AssertionError):
        judged(pair)


# --- the fee ------------------------------------------------------------------------------------


def in_force(rate: int) -> ScheduleInForce:
    return ScheduleInForce(3, FeeSchedule(FEE_SCHEDULE_FORMAT, 0, rate))


@pytest.mark.parametrize(
    ("rate", "value", "stored_ms", "fee"),
    [
        (2, 1_000_000, 1, 200),
        (2, 1_000_000, DAY_MS, 200),
        (2, 1_000_000, DAY_MS + 1, 400),
        (1, 1, 1, 1),
        (1, 10_001, DAY_MS, 2),
        (0, 1_000_000, 100 * DAY_MS, 0),
        (5, 0, DAY_MS, 0),
    ],
)
def test_storage_costs_what_the_schedule_says_for_each_day_begun_rounded_up_once(
    rate: int, value: int, stored_ms: int, fee: int
) -> None:
    due = fee_of(in_force(rate), Worth(7, "EUR", value), 1_000, "EUR", 1_000 + stored_ms)
    used = (value, 7) if rate else (0, 0)
    assert due == StorageFee(fee, 3, *used, 1_000)


def test_goods_that_nobody_valued_in_that_currency_leave_only_where_storage_is_free() -> None:
    for worth in (Worth(0, "", 0), Worth(1, "CNY", 5)):
        assert fee_of(in_force(0), worth, 1, "EUR", 2).fee == 0
        with pytest.raises(Refused) as refused:
            fee_of(in_force(1), worth, 1, "EUR", 2)
        assert refused.value.reason is BusinessReason.GOODS_WITHOUT_VALUE
