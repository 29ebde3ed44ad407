"""What a party may do is judged by its grade and the policy in force, on both chains (B12)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.chain import CHAIN as ASSET_CHAIN
from assetchain.contracts.grades.operations import MESSAGES
from assetchain.reasons import AssetReason
from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.chain import CHAIN as BUSINESS_CHAIN
from bizchain.contracts.authority.queries import change_of
from bizchain.contracts.grades.operations import NEVER_GRADED
from bizchain.contracts.grades.types import GradeWarning
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.encoding import decode, encode
from common.errors import CommonReason, Reason, Refused
from common.ledger.grades import (
    CREDIT_PERMISSIONS,
    DAY_MS,
    GRADE,
    GRADES,
    POLICY_FORMAT,
    POLICY_TABLE,
    UNRATED,
    Grade,
    Policy,
    PolicyRow,
    check_policy,
    grade_of,
    is_at_least,
)
from common.ledger.versions import VERSION, Enactment, content_hash, version_key
from relay.audit.findings import Violated
from relay.audit.pair import check_pair
from tests.kit import authority as a
from tests.kit.council import Council
from tests.kit.pair import Pair, furnished


@pytest.fixture
def pair() -> Pair:
    return furnished()


def pay(pair: Pair, by: str, at: int | None = None) -> Reason | None:
    operation = pb.PayCash(payee="carol", currency="EUR", amount=1)
    return pair.business.do(by, pay_cash=operation, at=at)


def move(pair: Pair, by: str, at: int | None = None) -> Reason | None:
    operation = MoveTitle(lot_id=f"lot-{by}", receiver="carol", quantity=1)
    return pair.asset.do(by, move_title=operation, at=at)


def put_to_the_vote(pair: Pair, policy: Policy, name: str = CREDIT_PERMISSIONS) -> Reason | None:
    council = Council(pair)
    fields: dict[str, Any] = {"content": encode(policy), "proposer": "core"}
    return council.propose(council.proposal(POLICY_TABLE, name, **fields))


def broken(pair: Pair) -> list[str]:
    return [
        violation.message
        for side in pair.sides
        for judge in side.chain.invariants.values()
        for violation in judge(side.ledger.state)
    ]


# --- judging ------------------------------------------------------------------------------------


def test_a_kind_is_open_to_the_grades_whose_rows_name_it_and_to_no_other(pair: Pair) -> None:
    both = ("move_title", "pay_cash")
    a.in_force(pair, 1, {"BBB": both, "A": both, "D": ()})
    a.grade(pair, "alice", "BBB")
    a.grade(pair, "bob", "D")
    assert pay(pair, "alice") is None
    assert move(pair, "alice") is None
    assert pay(pair, "bob") is BusinessReason.GRADE_TOO_LOW
    assert move(pair, "bob") is AssetReason.GRADE_TOO_LOW
    a.in_force(pair, 2, {"D": both})
    assert pay(pair, "bob") is None
    assert move(pair, "bob") is None
    assert pay(pair, "alice") is BusinessReason.GRADE_TOO_LOW
    assert broken(pair) == []


def test_a_kind_that_no_row_names_is_open_to_all(pair: Pair) -> None:
    a.in_force(pair, 1, {UNRATED: (), "AAA": ("X1",)})
    assert pay(pair, "bob") is None
    assert move(pair, "bob") is None


def test_unrated_is_a_grade_of_its_own(pair: Pair) -> None:
    """A policy can open to it what it closes to the worst, and the other way round."""
    a.in_force(pair, 1, {UNRATED: ("pay_cash",)})
    a.grade(pair, "alice", "AAA")
    assert pay(pair, "bob") is None
    assert pay(pair, "alice") is BusinessReason.GRADE_TOO_LOW


def test_a_grade_is_in_force_until_its_moment_on_both_chains(pair: Pair) -> None:
    a.in_force(pair, 1, {"A": ("move_title", "pay_cash")})
    until = pair.business.now + 20_000
    a.grade(pair, "alice", "A", until)
    assert pay(pair, "alice", at=until - 1) is None
    assert pay(pair, "alice", at=until) is BusinessReason.GRADE_TOO_LOW
    assert move(pair, "alice", at=until - 1) is None
    assert move(pair, "alice", at=until) is AssetReason.GRADE_TOO_LOW


def test_within_a_block_the_newest_grade_and_policy_count(pair: Pair) -> None:
    books = pair.business
    a.in_force(pair, 1, {"A": ("pay_cash",)})
    assert a.begin(pair, "set_grade", party="bob", grade="A") is None
    payment = pb.PayCash(payee="carol", currency="EUR", amount=1)
    raws = [
        books.compose("bob", pay_cash=payment).raw,
        books.compose(
            a.CHECKER, approve_party_change=pb.ApprovePartyChange(change_id="change-1")
        ).raw,
        books.compose("bob", pay_cash=payment).raw,
    ]
    codes = [receipt.code for receipt in books.block(*raws).receipts]
    assert codes == [BusinessReason.GRADE_TOO_LOW.number, 0, 0]


def test_an_issue_is_refused_by_a_low_grade(pair: Pair) -> None:
    """F4. The judgement falls when the leg is consented to, on each chain for its own owners."""
    a.in_force(pair, 1, {"A": ("X1",)})
    assert pair.reserve(pair.issue("receipt-carol", "lot-c")) is BusinessReason.GRADE_TOO_LOW
    a.grade(pair, "carol", "A")
    deal = pair.issue("receipt-carol", "lot-c")
    assert pair.reserve(deal) is None
    a.grade(pair, "carol", "D")
    assert pair.decide(deal) is AssetReason.GRADE_TOO_LOW
    a.grade(pair, "carol", "A")
    assert pair.decide(deal) is None


def test_each_side_of_a_trade_is_judged_where_its_leg_is(pair: Pair) -> None:
    a.in_force(pair, 1, {"A": ("X2",)})
    deal = pair.trade("bob", "alice", lot_id="lot-alice")
    assert pair.reserve(deal) is BusinessReason.GRADE_TOO_LOW
    a.grade(pair, "bob", "A")
    deal = pair.trade("bob", "alice", lot_id="lot-alice")
    assert pair.reserve(deal) is None
    pair.carry()
    assert pair.decide(deal) is AssetReason.GRADE_TOO_LOW
    a.grade(pair, "alice", "A")
    assert pair.decide(deal) is None


def test_what_is_decided_settles_whatever_the_grade_became(pair: Pair) -> None:
    deal = pair.trade("bob", "alice", lot_id="lot-alice")
    assert pair.reserve(deal) is None
    pair.carry()
    assert pair.decide(deal) is None
    a.in_force(pair, 1, {"AAA": ("X2",)})
    assert pair.settle(deal) is None


# --- the order of grades ------------------------------------------------------------------------


def test_a_better_grade_is_at_least_a_worse_one_and_unrated_is_none_of_them() -> None:
    ranked = [*GRADES, UNRATED]
    for place, grade in enumerate(ranked):
        for other_place, other in enumerate(ranked):
            assert is_at_least(grade, other) == (place <= other_place)
    assert not is_at_least(UNRATED, "D")


def test_a_fall_below_the_threshold_is_a_warning_and_a_rise_is_none(pair: Pair) -> None:
    a.in_force(pair, 1, {}, warning_below="BBB")
    seen: list[tuple[str, str]] = []
    for letters in ("A", "BBB", "BB", "C", "AAA", "D"):
        a.make(pair, "set_grade", change_id=f"to-{letters.lower()}", grade=letters)
        for event in pair.business.events(pair.business.height, "warning"):
            warning = decode(GradeWarning, event.payload)
            assert (warning.party_id, warning.warning_below) == ("bob", "BBB")
            seen.append((warning.before, warning.after))
    assert seen == [("BBB", "BB"), ("AAA", "D")]


def test_a_first_grade_below_the_threshold_is_a_warning(pair: Pair) -> None:
    a.in_force(pair, 1, {}, warning_below="BBB")
    a.make(pair, "set_grade", grade="CCC")
    [event] = pair.business.events(pair.business.height, "warning")
    assert decode(GradeWarning, event.payload).before == UNRATED


# --- versions -----------------------------------------------------------------------------------


def test_a_policy_is_in_force_from_the_height_that_was_voted_on_both_chains(pair: Pair) -> None:
    council = Council(pair)
    begins = pair.business.height + 6
    closed = encode(a.policy({"A": ("move_title", "pay_cash")}))
    fields: dict[str, Any] = {"content": closed, "activation_height": begins, "proposer": "core"}
    council.decide(POLICY_TABLE, CREDIT_PERMISSIONS, **fields)
    while pair.business.height + 1 < begins:
        assert pay(pair, "bob") is None
    assert pay(pair, "bob") is BusinessReason.GRADE_TOO_LOW
    assert move(pair, "bob") is None
    pair.carry()
    assert move(pair, "bob") is AssetReason.GRADE_TOO_LOW


def test_no_person_of_a_firm_puts_a_policy_in_force(pair: Pair) -> None:
    """The two operations that could are gone, and their numbers stay taken."""
    operation = pb.Operation.DESCRIPTOR
    assert not {"propose_policy", "approve_policy"} & set(operation.fields_by_name)
    assert not {68, 69} & set(operation.fields_by_number)
    assert "policy" not in MESSAGES
    taken = {reason.number for reason in BusinessReason}
    assert not {1020, 1021} & taken


@pytest.mark.parametrize(
    ("rows", "changed"),
    [
        ({}, {"format": 0}), ({}, {"format": POLICY_FORMAT + 1}), ({"Z": ()}, {}),
        ({"A": ("a b",)}, {}), ({"A": ("",)}, {}), ({"A": ("x" * 41,)}, {}),
        ({"A": tuple(f"kind_{n}" for n in range(65))}, {}),
        ({}, {"rows": (PolicyRow("A", ()),) * 2}),
        ({}, {"rows": (PolicyRow("A", ("X2", "X1")),)}),
        ({}, {"rows": (PolicyRow("A", ("X1", "X1")),)}),
        ({}, {"warning_below": "UNRATED"}), ({}, {"recovery_waiting_ms": DAY_MS - 1}),
        ({}, {"recovery_waiting_ms": 2**50}),
    ],
    ids=str,
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_not_put_to_the_vote(
    pair: Pair, rows: dict[str, tuple[str, ...]], changed: dict[str, Any]
) -> None:
    assert put_to_the_vote(pair, a.policy(rows, **changed)) is CommonReason.INVALID_ARGUMENT


def test_a_policy_has_one_name_and_content_that_can_be_read(pair: Pair) -> None:
    content = encode(a.policy({}))
    for name, said in (("other", content), (CREDIT_PERMISSIONS, content + b"x")):
        with pytest.raises(Refused):
            check_policy(name, said)
    assert put_to_the_vote(pair, a.policy({}), "other") is CommonReason.INVALID_ARGUMENT
    assert put_to_the_vote(pair, a.policy({})) is None


@pytest.mark.parametrize("kind", sorted(NEVER_GRADED))
def test_no_policy_locks_the_platform_out_of_its_own_office(pair: Pair, kind: str) -> None:
    assert put_to_the_vote(pair, a.policy({"AAA": (kind,)})) is CommonReason.INVALID_ARGUMENT


def test_the_office_claims_and_retreats_are_all_that_is_never_graded() -> None:
    """The rest of what is signed on either chain can be opened by grade."""
    assert BUSINESS_CHAIN.rules.keys() | ASSET_CHAIN.rules.keys() >= NEVER_GRADED
    signed = {
        name for chain in (BUSINESS_CHAIN, ASSET_CHAIN)
        for name, rule in chain.rules.items() if rule.signed
    }  # fmt: skip
    assert signed - NEVER_GRADED == {
        "cancel_receipt", "deposit_cash", "issue_receipt", "move_title", "pay_cash",
        "record_document", "reject_receipt", "report_receipt", "withdraw_cash",
        "post_event", "judge_overdue", "report_loss",
        "propose_handover", "accept_handover", "propose_delivery", "accept_delivery",
        "register_reading_key", "record_sealed_document", "grant_reading",
        "match_invoice", "accept_invoice", "reject_invoice",
        "list_lot", "request_exit", "value_receipt", "apply_for_asset", "confirm_goods",
    }  # fmt: skip


def test_a_recovery_waits_as_long_as_the_policy_says(pair: Pair) -> None:
    a.in_force(pair, 1, {}, recovery_waiting_ms=90_000_000)
    assert a.begin(pair, "recover_key") is None
    assert a.approve(pair) is None
    change = change_of(pair.business.ledger.state, "change-1")
    assert change is not None
    assert change.due_unix_ms == pair.business.now + 90_000_000


# --- both chains --------------------------------------------------------------------------------


def test_grades_and_policy_of_the_asset_chain_are_those_of_the_books(pair: Pair) -> None:
    a.in_force(pair, 3, {"A": ("X1",)})
    a.grade(pair, "bob", "AA")
    for side in pair.sides:
        assert grade_of(side.ledger.state, "bob", side.now) == "AA"
        assert grade_of(side.ledger.state, "alice", side.now) == UNRATED
    check_pair(pair.business.ledger, pair.asset.ledger)
    state = pair.asset.ledger.state
    kept = state.get(GRADE, GRADE.key("bob"))
    assert kept is not None
    state.put(GRADE, GRADE.key("bob"), replace(kept, grade="D"))
    with pytest.raises(Violated, match="grades"):
        check_pair(pair.business.ledger, pair.asset.ledger)
    state.put(GRADE, GRADE.key("bob"), kept)
    [(key, row), *_] = list(state.scan(VERSION))
    other = encode(a.policy({"A": ("X2",)}))
    state.put(VERSION, key, replace(row, content=other, content_hash=content_hash(other)))
    with pytest.raises(Violated, match="versions"):
        check_pair(pair.business.ledger, pair.asset.ledger)


@pytest.mark.parametrize(
    "grade", [Grade("bob", "Z", 1, "x"), Grade("a/b", "A", 1, "x"), Grade("bob", "A", 2**60, "x")]
)
def test_a_grade_that_makes_no_sense_is_rejected_and_stops_nothing(
    pair: Pair, grade: Grade
) -> None:
    context = pair.asset.ledger.context(pair.asset.height + 1, pair.asset.now + 1)
    with pytest.raises(Refused):
        MESSAGES["grade"].check(context, grade)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (CREDIT_PERMISSIONS, b""),
        (CREDIT_PERMISSIONS, b"policy"),
        (CREDIT_PERMISSIONS, encode(a.policy({"Z": ()}))),
        (CREDIT_PERMISSIONS, encode(a.policy({}, format=2))),
        ("other", encode(a.policy({}))),
    ],
)
def test_a_policy_the_asset_chain_could_not_judge_by_is_rejected_there(
    pair: Pair, name: str, content: bytes
) -> None:
    context = pair.asset.ledger.context(pair.asset.height + 1, pair.asset.now + 1)
    rule = ASSET_CHAIN.messages["parameter"]
    with pytest.raises(Refused):
        rule.check(context, Enactment(POLICY_TABLE, name, 1, 0, content, bytes(32)))


@pytest.mark.parametrize("chain", [0, 1])
def test_a_grade_or_a_policy_that_nobody_set_is_found(pair: Pair, chain: int) -> None:
    a.in_force(pair, 1, {"A": ("X1",)})
    assert broken(pair) == []
    state = pair.sides[chain].ledger.state
    [(row_key, row)] = list(state.scan(VERSION))
    unread = encode(a.policy({"Z": ()}))
    forged: list[tuple[Any, bytes, Any]] = [
        (GRADE, GRADE.key("bob"), Grade("bob", "Z", 1, "x")),
        (GRADE, GRADE.key("bob"), Grade("alice", "A", 1, "x")),
        (VERSION, row_key, replace(row, content=unread, content_hash=content_hash(unread))),
        (VERSION, version_key(POLICY_TABLE, CREDIT_PERMISSIONS, 1), row),
    ]
    for table, key, value in forged:
        kept = state.get(table, key)
        state.put(table, key, value)
        assert broken(pair), key
        if kept is None:
            state.delete(table, key)
        else:
            state.put(table, key, kept)
    assert broken(pair) == []


def test_a_well_formed_policy_passes_its_own_check() -> None:
    rows = (PolicyRow(UNRATED, ()), PolicyRow("A", ("X1", "pay_cash")))
    policy = Policy(POLICY_FORMAT, rows, "B", DAY_MS)
    assert check_policy(CREDIT_PERMISSIONS, encode(policy)) == policy
