"""Splits and merges, and the watch over the goods: a new name makes nothing forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.reasons import AssetReason
from bizchain.contracts.lineage.keys import STORAGE
from bizchain.contracts.lineage.types import RecastLeg, Storage
from bizchain.contracts.receipts.keys import CARVED, RECASTING
from bizchain.contracts.receipts.queries import recasts_of
from bizchain.contracts.receipts.types import Carved, Recasting
from bizchain.contracts.valuations.queries import valuation_of
from bizchain.reasons import BusinessReason
from common.encoding import decode, encode
from common.errors import CommonReason
from common.ledger.state import Table
from common.transfer.machine import TRANSFER, record_of
from common.transfer.terms import Mode
from relay.audit.findings import Violated
from tests.kit import logistics, values
from tests.kit.exits import (
    PARENT,
    approved_exit,
    broken,
    decided,
    issued,
    judged,
    leave,
    part,
    recast,
    split,
)
from tests.kit.pair import RECEIPT_UNITS, Pair, furnished


@pytest.fixture
def pair() -> Pair:
    return furnished()


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_who_owns_nothing_of_a_lot_keeps_nobody_from_it(pair: Pair, mode: str) -> None:
    """A warehouse alone, or with a firm that says the goods are its own: splits, merges, exits."""
    more = issued(pair, "more")
    for number, owner in enumerate(("warehouse", "bob", "carol")):
        parts = [part(f"theirs-{number}", RECEIPT_UNITS + 500)]
        assert pair.reserve(recast(pair, owner, [PARENT, more], parts)) is None
    assert recasts_of(pair.business.ledger.state, "receipt-alice") == 3
    pair.complete(split(pair, 300, mode=mode))
    approved_exit(pair, "receipt-alice", "alice")
    pair.carry()
    pair.complete(leave(pair, "receipt-alice", "lot-alice", "alice", mode=mode))
    judged(pair)


def test_of_two_that_take_the_same_goods_one_commits(pair: Pair) -> None:
    first = recast(pair, "alice", [PARENT], [part("a", 600)])
    second = recast(pair, "alice", [PARENT], [part("b", 600)])
    assert pair.reserve(first) is None
    assert decided(pair, second) is None
    pair.carry()
    assert pair.decide(first) is not None
    assert pair.settle(second) is None
    assert pair.decline(first, "alice") is None
    pair.carry()
    assert pair.settle(first) is None
    assert recasts_of(pair.business.ledger.state, "receipt-alice") == 0
    judged(pair)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_that_take_different_units_may_both_commit(pair: Pair, order: tuple[int, int]) -> None:
    """Whichever is settled first; together they leave nothing of the lot."""
    deals = [
        recast(pair, "alice", [PARENT], [part(name, units)], mode=Mode.TWO_STEP)
        for name, units in (("a", 400), ("b", 600))
    ]
    for deal in deals:
        assert pair.reserve(deal) is None
    pair.carry()
    for deal in deals:
        assert pair.reserve(deal, pair.asset) is None
    for deal in deals:
        assert pair.commit(deal) is None
        judged(pair)
    pair.carry()
    for number in order:
        assert pair.settle(deals[number]) is None
        pair.carry()
        judged(pair)
    assert pair.receipt_of("receipt-alice").state == "SUPERSEDED"


def test_nothing_is_merged_of_which_less_is_left_than_agreed(pair: Pair) -> None:
    more = issued(pair, "more")
    merged = recast(pair, "alice", [PARENT, more], [part("all", RECEIPT_UNITS + 500)])
    assert pair.reserve(merged) is None
    pair.complete(split(pair, 300))
    assert pair.decide(merged) is AssetReason.FACTS_MISMATCH
    judged(pair)


def test_what_ought_to_be_counted_ought_to_be_under_any_name(pair: Pair) -> None:
    more = issued(pair, "more")
    pair.advance(logistics.OVERDUE_MS)
    pair.fresh()
    assert logistics.post(pair, "receipt-more", quantity=500) is None
    pair.complete(recast(pair, "alice", [PARENT, more], [part("all", RECEIPT_UNITS + 500)]))
    assert logistics.judge(pair, "receipt-all") is None
    assert logistics.open_cases(pair, "receipt-all") == ("stock-take-overdue-0",)
    judged(pair)


def test_containers_follow_their_goods(pair: Pair) -> None:
    """What is made shows them as its own; nobody else does, before it has or after."""
    assert logistics.post(pair, "receipt-alice", ssccs=[logistics.SSCC]) is None
    pair.complete(split(pair, 400, 600))
    assert logistics.post(pair, "receipt-bob", ssccs=[logistics.SSCC]) is None
    [case_id] = logistics.open_cases(pair, "receipt-bob")
    assert case_id.startswith("sscc-in-two-places")
    assert logistics.post(pair, "receipt-part-1", quantity=400, ssccs=[logistics.SSCC]) is None
    assert logistics.open_cases(pair, "receipt-part-1") == ()
    judged(pair)


def gone(pair: Pair, receipt_id: str, lot_id: str) -> None:
    """Alice takes these goods out, and away."""
    approved_exit(pair, receipt_id, "alice")
    pair.carry()
    pair.complete(leave(pair, receipt_id, lot_id, "alice"))
    assert logistics.deliver(pair, receipt_id) is None
    assert logistics.accept(pair, receipt_id, "alice") is None


def alarms(pair: Pair) -> bool:
    """Whether another receipt that shows the container is held for it; nothing is kept of it."""
    twin = pair.twin()
    assert logistics.post(twin, "receipt-bob", ssccs=[logistics.SSCC]) is None
    return logistics.open_cases(twin, "receipt-bob") != ()


def test_a_container_is_free_once_all_that_was_made_of_its_goods_has_left(pair: Pair) -> None:
    """Whatever became of the parts meanwhile, and however deep they lie."""
    assert logistics.post(pair, "receipt-alice", ssccs=[logistics.SSCC]) is None
    pair.complete(split(pair, 400, 600))
    deep = [part("deep-1", 100), part("deep-2", 300)]
    pair.complete(recast(pair, "alice", [("receipt-part-1", "lot-part-1")], deep))
    for name in ("deep-1", "part-2", "deep-2"):
        assert alarms(pair)
        gone(pair, f"receipt-{name}", f"lot-{name}")
    assert not alarms(pair)
    judged(pair)


def test_a_container_stays_with_what_was_carved_out_when_the_rest_has_left(pair: Pair) -> None:
    assert logistics.post(pair, "receipt-alice", ssccs=[logistics.SSCC]) is None
    pair.complete(split(pair, 400))
    gone(pair, "receipt-alice", "lot-alice")
    assert alarms(pair)
    gone(pair, "receipt-part-1", "lot-part-1")
    assert not alarms(pair)
    judged(pair)


def test_a_container_of_goods_that_were_merged_stays_theirs(pair: Pair) -> None:
    more = issued(pair, "more")
    assert logistics.post(pair, "receipt-more", quantity=500, ssccs=[logistics.SSCC]) is None
    pair.complete(recast(pair, "alice", [PARENT, more], [part("all", RECEIPT_UNITS + 500)]))
    assert alarms(pair)
    gone(pair, "receipt-all", "lot-all")
    assert not alarms(pair)
    judged(pair)


def test_whoever_agrees_that_containers_are_not_in_two_places_gives_them_away(pair: Pair) -> None:
    """Else each event of the goods they are of would be a case again."""
    assert logistics.post(pair, "receipt-alice", ssccs=[logistics.SSCC]) is None
    assert logistics.post(pair, "receipt-bob", ssccs=[logistics.SSCC]) is None
    [case_id] = logistics.open_cases(pair, "receipt-bob")
    assert logistics.answer(pair, "receipt-bob", case_id) is None
    assert logistics.approve(pair, "receipt-bob", case_id) is None
    assert logistics.post(pair, "receipt-bob", ssccs=[logistics.SSCC]) is None
    assert logistics.open_cases(pair, "receipt-bob") == ()


def test_no_place_is_approved_while_goods_are_being_merged(pair: Pair) -> None:
    more = issued(pair, "more")
    deal = recast(pair, "alice", [PARENT, more], [part("all", RECEIPT_UNITS + 500)])
    assert decided(pair, deal) is None
    moved = logistics.post(pair, "receipt-more", kind="move", place="hall 9", quantity=500)
    assert moved is None
    [case_id] = logistics.open_cases(pair, "receipt-more")
    assert logistics.answer(pair, "receipt-more", case_id) is None
    refused = logistics.approve(pair, "receipt-more", case_id)
    assert refused is BusinessReason.RECEIPT_RESERVED
    pair.carry()
    assert pair.settle(deal) is None
    assert logistics.approve(pair, "receipt-more", case_id) is None
    judged(pair)


@pytest.mark.parametrize("other", ["appraiser", "valuer"])
def test_merged_goods_are_valued_where_one_appraiser_valued_all(pair: Pair, other: str) -> None:
    """Nobody takes out what their own firm valued by merging it with what another has."""
    pair.join("valuer", "appraiser")
    more = issued(pair, "more")
    assert values.value(pair, "receipt-alice") is None
    assert values.value(pair, "receipt-more", by=other) is None
    pair.carry()
    pair.complete(recast(pair, "alice", [PARENT, more], [part("all", RECEIPT_UNITS + 500)]))
    found = valuation_of(pair.business.ledger.state, "receipt-all")
    assert (found is not None) == (other == "appraiser")
    judged(pair)


@pytest.mark.parametrize("lot_id", ["", "a/b", "x" * 65])
def test_no_receipt_becomes_what_can_be_no_lot(pair: Pair, lot_id: str) -> None:
    pair.applied_for("receipt-carol")
    assert pair.reserve(pair.issuing("receipt-carol", lot_id)) is CommonReason.INVALID_ARGUMENT


def test_what_the_books_forgot_of_a_split_is_found(pair: Pair) -> None:
    pair.complete(split(pair, 300))
    assert broken(pair) == []
    state = pair.business.ledger.state
    forged: list[tuple[Table[Any], str, Any]] = [
        (CARVED, "receipt-alice", Carved(299)),
        (STORAGE, "receipt-part-1", Storage(1)),
        (RECASTING, "receipt-alice", Recasting(1)),
    ]
    for table, name, value in forged:
        key = table.key(name)
        before = state.get(table, key)
        state.put(table, key, value)
        assert broken(pair) != [], table.name
        if before is None:
            state.delete(table, key)
        else:
            state.put(table, key, before)
    assert broken(pair) == []
    transfer_id = pair.receipt_of("receipt-part-1").transfer_id
    row = record_of(state, transfer_id)
    assert row is not None
    leg = decode(RecastLeg, row.leg)
    elsewhere = replace(leg, children=(replace(leg.children[0], lot_id="lot-elsewhere"),))
    state.put(TRANSFER, TRANSFER.key(transfer_id), replace(row, leg=encode(elsewhere)))
    with pytest.raises(Violated, match="receipt-part-1 would not be held with lot-part-1"):
        judged(pair)
