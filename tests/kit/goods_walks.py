"""Ways through the cases and the losses of goods, for the test that takes every one of them."""

from __future__ import annotations

from bizchain.contracts.incidents.queries import case_of, loss_of
from common.errors import CommonReason, Reason
from common.ledger.identity import PartyStatus, party_of
from tests.kit import authority, logistics
from tests.kit.pair import Pair, furnished
from tests.kit.walking import ADMINISTRATORS, Walk, people

__all__ = ["CASES", "LOSSES"]

ALARM = "sensor-alarm-1"
_NOT_NOW = CommonReason.NOT_FOUND


def alarmed() -> Pair:
    pair = furnished()
    assert logistics.post(pair, "receipt-alice", alarm="41 C") is None
    return pair


def fire(pair: Pair, by: str) -> Reason | None:
    """An event is a fact: after a lifted case it opens another one, and this one stays."""
    before = logistics.case(pair, "receipt-alice", ALARM).event_number
    refused = logistics.post(pair, "receipt-alice", by, alarm="42 C")
    fired = logistics.case(pair, "receipt-alice", ALARM).event_number != before
    return refused if fired or refused else CommonReason.NOT_FOUND


def answer(pair: Pair, by: str) -> Reason | None:
    """Where the warehouse can: else see `stand_in`."""
    return logistics.answer(pair, "receipt-alice", ALARM, by) if is_open(pair) else _NOT_NOW


def stand_in(pair: Pair, by: str) -> Reason | None:
    """Once the warehouse is suspended, anyone answers."""
    if is_open(pair):
        authority.make(pair, "suspend", party="warehouse", change_id=f"out-{pair.business.height}")
    return logistics.answer(pair, "receipt-alice", ALARM, by)


def come_back(pair: Pair, by: str) -> Reason | None:
    """Once the warehouse is back, anyone answers instead."""
    if is_open(pair):
        return _NOT_NOW
    authority.make(pair, "resume", party="warehouse", change_id=f"in-{pair.business.height}")
    return logistics.answer(pair, "receipt-alice", ALARM, by)


def is_open(pair: Pair) -> bool:
    """Whether the warehouse is still active."""
    found = party_of(pair.business.ledger.state, "warehouse")
    return found is not None and found.status == PartyStatus.ACTIVE


def case_state(pair: Pair) -> str:
    found = case_of(pair.business.ledger.state, "receipt-alice", ALARM)
    assert found is not None
    return found.state


CASES = Walk(
    alarmed,
    case_state,
    {
        ("fire",): fire,
        ("answer",): answer,
        ("stand_in",): stand_in,
        ("replace", "answer"): come_back,
        ("agree", "approve"): lambda pair, by: logistics.approve(pair, "receipt-alice", ALARM, by),
        ("reject",): lambda pair, by: logistics.reject(pair, "receipt-alice", ALARM, by),
    },
    {
        **people(
            administrator=ADMINISTRATORS,
            bank="bank",
            regulator="regulator",
            _warehouse="warehouse",
        ),
        "(a rule that fires)": frozenset({"warehouse", *ADMINISTRATORS.split()}),
    },
    is_open,
)


def lost() -> Pair:
    pair = furnished()
    assert logistics.report_loss(pair, "receipt-alice", 5) is None
    return pair


def withdraw(pair: Pair, by: str) -> Reason | None:
    """Where the warehouse can: else see `withdraw_for_it`."""
    return logistics.withdraw_loss(pair, "receipt-alice", by) if is_open(pair) else _NOT_NOW


def withdraw_for_it(pair: Pair, by: str) -> Reason | None:
    """Once the warehouse is closed, anyone takes the report back."""
    if is_open(pair):
        pair.close("warehouse")
    return logistics.withdraw_loss(pair, "receipt-alice", by)


def loss_state(pair: Pair) -> str:
    found = loss_of(pair.business.ledger.state, "receipt-alice")
    return "" if found is None else found.state


LOSSES = Walk(
    lost,
    loss_state,
    {
        ("report",): lambda pair, by: logistics.report_loss(pair, "receipt-alice", 5, by),
        ("confirm",): lambda pair, by: logistics.confirm_loss(pair, "receipt-alice", 5, by),
        ("withdraw",): withdraw,
        ("stand_in",): withdraw_for_it,
        ("agree", "approve"): lambda pair, by: logistics.approve_withdrawal(
            pair, "receipt-alice", by
        ),
        ("reject",): lambda pair, by: logistics.reject_withdrawal(pair, "receipt-alice", by),
    },
    people(administrator=ADMINISTRATORS, regulator="regulator", _warehouse="warehouse"),
    is_open,
)
