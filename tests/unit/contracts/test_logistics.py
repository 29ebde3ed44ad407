"""What is seen of the goods: the chain of events, the seven rules, handovers by two signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from bizchain.contracts.incidents.types import RULE_AUTHORITY, WatchRule
from bizchain.contracts.logistics.keys import GOODS_EVENT, HEAD, SSCC
from bizchain.contracts.logistics.queries import (
    EVENTS_KEPT,
    RULES,
    claim_of,
    origin_of,
)
from bizchain.contracts.logistics.types import (
    POSTED_KINDS,
    GoodsEvent,
    event_hash,
    origin_hash,
)
from bizchain.contracts.receipts.types import ReceiptState
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.amount import AMOUNT_MAX
from common.encoding import decode
from common.errors import CommonReason, Reason, TransferReason
from common.ledger.chain import Violation
from common.ledger.holds import holds_of
from tests.kit import logistics
from tests.kit.council import Council
from tests.kit.logistics import (
    EVIDENCE,
    HAULIER,
    OTHER_SSCC,
    OVERDUE_MS,
    PLACE,
    hand,
    head,
    judge,
    open_cases,
    post,
    take,
)
from tests.kit.logistics import (
    SSCC as CODE,
)
from tests.kit.pair import RECEIPT_UNITS, Pair, furnished

ISSUED, TOKENISED = "receipt-carol", "receipt-alice"


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Furnished, with a carrier; at the end everything that must hold does."""
    made = furnished()
    made.join(HAULIER, "carrier")
    yield made
    made.carry()
    assert broken(made) == []


def broken(pair: Pair) -> list[Violation]:
    return [
        violation
        for side in pair.sides
        for invariant in side.chain.invariants.values()
        for violation in invariant(side.ledger.state)
    ]


def held(pair: Pair, receipt_id: str, side: str = "business") -> list[str]:
    """Case numbers of the holds that rules placed."""
    state = getattr(pair, side).ledger.state
    return [
        hold.case_id
        for hold in holds_of(state, "receipt", receipt_id)
        if hold.authority == RULE_AUTHORITY
    ]


def events_of(pair: Pair, receipt_id: str) -> list[GoodsEvent]:
    return [event for _, event in pair.business.ledger.state.scan(GOODS_EVENT, receipt_id, b"")]


# --- the chain of events ------------------------------------------------------------------------


def test_events_form_a_chain_that_begins_with_the_report(pair: Pair) -> None:
    for kind in POSTED_KINDS:
        assert post(pair, ISSUED, kind=kind, place=PLACE) is None
    events = events_of(pair, ISSUED)
    assert [event.number for event in events] == list(range(1, len(POSTED_KINDS) + 1))
    before = origin_hash(origin_of(pair.receipt_of(ISSUED)))
    for event in events:
        assert event.previous_hash == event.named_hash == before
        before = event_hash(event)
    assert head(pair, ISSUED).hash == before
    assert open_cases(pair, ISSUED) == ()


def test_the_newest_events_are_kept_and_all_of_them_are_in_the_blocks(pair: Pair) -> None:
    count = EVENTS_KEPT + 3
    begun = pair.business.height
    for _ in range(count):
        assert post(pair, ISSUED) is None
    assert [event.number for event in events_of(pair, ISSUED)] == list(range(4, count + 1))
    told = [
        decode(GoodsEvent, event.payload)
        for height in range(begun + 1, pair.business.height + 1)
        for event in pair.business.events(height, "goods-event")
    ]
    assert [event.number for event in told] == list(range(1, count + 1))
    assert event_hash(told[-1]) == head(pair, ISSUED).hash


def test_an_event_says_what_the_head_is_afterwards(pair: Pair) -> None:
    assert post(pair, ISSUED, quantity=RECEIPT_UNITS - 1) is None
    assert post(pair, ISSUED, kind="move", place="hall 5", quantity=3) is None
    reached = head(pair, ISSUED)
    assert (reached.count, reached.place, reached.expected_place) == (2, "hall 5", "hall 5")
    assert reached.quantity == RECEIPT_UNITS - 1  # three of them moved; nobody counted the rest
    assert reached.custodian == "warehouse"


def test_an_event_that_was_overtaken_is_made_again(pair: Pair) -> None:
    """Two who post at once: nothing is held for it."""
    begun = head(pair, ISSUED).hash
    assert post(pair, ISSUED) is None
    for named in (begun, head(pair, ISSUED).hash):
        expected = BusinessReason.EVENT_CHAIN_MOVED if named == begun else None
        assert post(pair, ISSUED, previous_hash=named) is expected
    assert open_cases(pair, ISSUED) == ()


def test_events_are_of_the_warehouse_and_of_whoever_has_the_goods(pair: Pair) -> None:
    assert post(pair, ISSUED, by=HAULIER) is BusinessReason.NOT_THE_CUSTODIAN
    assert hand(pair, ISSUED) is None
    assert post(pair, ISSUED, by=HAULIER) is BusinessReason.NOT_THE_CUSTODIAN
    assert take(pair, ISSUED) is None
    for poster in (HAULIER, "warehouse"):
        assert post(pair, ISSUED, by=poster, kind="observation", place="gate 1") is None


@pytest.mark.parametrize("state", list(ReceiptState))
def test_goods_are_watched_while_they_are_there(state: ReceiptState) -> None:
    pair = furnished()
    logistics.change_receipt(pair, ISSUED, state=state.value)
    gone = {
        ReceiptState.REJECTED, ReceiptState.CANCELLED, ReceiptState.DELIVERED,
        ReceiptState.SUPERSEDED,
    }  # fmt: skip
    refused = BusinessReason.WRONG_STATE if state in gone else None
    assert post(pair, ISSUED) is refused


WRONG: list[dict[str, Any]] = [
    {"kind": "handover"}, {"kind": ""}, {"kind": "Move"}, {"place": ""}, {"place": "x" * 101},
    {"quantity": None}, {"quantity": None, "kind": "commission"}, {"alarm": "x" * 101},
    {"event_unix_ms": 0}, {"event_unix_ms": -1}, {"previous_hash": bytes(31)},
    {"evidence_hash": b""}, {"ssccs": ["1" * 18]}, {"ssccs": [CODE[:17]]},
    {"ssccs": [OTHER_SSCC, CODE]}, {"ssccs": [CODE, CODE]}, {"ssccs": ["３" * 18]},
    {"ssccs": [f"{n:017}{(-3 * sum(map(int, str(n)))) % 10}" for n in range(33)]},
]  # fmt: skip


@pytest.mark.parametrize("changed", WRONG, ids=str)
def test_an_event_that_is_not_whole_is_refused(pair: Pair, changed: dict[str, Any]) -> None:
    assert post(pair, ISSUED, **changed) is CommonReason.INVALID_ARGUMENT


def test_a_quantity_is_an_amount(pair: Pair) -> None:
    for kind in ("stock-take", "move"):
        refused = post(pair, ISSUED, quantity=-1, kind=kind)
        assert refused is CommonReason.AMOUNT_OUT_OF_RANGE
    assert post(pair, ISSUED, quantity=AMOUNT_MAX) is None


def test_an_event_is_not_of_the_future(pair: Pair) -> None:
    """At its own millisecond it has happened."""
    event = logistics.seen(pair, ISSUED, event_unix_ms=pair.business.now + 1_000)
    due = event.event_unix_ms
    early = pair.business.do("warehouse", post_event=event, at=due - 1)
    assert early is BusinessReason.EVENT_IN_THE_FUTURE
    assert pair.business.do("warehouse", post_event=event, at=due) is None


# --- the seven rules ----------------------------------------------------------------------------

Doing = Callable[[Pair], Reason | None]


def _twice(pair: Pair) -> Reason | None:
    assert post(pair, TOKENISED, ssccs=[CODE]) is None
    return post(pair, ISSUED, ssccs=[CODE, OTHER_SSCC])


FIRING: dict[WatchRule, tuple[str, Doing]] = {
    WatchRule.MOVED: (TOKENISED, lambda pair: post(pair, TOKENISED, kind="move", place="gate")),
    WatchRule.SHORT: (ISSUED, lambda pair: post(pair, ISSUED, quantity=994)),
    WatchRule.OVERDUE: (ISSUED, lambda pair: judge(_late(pair), ISSUED)),
    WatchRule.MISPLACED: (ISSUED, lambda pair: post(pair, ISSUED, place="hall 5")),
    WatchRule.ALARM: (ISSUED, lambda pair: post(pair, ISSUED, kind="sensor", alarm="41 C")),
    WatchRule.GAP: (ISSUED, lambda pair: post(pair, ISSUED, previous_hash=EVIDENCE)),
    WatchRule.TWICE: (ISSUED, _twice),
}
QUIET: dict[str, Doing] = {
    "moved before there is a lot": lambda pair: post(pair, ISSUED, kind="move", place="gate"),
    "as much missing as may be": lambda pair: post(pair, ISSUED, quantity=995),
    "a part is packed": lambda pair: post(pair, ISSUED, kind="aggregation", quantity=1),
    "not overdue yet": lambda pair: post(_late(pair, 60_000), ISSUED),
    "counted where it was moved": lambda pair: (
        post(pair, ISSUED, kind="move", place="gate") or post(pair, ISSUED, place="gate")
    ),
    "one container with its receipt": lambda pair: (
        post(pair, ISSUED, ssccs=[CODE])
        or post(pair, ISSUED, ssccs=[CODE], kind="move", place="gate")
        or post(pair, ISSUED, ssccs=[CODE], place="gate")
    ),
}


def _late(pair: Pair, before_ms: int = 0) -> Pair:
    pair.advance(OVERDUE_MS - before_ms)
    return pair


def test_there_are_seven_rules_and_each_has_its_example() -> None:
    assert RULES.keys() == FIRING.keys() == set(WatchRule)
    assert len(RULES) == 7


@pytest.mark.parametrize("rule", WatchRule)
def test_a_rule_fires_alone_and_holds_the_receipt_on_both_chains(
    pair: Pair, rule: WatchRule
) -> None:
    receipt_id, doing = FIRING[rule]
    assert doing(pair) is None
    [case_id] = open_cases(pair, receipt_id)
    found = logistics.case(pair, receipt_id, case_id)
    assert (found.rule, found.state) == (rule, "OPEN")
    assert case_id == f"{rule}-{found.event_number}"
    [hold] = holds_of(pair.business.ledger.state, "receipt", receipt_id)
    assert (hold.authority, hold.case_id) == (RULE_AUTHORITY, case_id)
    assert rule in hold.ground
    assert found.evidence_hash.hex() in hold.ground
    pair.carry()
    assert held(pair, receipt_id, "asset") == [case_id]


@pytest.mark.parametrize("what", QUIET)
def test_what_is_in_order_fires_nothing(pair: Pair, what: str) -> None:
    assert QUIET[what](pair) is None
    assert open_cases(pair, ISSUED) == ()


def test_goods_that_are_about_to_be_a_lot_have_moved_too(pair: Pair) -> None:
    """The transfer was not decided yet: it is refused, and the receipt stays where it was."""
    deal = pair.issue(ISSUED, "lot-carol")
    assert pair.reserve(deal) is None
    assert post(pair, ISSUED, kind="move", place="gate") is None
    assert open_cases(pair, ISSUED) == ("moved-while-tokenised-1",)
    pair.carry()
    assert pair.decide(deal) is TransferReason.SUBJECT_HELD


def test_no_rule_keeps_an_event_out(pair: Pair) -> None:
    """All at once, on goods that are held already."""
    pair.hold("receipt", TOKENISED)
    _late(pair)
    assert post(pair, ISSUED, ssccs=[CODE]) is None
    worst: dict[str, Any] = {
        "kind": "commission",
        "quantity": 0,
        "place": "sea",
        "alarm": "water",
        "ssccs": [CODE],
    }
    assert post(pair, TOKENISED, **worst, previous_hash=EVIDENCE) is None
    assert post(pair, TOKENISED, kind="move", place="port") is None
    assert {one.rpartition("-")[0] for one in open_cases(pair, TOKENISED)} == set(WatchRule)
    assert head(pair, TOKENISED).count == 2


def test_a_rule_that_fires_again_makes_its_case_new(pair: Pair) -> None:
    """A receipt carries at most one hold for each rule, however often it fires."""
    for quantity in range(70):
        assert post(pair, ISSUED, quantity=quantity) is None
    [case_id] = open_cases(pair, ISSUED)
    assert case_id == "quantity-below-tolerance-1"
    assert held(pair, ISSUED) == [case_id]
    assert logistics.case(pair, ISSUED, case_id).event_number == 70


def test_a_stock_take_is_overdue_from_its_own_millisecond_on(pair: Pair) -> None:
    counted = pair.business.now
    assert post(pair, ISSUED, event_unix_ms=counted) is None
    operation = pb.JudgeOverdue(receipt_id=ISSUED)
    early = pair.business.do("bob", judge_overdue=operation, at=counted + OVERDUE_MS - 1)
    assert early is BusinessReason.STOCK_TAKE_NOT_OVERDUE
    assert pair.business.do("bob", judge_overdue=operation, at=counted + OVERDUE_MS) is None
    again = pair.business.do("carol", judge_overdue=operation)
    assert again is BusinessReason.CASE_OPEN


def test_a_stock_take_of_long_ago_counts_from_then(pair: Pair) -> None:
    _late(pair)
    assert post(pair, ISSUED, event_unix_ms=pair.business.now - OVERDUE_MS) is None
    assert judge(pair, ISSUED) is None


def test_any_event_but_a_stock_take_tells_that_one_is_overdue(pair: Pair) -> None:
    _late(pair)
    twin = pair.twin()
    assert post(twin, ISSUED) is None
    assert open_cases(twin, ISSUED) == ()
    assert post(pair, ISSUED, kind="observation") is None
    assert open_cases(pair, ISSUED) == ("stock-take-overdue-1",)


def test_what_is_overdue_stays_the_same_case_however_many_events_tell_it(pair: Pair) -> None:
    """So that an answer is not made void by the next look at the goods."""
    _late(pair)
    assert judge(pair, ISSUED) is None
    [case_id] = open_cases(pair, ISSUED)
    assert logistics.answer(pair, ISSUED, case_id) is None
    assert post(pair, ISSUED, kind="observation") is None
    assert logistics.case(pair, ISSUED, case_id).state == "ANSWERED"


def test_nobody_takes_anothers_container_by_naming_it(pair: Pair) -> None:
    """It stays with who named it first, until the goods of that receipt are gone."""
    state = pair.business.ledger.state
    assert post(pair, ISSUED, ssccs=[CODE]) is None
    assert post(pair, TOKENISED, ssccs=[CODE]) is None
    claim = claim_of(state, CODE, TOKENISED)
    assert claim is not None
    assert claim.receipt_id == ISSUED
    assert open_cases(pair, ISSUED) == ()
    assert pair.business.do("carol", cancel_receipt=pb.CancelReceipt(receipt_id=ISSUED)) is None
    assert claim_of(state, CODE, TOKENISED) is None
    assert post(pair, TOKENISED, ssccs=[CODE], kind="observation") is None
    assert state.get(SSCC, SSCC.key(CODE)) == replace(claim, receipt_id=TOKENISED)


def test_a_container_that_is_elsewhere_without_having_moved_is_in_two_places(pair: Pair) -> None:
    assert post(pair, ISSUED, ssccs=[CODE]) is None
    assert post(pair, ISSUED, kind="move", place="gate") is None
    assert post(pair, ISSUED, place="gate", ssccs=[CODE]) is None
    assert open_cases(pair, ISSUED) == ("sscc-in-two-places-3",)


# --- what must always hold ----------------------------------------------------------------------


def test_a_tampered_chain_of_events_is_seen(pair: Pair) -> None:
    for _ in range(3):
        assert post(pair, ISSUED, ssccs=[CODE]) is None
    assert hand(pair, ISSUED) is None
    assert take(pair, ISSUED) is None
    state = pair.business.ledger.state
    reached = head(pair, ISSUED)
    key, event = next(iter(state.scan(GOODS_EVENT, ISSUED, b"")))
    tampered: list[Callable[[Any], None]] = [
        lambda state: state.delete(GOODS_EVENT, key),
        lambda state: state.put(GOODS_EVENT, key, replace(event, place="elsewhere")),
        lambda state: state.put(HEAD, HEAD.key(ISSUED), replace(reached, count=5)),
        lambda state: state.put(HEAD, HEAD.key(ISSUED), replace(reached, hash=EVIDENCE)),
        lambda state: state.put(HEAD, HEAD.key(ISSUED), replace(reached, custodian="bob")),
        lambda state: state.put(HEAD, HEAD.key("receipt-none"), reached),
        lambda state: state.delete(HEAD, HEAD.key(ISSUED)),
    ]
    for tamper in tampered:
        twin = pair.twin()
        tamper(twin.business.ledger.state)
        assert broken(twin)


# --- limits by vote -----------------------------------------------------------------------------


def test_what_the_rules_allow_is_voted_and_counts_from_its_height_on() -> None:
    council = Council.new()
    pair = council.pair
    pair.receipt(ISSUED, "carol")
    assert post(pair, ISSUED, quantity=900) is None
    assert open_cases(pair, ISSUED) == ("quantity-below-tolerance-1",)
    pair.receipt("receipt-loose", "carol")
    _, ballot = council.decide("parameter", "quantity_tolerance_basis_points", value=1_000)
    assert pair.business.height + 1 >= ballot.activation_height
    assert post(pair, "receipt-loose", quantity=900) is None
    assert open_cases(pair, "receipt-loose") == ()
    council.decide("parameter", "stock_take_every_ms", value=3_600_000)
    pair.advance(3_600_000)
    assert judge(pair, "receipt-loose") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("quantity_tolerance_basis_points", -1),
        ("quantity_tolerance_basis_points", 1_001),
        ("stock_take_every_ms", 3_599_999),
        ("stock_take_every_ms", 2**62),
    ],
)
def test_no_vote_switches_a_rule_off(name: str, value: int) -> None:
    council = Council.new()
    refused = council.propose(council.proposal("parameter", name, value=value))
    assert refused is BusinessReason.OUT_OF_RANGE
