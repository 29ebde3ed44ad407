"""Goods whose warehouse was closed or suspended: others answer for them, and no office alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.incidents.keys import CASE
from bizchain.reasons import BusinessReason
from common.errors import CommonReason, TransferReason
from common.ledger.holds import holds_of
from tests.kit import authority, logistics
from tests.kit.exits import broken, judged, split
from tests.kit.logistics import (
    EVIDENCE,
    OVERDUE_MS,
    answer,
    approve,
    case,
    judge,
    open_cases,
    post,
    reject,
)
from tests.kit.pair import Pair, furnished

RECEIPT, ALARM = "receipt-alice", "sensor-alarm-1"


def closed(pair: Pair) -> None:
    pair.close("warehouse")
    pair.carry()


def suspended(pair: Pair) -> None:
    authority.make(pair, "suspend", party="warehouse", change_id="suspension")


ENDS = pytest.mark.parametrize("end", [closed, suspended])


@pytest.fixture
def pair() -> Pair:
    """Two firms are administrators; alice's goods were too warm."""
    made = furnished()
    made.join("oversight", "administrator")
    assert post(made, RECEIPT, alarm="41 C") is None
    return made


@ENDS
def test_an_administrator_answers_and_one_of_another_firm_approves(
    pair: Pair, end: Callable[[Pair], None]
) -> None:
    end(pair)
    assert answer(pair, RECEIPT, ALARM, by="operator") is None
    assert case(pair, RECEIPT, ALARM).answered_by == "operator"
    for own in ("operator", "operator:checker"):
        assert approve(pair, RECEIPT, ALARM, by=own) is BusinessReason.OWN_FIRM
        assert reject(pair, RECEIPT, ALARM, by=own) is BusinessReason.OWN_FIRM
    assert reject(pair, RECEIPT, ALARM, by="oversight") is None
    assert answer(pair, RECEIPT, ALARM, by="oversight") is None
    assert approve(pair, RECEIPT, ALARM, by="operator") is None
    assert case(pair, RECEIPT, ALARM).state == "ANSWERED"
    assert approve(pair, RECEIPT, ALARM, by="operator:checker") is CommonReason.PERMISSION_DENIED
    assert approve(pair, RECEIPT, ALARM, by="regulator") is None
    pair.carry()
    assert [holds_of(side.ledger.state, "receipt", RECEIPT) for side in pair.sides] == [(), ()]
    judged(pair)


def test_an_office_alone_overrules_no_warehouse_that_it_suspends(pair: Pair) -> None:
    """It admits the firm that stands in, and suspends and resumes whom that firm stands in for."""
    suspended(pair)
    assert answer(pair, RECEIPT, ALARM, by="oversight") is None
    assert approve(pair, RECEIPT, ALARM, by="operator") is None
    authority.make(pair, "resume", party="warehouse", change_id="resumption")
    assert approve(pair, RECEIPT, ALARM, by="operator:checker") is CommonReason.PERMISSION_DENIED
    assert open_cases(pair, RECEIPT) == (ALARM,)
    assert reject(pair, RECEIPT, ALARM, by="regulator") is None
    assert answer(pair, RECEIPT, ALARM) is None
    assert approve(pair, RECEIPT, ALARM) is None
    judged(pair)


def test_a_regulator_approves_first_or_last_and_no_firm_in_both_roles(pair: Pair) -> None:
    pair.join("ministry", "administrator", "regulator")
    closed(pair)
    assert answer(pair, RECEIPT, ALARM, by="operator") is None
    assert approve(pair, RECEIPT, ALARM, by="ministry") is None
    assert approve(pair, RECEIPT, ALARM, by="ministry") is BusinessReason.OWN_FIRM
    assert reject(pair, RECEIPT, ALARM, by="ministry") is None
    assert answer(pair, RECEIPT, ALARM, by="operator") is None
    assert approve(pair, RECEIPT, ALARM, by="regulator") is None
    assert approve(pair, RECEIPT, ALARM, by="oversight") is None
    judged(pair)


def test_a_case_that_no_regulator_lifted_is_found(pair: Pair) -> None:
    closed(pair)
    assert answer(pair, RECEIPT, ALARM, by="operator") is None
    assert approve(pair, RECEIPT, ALARM, by="oversight") is None
    assert approve(pair, RECEIPT, ALARM, by="regulator") is None
    pair.carry()
    state, lifted = pair.business.ledger.state, case(pair, RECEIPT, ALARM)
    by_oversight, by_regulator = lifted.approvals
    again = replace(by_oversight, role="regulator")
    for given in ((by_oversight,), (by_regulator,), (), (by_oversight, again)):
        state.put(CASE, CASE.key(RECEIPT, ALARM), replace(lifted, approvals=given))
        assert len(broken(pair)) == 1, given
    state.put(CASE, CASE.key(RECEIPT, ALARM), lifted)
    judged(pair)


@ENDS
def test_nobody_else_answers_and_nobody_for_goods_of_their_own(
    pair: Pair, end: Callable[[Pair], None]
) -> None:
    end(pair)
    assert answer(pair, RECEIPT, ALARM) is CommonReason.SIGNER_UNKNOWN
    for stranger in ("alice", "bank", "regulator", "appraiser"):
        refused = answer(pair, RECEIPT, ALARM, by=stranger)
        assert refused is CommonReason.PERMISSION_DENIED, stranger
    logistics.change_receipt(pair, RECEIPT, owner="oversight")
    assert answer(pair, RECEIPT, ALARM, by="oversight") is BusinessReason.OWN_FIRM
    assert answer(pair, RECEIPT, ALARM, by="operator") is None


def test_whoever_is_back_answers_alone_again(pair: Pair) -> None:
    suspended(pair)
    authority.make(pair, "resume", party="warehouse", change_id="resumption")
    assert answer(pair, RECEIPT, ALARM, by="operator") is BusinessReason.NOT_THE_WAREHOUSE
    assert answer(pair, RECEIPT, ALARM) is None


def test_whoever_is_back_answers_instead_of_who_stood_in(pair: Pair) -> None:
    """Approvals of what was said in its place are of nothing then."""
    suspended(pair)
    assert answer(pair, RECEIPT, ALARM, by="oversight", evidence=EVIDENCE) is None
    assert approve(pair, RECEIPT, ALARM, evidence_hash=EVIDENCE) is None
    assert answer(pair, RECEIPT, ALARM, by="operator") is BusinessReason.WRONG_STATE
    authority.make(pair, "resume", party="warehouse", change_id="resumption")
    assert answer(pair, RECEIPT, ALARM, by="oversight") is BusinessReason.NOT_THE_WAREHOUSE
    assert answer(pair, RECEIPT, ALARM) is None
    found = case(pair, RECEIPT, ALARM)
    assert (found.state, found.answered_by, found.approvals) == ("ANSWERED", "warehouse", ())
    assert answer(pair, RECEIPT, ALARM) is BusinessReason.WRONG_STATE
    refused = approve(pair, RECEIPT, ALARM, by="regulator", evidence_hash=EVIDENCE)
    assert refused is CommonReason.PERMISSION_DENIED
    assert approve(pair, RECEIPT, ALARM) is None
    assert answer(pair, RECEIPT, ALARM) is BusinessReason.WRONG_STATE
    judged(pair)


def test_what_was_answered_before_the_end_may_be_approved_after_it(pair: Pair) -> None:
    assert answer(pair, RECEIPT, ALARM) is None
    closed(pair)
    assert approve(pair, RECEIPT, ALARM) is None


@ENDS
def test_goods_that_ought_to_have_been_counted_are_counted_for_their_warehouse(
    pair: Pair, end: Callable[[Pair], None]
) -> None:
    """Else every thirty days a case would be opened that nobody can make good."""
    pair.advance(OVERDUE_MS)
    assert post(pair, RECEIPT, by="operator") is BusinessReason.NOT_THE_CUSTODIAN
    end(pair)
    assert judge(pair, RECEIPT) is None
    overdue = "stock-take-overdue-1"
    assert answer(pair, RECEIPT, overdue, by="operator") is None
    refused = approve(pair, RECEIPT, overdue, by="oversight")
    assert refused is BusinessReason.STOCK_TAKE_STILL_OVERDUE
    assert post(pair, RECEIPT, by="alice") is CommonReason.PERMISSION_DENIED
    for kind in ("observation", "move", "sensor", "commission"):
        refused = post(pair, RECEIPT, by="operator", kind=kind)
        assert refused is BusinessReason.NOT_THE_CUSTODIAN, kind
    logistics.change_receipt(pair, RECEIPT, owner="oversight")
    assert post(pair, RECEIPT, by="oversight") is BusinessReason.OWN_FIRM
    logistics.change_receipt(pair, RECEIPT, owner="alice")
    assert post(pair, RECEIPT, by="operator") is None
    assert approve(pair, RECEIPT, overdue, by="oversight") is None
    assert approve(pair, RECEIPT, overdue, by="regulator") is None
    assert open_cases(pair, RECEIPT) == (ALARM,)
    judged(pair)


def test_whoever_counts_for_a_warehouse_needs_no_grade(pair: Pair) -> None:
    """A policy says what credit opens, and the office lives by no credit."""
    authority.in_force(pair, 1, {"AAA": ("post_event",)})
    assert post(pair, RECEIPT) is BusinessReason.GRADE_TOO_LOW
    pair.join("stores", "administrator", "warehouse")
    assert post(pair, RECEIPT, by="oversight") is BusinessReason.NOT_THE_CUSTODIAN
    closed(pair)
    assert post(pair, RECEIPT, by="stores") is BusinessReason.GRADE_TOO_LOW
    assert post(pair, RECEIPT, by="alice") is CommonReason.PERMISSION_DENIED
    assert post(pair, RECEIPT, by="oversight") is None


def test_what_was_made_of_the_goods_is_free_with_them() -> None:
    """The parts of a lot are held by the case of what they were made of, until it is answered."""
    pair = furnished()
    pair.join("oversight", "administrator")
    pair.complete(split(pair, 400))
    assert post(pair, RECEIPT, quantity=600, alarm="41 C") is None
    closed(pair)
    move = MoveTitle(lot_id="lot-part-1", receiver="bob", quantity=1, reference="sold")
    assert pair.asset.do("alice", move_title=move) is TransferReason.SUBJECT_HELD
    assert answer(pair, RECEIPT, ALARM, by="operator") is None
    assert approve(pair, RECEIPT, ALARM, by="oversight") is None
    pair.carry()
    assert pair.asset.do("alice", move_title=move) is TransferReason.SUBJECT_HELD
    assert approve(pair, RECEIPT, ALARM, by="regulator") is None
    pair.carry()
    assert pair.asset.do("alice", move_title=move) is None
    judged(pair)
