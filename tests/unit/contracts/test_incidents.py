"""Cases that rules opened are lifted by two firms, one by one; losses are confirmed by two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.contracts.lots.keys import IMPAIRMENT
from assetchain.contracts.lots.queries import impairment_of
from bizchain.contracts.incidents import operations
from bizchain.contracts.incidents.keys import CASE, LOSS
from bizchain.contracts.incidents.queries import loss_of
from bizchain.contracts.incidents.types import (
    CASE_TRANSITIONS,
    LOSS_TRANSITIONS,
    RULE_AUTHORITY,
    CaseState,
    LossState,
)
from bizchain.contracts.logistics.keys import HEAD
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.encoding import decode
from common.errors import CommonReason, Reason, Refused, TransferReason
from common.ledger.holds import HOLD, holds_of
from common.ledger.identity import PARTY, RoleGrant, check_identifier, party_of
from common.ledger.impairment import ImpairmentNotice
from common.ledger.inbox import AppliedMessage
from tests.kit import logistics
from tests.kit.logistics import (
    ANSWER,
    EVIDENCE,
    OVERDUE_MS,
    answer,
    approve,
    case,
    confirm_loss,
    head,
    judge,
    open_cases,
    post,
    reject,
    report_loss,
)
from tests.kit.pair import RECEIPT_UNITS, Pair, furnished

RECEIPT, LOT = "receipt-alice", "lot-alice"
SHORT, ALARM = "quantity-below-tolerance-1", "sensor-alarm-1"


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Goods behind a lot, too few and too warm; at the end everything that must hold does."""
    made = furnished()
    assert post(made, RECEIPT, quantity=900, alarm="41 C") is None
    yield made
    made.carry()
    assert not [
        violation
        for side in made.sides
        for invariant in side.chain.invariants.values()
        for violation in invariant(side.ledger.state)
    ]


def held(pair: Pair) -> list[str]:
    """Case numbers of all holds on the receipt: the same on both chains."""
    pair.carry()
    books, assets = (holds_of(side.ledger.state, "receipt", RECEIPT) for side in pair.sides)
    assert books == assets
    return [hold.case_id for hold in books]


# --- cases --------------------------------------------------------------------------------------


def test_an_answer_and_its_approval_lift_one_hold_and_no_other(pair: Pair) -> None:
    pair.hold("receipt", RECEIPT, case="sensor-alarm-1")  # an authority with the same number
    assert held(pair) == [ALARM, SHORT, ALARM]
    assert answer(pair, RECEIPT, ALARM) is None
    assert held(pair) == [ALARM, SHORT, ALARM]
    assert approve(pair, RECEIPT, ALARM) is None
    assert held(pair) == [ALARM, SHORT]
    lifted = case(pair, RECEIPT, ALARM)
    assert (lifted.state, lifted.lifted_unix_ms > 0) == ("LIFTED", True)
    assert [(one.role, one.party) for one in lifted.approvals] == [("administrator", "operator")]
    assert open_cases(pair, RECEIPT) == (SHORT,)


def test_nobody_can_sign_for_the_authority_of_the_rules(pair: Pair) -> None:
    """Its name is no party's id, and nobody's own hold is its."""
    with pytest.raises(Refused, match="party id"):
        check_identifier(RULE_AUTHORITY, "party id")
    for by in ("operator", "regulator", "warehouse"):
        lift = pb.LiftHold(subject_kind="receipt", subject_id=RECEIPT, case_id=ALARM)
        assert pair.business.do(by, lift_hold=lift) is CommonReason.NOT_FOUND


@pytest.mark.parametrize("state", list(CaseState))
@pytest.mark.parametrize("step", ["answer", "approve", "reject", "fire"])
def test_a_case_can_do_what_its_table_holds_and_nothing_else(state: CaseState, step: str) -> None:
    pair = furnished()
    assert post(pair, RECEIPT, alarm="41 C") is None
    if state is not CaseState.OPEN:
        assert answer(pair, RECEIPT, ALARM) is None
    if state is CaseState.LIFTED:
        assert approve(pair, RECEIPT, ALARM) is None
    steps: dict[str, Callable[[], Reason | None]] = {
        "answer": lambda: answer(pair, RECEIPT, ALARM),
        "approve": lambda: approve(pair, RECEIPT, ALARM),
        "reject": lambda: reject(pair, RECEIPT, ALARM),
        "fire": lambda: post(pair, RECEIPT, alarm="42 C"),
    }
    reached = CASE_TRANSITIONS.get((state, step))
    done = steps[step]()
    if step == "fire":  # an event is a fact: after a lifted case there is another one
        assert done is None
        assert ("sensor-alarm-2" in open_cases(pair, RECEIPT)) == (reached is None)
    else:
        assert done is (None if reached else BusinessReason.WRONG_STATE)
    assert case(pair, RECEIPT, ALARM).state == (reached or state)


def test_only_the_receipts_warehouse_answers(pair: Pair) -> None:
    for stranger in ("alice", "operator", "regulator", "bank"):
        assert answer(pair, RECEIPT, ALARM, by=stranger) is BusinessReason.NOT_THE_WAREHOUSE
    assert answer(pair, RECEIPT, ALARM, evidence=b"") is CommonReason.INVALID_ARGUMENT
    assert answer(pair, RECEIPT, "sensor-alarm-2") is CommonReason.NOT_FOUND
    assert answer(pair, "receipt-bob", ALARM) is CommonReason.NOT_FOUND


@pytest.mark.parametrize("judging", [approve, reject])
def test_an_administrator_of_another_firm_judges_that_very_answer(
    pair: Pair, judging: Callable[..., Reason | None]
) -> None:
    assert answer(pair, RECEIPT, ALARM) is None
    for stranger in ("warehouse", "alice", "bank", "regulator"):
        refused = judging(pair, RECEIPT, ALARM, by=stranger)
        assert refused is CommonReason.PERMISSION_DENIED
    assert judging(pair, RECEIPT, ALARM, evidence_hash=EVIDENCE) is BusinessReason.REPORT_MISMATCH
    assert judging(pair, RECEIPT, SHORT) is BusinessReason.WRONG_STATE
    assert judging(pair, RECEIPT, ALARM) is None


@pytest.mark.parametrize("what", ["warehouse", "owner"])
def test_an_administrator_judges_nothing_of_its_own_firm(what: str) -> None:
    pair = furnished()
    logistics.change_receipt(pair, RECEIPT, **{what: "operator"})
    assert post(pair, RECEIPT, alarm="41 C", **_own(pair, what)) is None
    reporter = "operator" if what == "warehouse" else "warehouse"
    assert answer(pair, RECEIPT, ALARM, by=reporter) is None
    for user in ("operator", "operator:checker"):
        assert approve(pair, RECEIPT, ALARM, by=user) is BusinessReason.OWN_FIRM
        assert reject(pair, RECEIPT, ALARM, by=user) is BusinessReason.OWN_FIRM


def _own(pair: Pair, what: str) -> dict[str, Any]:
    """The operator stores goods too, where it is the warehouse."""
    if what != "warehouse":
        return {}
    state = pair.business.ledger.state
    operator = party_of(state, "operator")
    assert operator is not None
    grant = RoleGrant("warehouse", operator.roles[0].until_unix_ms)
    state.put(PARTY, PARTY.key("operator"), replace(operator, roles=(*operator.roles, grant)))
    return {"by": "operator"}


def test_a_newer_alarm_makes_the_answer_to_the_older_one_void(pair: Pair) -> None:
    assert answer(pair, RECEIPT, ALARM) is None
    assert post(pair, RECEIPT, alarm="60 C") is None
    assert approve(pair, RECEIPT, ALARM) is BusinessReason.WRONG_STATE
    found = case(pair, RECEIPT, ALARM)
    assert (found.state, found.answer_hash, found.event_number) == ("OPEN", b"", 2)


@pytest.mark.parametrize("judging", [approve, reject])
def test_a_newer_alarm_is_judged_for_itself_though_the_answer_is_the_same(
    pair: Pair, judging: Callable[..., Reason | None]
) -> None:
    """A judgement that arrives late is of what its signer had seen."""
    assert answer(pair, RECEIPT, ALARM) is None
    assert post(pair, RECEIPT, alarm="60 C") is None
    assert answer(pair, RECEIPT, ALARM) is None
    for other in (0, 1, 3):
        late = judging(pair, RECEIPT, ALARM, event_number=other)
        assert late is BusinessReason.REPORT_MISMATCH, other
    assert judging(pair, RECEIPT, ALARM, event_number=2) is None


def test_a_case_is_lifted_once_every_required_role_approved(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it will be where the goods are pledged: the bank approves too, in whatever order."""
    monkeypatch.setattr(operations, "required_approvals", lambda *_: ("administrator", "bank"))
    assert answer(pair, RECEIPT, ALARM) is None
    assert approve(pair, RECEIPT, ALARM, by="bank") is None
    assert case(pair, RECEIPT, ALARM).state == "ANSWERED"
    assert approve(pair, RECEIPT, ALARM, by="second-bank") is CommonReason.PERMISSION_DENIED
    assert held(pair) == [SHORT, ALARM]
    assert approve(pair, RECEIPT, ALARM) is None
    assert held(pair) == [SHORT]


def test_an_overdue_stock_take_is_made_good_by_counting() -> None:
    pair = furnished()
    pair.advance(OVERDUE_MS)
    assert judge(pair, RECEIPT) is None
    overdue = "stock-take-overdue-0"
    assert answer(pair, RECEIPT, overdue) is None
    assert approve(pair, RECEIPT, overdue) is BusinessReason.STOCK_TAKE_STILL_OVERDUE
    assert post(pair, RECEIPT) is None
    assert approve(pair, RECEIPT, overdue) is None
    assert open_cases(pair, RECEIPT) == ()
    pair.advance(OVERDUE_MS)
    assert judge(pair, RECEIPT) is None
    assert open_cases(pair, RECEIPT) == ("stock-take-overdue-1",)


@pytest.mark.parametrize("kind", ["move", "observation"])
def test_whoever_approves_where_goods_are_expects_them_there(kind: str) -> None:
    pair = furnished()
    assert post(pair, RECEIPT, kind=kind, place="hall 9") is None
    [case_id] = open_cases(pair, RECEIPT)
    assert answer(pair, RECEIPT, case_id) is None
    assert head(pair, RECEIPT).expected_place == logistics.PLACE
    assert approve(pair, RECEIPT, case_id) is None
    assert head(pair, RECEIPT).expected_place == "hall 9"
    assert post(pair, RECEIPT, place="hall 9") is None
    assert open_cases(pair, RECEIPT) == ()


def test_what_is_held_by_a_rule_starts_nothing_on_either_chain(pair: Pair) -> None:
    deal = pair.trade("bob", "alice", lot_id=LOT)
    assert pair.reserve(deal) is None
    pair.carry()
    assert pair.decide(deal) is TransferReason.SUBJECT_HELD
    assert pair.applied_for("receipt-carol") is None
    assert post(pair, "receipt-carol", alarm="41 C") is None
    issue = pair.issuing("receipt-carol", "lot-carol")
    assert pair.reserve(issue) is TransferReason.SUBJECT_HELD


# --- losses -------------------------------------------------------------------------------------


def test_a_confirmed_loss_is_no_longer_missed_and_travels_to_the_asset_chain(pair: Pair) -> None:
    assert report_loss(pair, RECEIPT, 100) is None
    assert confirm_loss(pair, RECEIPT, 100) is None
    assert post(pair, RECEIPT, quantity=900) is None  # what the case said was gone
    assert case(pair, RECEIPT, SHORT).event_number == 1
    assert report_loss(pair, RECEIPT, 50) is None
    assert confirm_loss(pair, RECEIPT, 50) is None
    pair.carry()
    notice = impairment_of(pair.asset.ledger.state, RECEIPT)
    assert notice is not None
    assert (notice.number, notice.quantity, notice.total, notice.valuation) == (2, 50, 150, 0)
    loss = loss_of(pair.business.ledger.state, RECEIPT)
    assert loss is not None
    assert (loss.state, loss.confirmed, loss.impaired) == ("CONFIRMED", 2, 150)
    assert held(pair) == [SHORT, ALARM]  # a loss lifts no hold


@pytest.mark.parametrize("state", [None, *LossState])
@pytest.mark.parametrize("step", ["report", "confirm", "withdraw", "approve", "reject"])
def test_a_loss_can_do_what_its_table_holds_and_nothing_else(
    state: LossState | None, step: str
) -> None:
    pair = furnished()
    if state is not None:
        assert report_loss(pair, RECEIPT, 5) is None
    if state is LossState.CONFIRMED:
        assert confirm_loss(pair, RECEIPT, 5) is None
    if state in {LossState.WITHDRAWING, LossState.WITHDRAWN}:
        assert logistics.withdraw_loss(pair, RECEIPT) is None
    if state is LossState.WITHDRAWN:
        assert logistics.approve_withdrawal(pair, RECEIPT) is None
    steps: dict[str, Callable[[], Reason | None]] = {
        "report": lambda: report_loss(pair, RECEIPT, 5),
        "confirm": lambda: confirm_loss(pair, RECEIPT, 5),
        "withdraw": lambda: logistics.withdraw_loss(pair, RECEIPT),
        "approve": lambda: logistics.approve_withdrawal(pair, RECEIPT),
        "reject": lambda: logistics.reject_withdrawal(pair, RECEIPT),
    }
    done = steps[step]()
    if state is None:
        assert done is (None if step == "report" else CommonReason.NOT_FOUND)
    else:
        reached = LOSS_TRANSITIONS.get((state, step))
        assert done is (None if reached else BusinessReason.WRONG_STATE)
        loss = loss_of(pair.business.ledger.state, RECEIPT)
        assert loss is not None
        assert loss.state == (reached or state)


def test_a_loss_is_confirmed_by_another_firm_exactly_as_reported(pair: Pair) -> None:
    for quantity in (0, -1, RECEIPT_UNITS + 1):
        assert report_loss(pair, RECEIPT, quantity) is BusinessReason.LOSS_EXCEEDS_GOODS
    assert report_loss(pair, RECEIPT, 90) is None
    assert report_loss(pair, RECEIPT, 100) is None  # corrects the one before
    assert confirm_loss(pair, RECEIPT, 90) is BusinessReason.REPORT_MISMATCH
    assert confirm_loss(pair, RECEIPT, 100, evidence=ANSWER) is BusinessReason.REPORT_MISMATCH
    for stranger in ("warehouse", "alice", "bank"):
        refused = confirm_loss(pair, RECEIPT, 100, by=stranger)
        assert refused is CommonReason.PERMISSION_DENIED
    assert confirm_loss(pair, RECEIPT, 100) is None
    left = RECEIPT_UNITS - 100
    assert report_loss(pair, RECEIPT, left + 1) is BusinessReason.LOSS_EXCEEDS_GOODS
    assert report_loss(pair, RECEIPT, left) is None


def test_an_administrator_confirms_no_loss_of_its_own_goods() -> None:
    pair = furnished()
    logistics.change_receipt(pair, RECEIPT, owner="operator")
    assert report_loss(pair, RECEIPT, 5) is None
    assert confirm_loss(pair, RECEIPT, 5) is BusinessReason.OWN_FIRM


def test_a_loss_of_a_receipt_without_a_lot_is_recorded_on_its_root(pair: Pair) -> None:
    assert report_loss(pair, "receipt-carol", 10) is None
    assert confirm_loss(pair, "receipt-carol", 10) is None
    pair.complete(pair.issue("receipt-carol", "lot-carol"))
    notice = impairment_of(pair.asset.ledger.state, "receipt-carol")
    assert notice is not None
    assert notice.total == 10


NOTICE = ImpairmentNotice(RECEIPT, 1, 10, 10, 0, EVIDENCE, 5)
WRONG: list[dict[str, Any]] = [
    {"receipt_id": "a/b"}, {"number": 2}, {"number": 0}, {"quantity": 0, "total": 0},
    {"total": 11}, {"quantity": -1, "total": -1}, {"valuation": 1}, {"evidence_hash": b""},
    {"quantity": RECEIPT_UNITS + 1, "total": RECEIPT_UNITS + 1},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_a_loss_that_cannot_be_is_recorded_as_rejected(
    wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The books send what no rule of theirs would; the freeze after it is applied all the same."""
    pair = furnished()
    monkeypatch.setattr(operations, "ImpairmentNotice", lambda *_: replace(NOTICE, **wrong))
    assert report_loss(pair, RECEIPT, 10) is None
    assert confirm_loss(pair, RECEIPT, 10) is None
    pair.hold("receipt", RECEIPT)
    pair.carry()
    told = [
        decode(AppliedMessage, event.payload)
        for event in pair.asset.events(pair.asset.height, "message-applied")
    ]
    assert [(one.kind, one.code == 0) for one in told] == [("impairment", False), ("hold", True)]
    assert impairment_of(pair.asset.ledger.state, RECEIPT) is None


# --- what must always hold ----------------------------------------------------------------------


def test_a_case_without_its_hold_is_seen(pair: Pair) -> None:
    assert answer(pair, RECEIPT, ALARM) is None
    assert report_loss(pair, RECEIPT, 5) is None
    state = pair.business.ledger.state
    found, reached = case(pair, RECEIPT, ALARM), head(pair, RECEIPT)
    loss = loss_of(state, RECEIPT)
    assert loss is not None
    key, loss_key = CASE.key(RECEIPT, ALARM), LOSS.key(RECEIPT)
    tampered: list[Callable[[Any], None]] = [
        lambda state: state.delete(HOLD, HOLD.key("receipt", RECEIPT)),
        lambda state: state.delete(CASE, key),
        lambda state: state.put(CASE, key, replace(found, state="OPEN")),
        lambda state: state.put(CASE, key, replace(found, state="LIFTED")),
        lambda state: state.put(CASE, key, replace(found, rule="wrong-place")),
        lambda state: state.put(HEAD, HEAD.key(RECEIPT), replace(reached, open_cases=())),
        lambda state: state.put(LOSS, loss_key, replace(loss, impaired=RECEIPT_UNITS)),
        lambda state: state.put(LOSS, loss_key, replace(loss, quantity=0)),
    ]
    for tamper in tampered:
        twin = pair.twin()
        tamper(twin.business.ledger.state)
        chain = twin.business.chain
        assert [
            one
            for name in chain.invariants
            for one in chain.invariants[name](twin.business.ledger.state)
        ]
    twin = pair.twin()
    huge = replace(NOTICE, total=RECEIPT_UNITS + 1)
    twin.asset.ledger.state.put(IMPAIRMENT, IMPAIRMENT.key(RECEIPT), huge)
    chain = twin.asset.chain
    assert chain.invariants["losses are within their lots"](twin.asset.ledger.state)
