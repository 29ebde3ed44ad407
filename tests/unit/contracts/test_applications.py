"""A receipt becomes a lot once its warehouse, an appraiser and two administrators agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.contracts.lots.queries import backing_of
from assetchain.contracts.lots.types import Backing
from bizchain.contracts.applications.keys import APPLICATION
from bizchain.contracts.applications.types import APPLICATION_MS_MAX
from bizchain.contracts.receipts.types import receipt_hash
from bizchain.contracts.valuations.types import valuation_hash
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.errors import CommonReason, Reason, TransferReason
from common.transfer.terms import Mode
from tests.kit import applications as a
from tests.kit import authority, logistics
from tests.kit.exits import broken, judged, part, recast
from tests.kit.pair import DAY_MS, RECEIPT_UNITS, Pair, furnished
from tests.kit.values import lose, valued

Act = Callable[[Pair], Reason | None]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """At the end everything that must hold does, on each chain and on both together."""
    made = furnished()
    yield made
    made.carry()
    judged(made)


def test_what_is_applied_for_valued_and_approved_becomes_a_lot_once(pair: Pair) -> None:
    pair.complete(pair.issue(a.RECEIPT, "lot-carol"))
    used = a.application(pair)
    assert (used.state, used.maker, used.checker) == ("USED", "operator/maker", "operator/checker")
    assert used.valuation_hash == valuation_hash(valued(pair, a.RECEIPT))
    assert pair.receipt_of(a.RECEIPT).state == "TOKENISED"
    assert a.apply(pair) is BusinessReason.WRONG_STATE


@pytest.mark.parametrize("steps", range(4))
def test_nothing_less_than_an_approval_lets_a_receipt_become_a_lot(pair: Pair, steps: int) -> None:
    assert pair.valued(a.RECEIPT) is None
    assert pair.applied_for(a.RECEIPT, steps) is None
    deal = pair.issuing(a.RECEIPT, "lot-carol")
    assert pair.reserve(deal) is BusinessReason.APPLICATION_NOT_APPROVED


@pytest.mark.parametrize("end", [a.reject, a.withdraw])
def test_an_approval_that_was_taken_back_lets_nothing_become_a_lot(
    pair: Pair, end: Callable[[Pair], Reason | None]
) -> None:
    deal = pair.issue(a.RECEIPT, "lot-carol")
    assert end(pair) is None
    assert pair.reserve(deal) is BusinessReason.APPLICATION_NOT_APPROVED


def test_an_approval_is_good_until_its_deadline(pair: Pair) -> None:
    assert pair.valued(a.RECEIPT) is None
    assert a.apply(pair, within=DAY_MS) is None
    assert a.confirm(pair) is a.propose(pair) is a.approve(pair) is None
    pair.advance_to(a.application(pair).until_unix_ms)
    deal = pair.issuing(a.RECEIPT, "lot-carol")
    assert pair.reserve(deal) is BusinessReason.APPLICATION_LAPSED
    assert a.apply(pair) is None, "what has lapsed stands in nobody's way"
    assert a.application(pair).number == 2


def test_a_valuation_that_was_replaced_or_has_expired_lets_nothing_become_a_lot(pair: Pair) -> None:
    until = pair.business.now + DAY_MS
    assert pair.valued(a.RECEIPT, valid_until_unix_ms=until) is None
    assert pair.applied_for(a.RECEIPT) is None
    twin = pair.twin()
    assert twin.valued(a.RECEIPT, amount=1) is None
    assert twin.reserve(twin.issuing(a.RECEIPT, "lot-carol")) is BusinessReason.VALUATION_REPLACED
    pair.advance_to(until)
    assert pair.reserve(pair.issuing(a.RECEIPT, "lot-carol")) is BusinessReason.VALUATION_EXPIRED


def test_a_release_keeps_the_approval_and_meanwhile_nothing_moves_it(pair: Pair) -> None:
    deal = pair.issue(a.RECEIPT, "lot-carol")
    assert pair.reserve(deal) is None
    assert a.withdraw(pair) is BusinessReason.RECEIPT_RESERVED
    assert a.reject(pair) is BusinessReason.RECEIPT_RESERVED
    assert pair.valued(a.RECEIPT) is None, "what is reserved is settled with what was pinned"
    pair.advance(100_000)
    pair.carry()
    assert pair.expire(deal) is None
    pair.carry()
    assert pair.settle(deal) is None
    assert a.application(pair).state == "APPROVED"


DIFFERENT: list[tuple[dict[str, Any], str]] = [
    ({"quantity": 900}, "quantity '900' instead of '1000'"),
    ({"quantity": 0}, "quantity '0' instead of '1000'"),
    ({"unit": "KGM"}, "unit 'KGM' instead of 'GRM'"),
    ({"place": "hall 5"}, "place 'hall 5' instead of 'hall 4'"),
    ({"quality": ""}, "quality '' instead of 'S235JR'"),
]


@pytest.mark.parametrize(("found", "ground"), DIFFERENT, ids=str)
def test_a_report_that_differs_from_the_receipt_rejects_with_the_difference(
    pair: Pair, found: dict[str, Any], ground: str
) -> None:
    assert a.apply(pair) is None
    assert a.confirm(pair, **found) is None
    assert (a.application(pair).state, a.application(pair).ground) == ("REJECTED", ground)


@pytest.mark.parametrize("wrong", [{"quantity": -1}, {"place": "x" * 101}], ids=str)
def test_a_report_that_no_receipt_could_say_is_refused(pair: Pair, wrong: dict[str, Any]) -> None:
    assert a.apply(pair) is None
    assert a.confirm(pair, **wrong) is CommonReason.INVALID_ARGUMENT


def test_only_the_owner_applies_and_only_the_keeper_confirms(pair: Pair) -> None:
    assert a.apply(pair, by="alice") is BusinessReason.NOT_THE_OWNER
    assert a.apply(pair) is None
    for other in ("carol", "operator", "bank"):
        assert a.confirm(pair, by=other) is BusinessReason.NOT_THE_WAREHOUSE
        if other != "carol":
            assert a.withdraw(pair, by=other) is BusinessReason.NOT_THE_OWNER


def test_the_maker_is_not_the_checker_and_neither_is_of_the_applicants_firm(pair: Pair) -> None:
    pair.receipt("receipt-own", "bob")
    logistics.change_receipt(pair, "receipt-own", owner="operator")
    assert pair.valued("receipt-own") is None
    assert a.apply(pair, "receipt-own", by="operator") is None
    assert a.confirm(pair, "receipt-own") is None
    assert a.propose(pair, "receipt-own") is BusinessReason.OWN_FIRM
    assert a.reject(pair, "receipt-own", by=a.CHECKER) is BusinessReason.OWN_FIRM
    assert pair.applied_for(a.RECEIPT, 3) is None
    assert a.approve(pair, by=a.MAKER) is BusinessReason.MAKER_IS_CHECKER


@pytest.mark.parametrize(("more", "reason"), [(0, None), (1, CommonReason.INVALID_ARGUMENT)])
def test_an_application_ends_within_its_limit(pair: Pair, more: int, reason: Reason | None) -> None:
    at = pair.business.now + 1_000
    operation = pb.ApplyForAsset(receipt_id=a.RECEIPT, until_unix_ms=at + APPLICATION_MS_MAX + more)
    assert pair.business.do("carol", apply_for_asset=operation, at=at) is reason


def test_a_low_grade_does_not_apply(pair: Pair) -> None:
    authority.in_force(pair, 1, {"A": ("apply_for_asset",)})
    assert a.apply(pair) is BusinessReason.GRADE_TOO_LOW


@pytest.mark.parametrize("steps", range(4))
def test_what_is_held_goes_no_step_on(pair: Pair, steps: int) -> None:
    assert pair.valued(a.RECEIPT) is None
    assert pair.applied_for(a.RECEIPT, steps) is None
    pair.hold("receipt", a.RECEIPT)
    act = [a.apply, a.confirm, a.propose, a.approve][steps]
    assert act(pair) is TransferReason.SUBJECT_HELD


def test_goods_that_are_lost_are_not_proposed(pair: Pair) -> None:
    assert pair.valued(a.RECEIPT) is None
    assert pair.applied_for(a.RECEIPT, 2) is None
    lose(pair, a.RECEIPT, RECEIPT_UNITS - 1)
    assert pair.valued(a.RECEIPT, amount=1) is None
    assert a.propose(pair) is BusinessReason.GOODS_LOST, "rounded down, they are worth nothing"


@pytest.mark.parametrize("ground", ["", "x" * 101])
def test_a_rejection_says_why(pair: Pair, ground: str) -> None:
    assert a.apply(pair) is None
    assert a.reject(pair, ground=ground) is CommonReason.INVALID_ARGUMENT


FALSE: list[dict[str, Any]] = [
    {"state": "APPROVED"}, {"checker": "operator/maker"}, {"maker": "alice/maker"},
    {"valuation_hash": b""}, {"ground": "none"}, {"until_unix_ms": 0}, {"warehouse": "bank"},
    {"number": 0},
]  # fmt: skip


@pytest.mark.parametrize("false", FALSE, ids=str)
def test_the_invariants_see_a_false_application(false: dict[str, Any]) -> None:
    pair = furnished()
    key = APPLICATION.key("receipt-alice")
    found = a.application(pair, "receipt-alice")
    pair.business.ledger.state.put(APPLICATION, key, replace(found, **false))
    assert {one.invariant for one in broken(pair)} == {"B14"}


def test_the_invariants_see_a_reservation_without_an_approval() -> None:
    pair = furnished()
    assert pair.reserve(pair.issue(a.RECEIPT, "lot-carol")) is None
    pair.business.ledger.state.delete(APPLICATION, APPLICATION.key(a.RECEIPT))
    assert [one.invariant for one in broken(pair)] == ["B14"]


def test_a_lot_carries_the_hashes_of_its_receipt_and_its_valuation_and_so_do_its_parts(
    pair: Pair,
) -> None:
    issued = pair.receipt_of(a.RECEIPT)
    deal = pair.issue(a.RECEIPT, "lot-carol")
    pair.complete(deal)
    backing = backing_of(pair.asset.ledger.state, "lot-carol")
    pinned = a.application(pair).valuation_hash
    assert backing == Backing(receipt_hash(issued), pinned)
    pair.complete(recast(pair, "carol", [(a.RECEIPT, "lot-carol")], [part("piece", 10)]))
    assert backing_of(pair.asset.ledger.state, "lot-piece") == backing


def test_a_lot_that_never_came_to_be_leaves_no_hashes(pair: Pair) -> None:
    deal = pair.issue(a.RECEIPT, "lot-carol", mode=Mode.TWO_STEP)
    assert pair.reserve(deal) is None
    pair.carry()
    assert pair.reserve(deal, pair.asset) is None
    assert backing_of(pair.asset.ledger.state, "lot-carol") is not None
    assert pair.decline(deal, "carol") is None
    pair.carry()
    assert pair.settle(deal) is None
    assert backing_of(pair.asset.ledger.state, "lot-carol") is None
