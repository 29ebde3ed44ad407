"""Flow X7: units of a lot become other lots, receipts with them; nothing appears or disappears."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.contracts.holdings.queries import holding_of
from assetchain.contracts.lineage.queries import lineage_of
from assetchain.contracts.lots.keys import BACKING, LOT
from assetchain.contracts.lots.queries import left_of, lot_of
from assetchain.contracts.lots.types import Backing, Lot
from assetchain.reasons import AssetReason
from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.lineage.queries import stored_since
from bizchain.contracts.receipts.queries import reserving_transfer
from bizchain.reasons import BusinessReason
from bizchain.v1.operation_pb2 import ReportReceipt
from common.errors import CommonReason, TransferReason
from common.ledger.lineage import ANCESTORS_MAX, CHILDREN_MAX, DEPTH_MAX, PARENTS_MAX, Part
from common.transfer.machine import TransferState
from common.transfer.terms import Mode
from relay.audit.findings import Violated
from tests.kit import logistics
from tests.kit.exits import (
    DAY_MS,
    PARENT,
    approved_exit,
    decided,
    issued,
    judged,
    leave,
    part,
    recast,
    split,
)
from tests.kit.logistics import confirm_loss, report_loss
from tests.kit.pair import RECEIPT_UNITS, Pair, furnished


@pytest.fixture
def pair() -> Pair:
    return furnished()


def lot(pair: Pair, lot_id: str) -> Lot:
    found = lot_of(pair.asset.ledger.state, lot_id)
    assert found is not None
    return found


# --- split --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_children_and_remainder_are_the_parent_exactly(pair: Pair, mode: str) -> None:
    before = pair.receipt_of("receipt-alice")
    pair.complete(split(pair, 300, 200, mode=mode))
    state = pair.asset.ledger.state
    for number, units in ((1, 300), (2, 200)):
        child = lot(pair, f"lot-part-{number}")
        assert (child.state, child.minted, child.burned) == ("ACTIVE", units, 0)
        assert holding_of(state, "alice", child.lot_id).free == units
        receipt = pair.receipt_of(f"receipt-part-{number}")
        assert (receipt.state, receipt.owner, receipt.quantity) == ("TOKENISED", "alice", units)
        assert (receipt.place, receipt.quality) == (before.place, before.quality)
        lineage = lineage_of(state, child.lot_id)
        assert lineage is not None
        assert (lineage.parents, lineage.depth) == (("lot-alice",), 1)
    assert left_of(lot(pair, "lot-alice")) == 500 == pair.receipt_of("receipt-alice").quantity
    assert lot(pair, "lot-alice").state == "ACTIVE"
    assert holding_of(state, "alice", "lot-alice").free == 500
    judged(pair)


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_a_parent_of_which_nothing_is_left_does_not_live_on(pair: Pair, mode: str) -> None:
    pair.complete(split(pair, 400, 600, mode=mode))
    assert lot(pair, "lot-alice").state == "BURNED"
    assert pair.receipt_of("receipt-alice").state == "SUPERSEDED"
    assert pair.reserve(split(pair, 1)) is BusinessReason.WRONG_STATE
    judged(pair)


def test_a_part_leaves_though_others_hold_the_rest(pair: Pair) -> None:
    """Bob bought a part: he carves it out and takes its goods, and asks nobody else."""
    move = MoveTitle(lot_id="lot-alice", receiver="bob", quantity=250, reference="sold")
    assert pair.asset.do("alice", move_title=move) is None
    pair.complete(split(pair, 250, owner="bob"))
    approved_exit(pair, "receipt-part-1", "bob")
    pair.carry()
    pair.complete(leave(pair, "receipt-part-1", "lot-part-1", "bob"))
    assert pair.receipt_of("receipt-part-1").state == "RELEASING"
    assert holding_of(pair.asset.ledger.state, "alice", "lot-alice").free == 750
    judged(pair)


def test_a_split_of_more_than_is_free_is_refused(pair: Pair) -> None:
    assert pair.reserve(split(pair, RECEIPT_UNITS + 1)) is BusinessReason.NOT_COVERED
    move = MoveTitle(lot_id="lot-alice", receiver="bob", quantity=600, reference="sold")
    assert pair.asset.do("alice", move_title=move) is None
    for owner, units in (("alice", 401), ("bob", 601), ("carol", 1)):
        refused = decided(pair.twin(), split(pair, units, owner=owner))
        assert refused is AssetReason.INSUFFICIENT_UNITS


def test_children_that_exist_are_refused(pair: Pair) -> None:
    taken_receipt = recast(pair, "alice", [PARENT], [part("bob", 1)])
    assert pair.reserve(taken_receipt) is BusinessReason.RECEIPT_EXISTS
    pair.complete(split(pair, 10))
    assert pair.reserve(split(pair, 10)) is BusinessReason.RECEIPT_EXISTS
    taken_lot = recast(pair, "alice", [PARENT], [Part("receipt-new", "lot-bob", 1)])
    assert decided(pair, taken_lot) is AssetReason.LOT_EXISTS


def test_no_warehouse_reports_goods_under_a_name_that_is_to_be_a_childs(pair: Pair) -> None:
    assert pair.reserve(split(pair, 10)) is None
    report = ReportReceipt(
        receipt_id="receipt-part-1", owner="bob", goods_code="720839", quantity=1, unit="GRM",
        quality="S235JR", place="hall 4",
    )  # fmt: skip
    refused = pair.business.do("warehouse", report_receipt=report)
    assert refused is BusinessReason.RECEIPT_RESERVED


@pytest.mark.parametrize(
    "changed", [{"burned": 1}, {"goods_code": "720851"}, {"unit": "H87"}, {"receipt_id": "other"}]
)
def test_a_lot_that_does_not_agree_with_its_receipt_is_not_split(
    pair: Pair, changed: dict[str, Any]
) -> None:
    forged = replace(lot(pair, "lot-alice"), **changed)
    pair.asset.ledger.state.put(LOT, LOT.key("lot-alice"), forged)
    pair.asset.block()
    assert decided(pair, split(pair, 10)) is AssetReason.FACTS_MISMATCH


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_what_expires_leaves_everything_as_it_was(pair: Pair, mode: str) -> None:
    deal = split(pair, 300, 700, mode=mode)
    assert pair.reserve(deal) is None
    assert pair.reserve(split(pair, 1)) is BusinessReason.RECEIPT_RESERVED
    pair.carry()
    if mode == Mode.TWO_STEP:
        assert pair.reserve(deal, pair.asset) is None
        judged(pair)
    pair.advance(100_000)
    assert pair.expire(deal) is None
    pair.carry()
    assert pair.settle(deal) is None
    assert pair.states(deal) == (TransferState.RELEASED, TransferState.ABORTED)
    state = pair.asset.ledger.state
    assert lot_of(state, "lot-part-1") is None
    assert holding_of(state, "alice", "lot-alice").free == RECEIPT_UNITS
    assert not reserving_transfer(pair.business.ledger.state, "receipt-part-1")
    judged(pair)
    pair.complete(split(pair, 300, 700))


def test_the_audit_is_right_between_the_decision_and_its_settlement(pair: Pair) -> None:
    for quantities in ((300, 200), (400, 600)):
        twin = pair.twin()
        assert decided(twin, split(twin, *quantities)) is None
        judged(twin)


def test_owner_and_warehouse_consent_on_the_books_and_no_other(pair: Pair) -> None:
    """Else a warehouse could keep the owner from every exit by reserving splits in its name."""
    other = split(pair, 10, warehouse="bank")
    assert pair.reserve(other) is BusinessReason.NOT_THE_WAREHOUSE
    for missing in ("alice", "warehouse"):
        operation = pair.reservation(split(pair, 10))
        given = [one for one in operation.consents if one.party != missing]
        assert len(given) == 1
        del operation.consents[:]
        operation.consents.extend(given)
        assert pair.business.do(reserve_transfer=operation) is TransferReason.CONSENT_MISSING


def test_goods_of_which_something_is_lost_are_not_split(pair: Pair) -> None:
    assert report_loss(pair, "receipt-alice", 5) is None
    assert confirm_loss(pair, "receipt-alice", 5) is None
    assert pair.reserve(split(pair, 10)) is BusinessReason.RECEIPT_IMPAIRED


def test_no_loss_is_reported_while_the_goods_are_being_split(pair: Pair) -> None:
    """Nor one of goods that were carved out since; and what is reported is not split."""
    deal = split(pair, 500)
    assert pair.reserve(deal) is None
    assert report_loss(pair, "receipt-alice", 600) is BusinessReason.RECEIPT_RESERVED
    pair.carry()
    assert pair.decide(deal) is None
    pair.carry()
    assert pair.settle(deal) is None
    assert report_loss(pair, "receipt-alice", 600) is BusinessReason.LOSS_EXCEEDS_GOODS
    assert report_loss(pair, "receipt-alice", 500) is None
    assert pair.reserve(split(pair, 1, parent=PARENT)) is BusinessReason.RECEIPT_IMPAIRED
    judged(pair)


def test_goods_that_were_watched_before_a_split_are_watched_after_it(pair: Pair) -> None:
    """The events of a parent began with all of it, those of a child with the child."""
    assert logistics.post(pair, "receipt-alice") is None
    pair.complete(split(pair, 300, 200))
    judged(pair)
    assert logistics.post(pair, "receipt-alice", quantity=500) is None
    assert logistics.post(pair, "receipt-part-1", quantity=300) is None
    pair.complete(recast(pair, "alice", [PARENT], [part("later", 100)]))
    judged(pair)
    assert logistics.open_cases(pair, "receipt-alice") == ()


def test_goods_that_are_handed_over_are_not_split_meanwhile(pair: Pair) -> None:
    """Else what is handed over would be that of children, and its events those of the parent."""
    pair.join(logistics.HAULIER, "carrier")
    pair.carry()
    deal = split(pair, 990)
    assert pair.reserve(deal) is None
    assert logistics.hand(pair, "receipt-alice") is BusinessReason.RECEIPT_RESERVED
    assert pair.decline(deal, "alice") is None
    pair.carry()
    assert pair.settle(deal) is None
    assert logistics.hand(pair, "receipt-alice") is None
    assert pair.reserve(split(pair, 990)) is BusinessReason.HANDOVER_OPEN
    assert logistics.take(pair, "receipt-alice") is None
    [case_id] = logistics.open_cases(pair, "receipt-alice")
    assert logistics.answer(pair, "receipt-alice", case_id) is None
    assert logistics.approve(pair, "receipt-alice", case_id) is None
    assert pair.reserve(split(pair, 990)) is BusinessReason.NOT_THE_CUSTODIAN
    judged(pair)


def test_children_are_where_their_goods_are_by_now(pair: Pair) -> None:
    """Goods moved before they had a lot, or with leave since, are expected where they are."""
    assert logistics.post(pair, "receipt-alice", kind="move", place="hall 5") is None
    [case_id] = logistics.open_cases(pair, "receipt-alice")
    assert logistics.answer(pair, "receipt-alice", case_id) is None
    assert logistics.approve(pair, "receipt-alice", case_id) is None
    pair.carry()
    pair.complete(split(pair, 300))
    assert pair.receipt_of("receipt-part-1").place == "hall 5"
    assert logistics.post(pair, "receipt-part-1", place="hall 5", quantity=300) is None
    assert logistics.open_cases(pair, "receipt-part-1") == ()
    more = issued(pair, "more")
    alike = recast(pair, "alice", [PARENT, more], [part("all", 1_200)])
    assert pair.reserve(alike) is BusinessReason.NOT_ALIKE
    judged(pair)


def test_a_split_has_at_most_so_many_children(pair: Pair) -> None:
    most = [1] * CHILDREN_MAX
    assert pair.reserve(split(pair, *most, 1)) is CommonReason.INVALID_ARGUMENT
    assert pair.reserve(split(pair, 0)) is CommonReason.AMOUNT_OUT_OF_RANGE
    assert pair.reserve(split(pair)) is CommonReason.INVALID_ARGUMENT
    pair.complete(split(pair, *most))
    judged(pair)


def test_what_is_made_of_what_was_made_is_at_most_so_deep(pair: Pair) -> None:
    parent = PARENT
    for number in range(DEPTH_MAX):
        child = part(f"deep-{number}", 500 - number)
        pair.complete(recast(pair, "alice", [parent], [child]))
        parent = (child.receipt_id, child.lot_id)
    deeper = recast(pair, "alice", [parent], [part("deeper", 1)])
    assert pair.reserve(deeper) is BusinessReason.TOO_DEEP
    judged(pair)


def test_of_so_many_names_at_most_is_anything_made(pair: Pair) -> None:
    """Whoever judges it asks all of them for holds."""
    sixteen = [part(f"x-{number}", 10) for number in range(PARENTS_MAX)]
    pair.complete(recast(pair, "alice", [PARENT], sixteen))
    names = [(one.receipt_id, one.lot_id) for one in sixteen]
    pair.complete(recast(pair, "alice", names, [part("all", 160)]))
    row = lineage_of(pair.asset.ledger.state, "lot-all")
    assert row is not None
    assert (row.depth, row.ancestors) == (2, 2 * PARENTS_MAX)
    halves = [part("y", 50), part("z", 50)]
    pair.complete(recast(pair, "alice", [("receipt-all", "lot-all")], halves))
    both = [("receipt-y", "lot-y"), ("receipt-z", "lot-z")]
    deal = recast(pair, "alice", both, [part("yz", 100)])
    assert 2 * (row.ancestors + 2) > ANCESTORS_MAX
    assert pair.reserve(deal) is BusinessReason.TOO_DEEP
    judged(pair)


# --- merge --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_several_lots_become_one(pair: Pair, mode: str) -> None:
    parents = [PARENT, issued(pair, "more")]
    pair.complete(recast(pair, "alice", parents, [part("all", RECEIPT_UNITS + 500)], mode=mode))
    for receipt_id, lot_id in parents:
        assert pair.receipt_of(receipt_id).state == "SUPERSEDED"
        assert lot(pair, lot_id).state == "BURNED"
    assert lot(pair, "lot-all").minted == RECEIPT_UNITS + 500
    assert pair.receipt_of("receipt-all").state == "TOKENISED"
    lineage = lineage_of(pair.asset.ledger.state, "lot-all")
    assert lineage is not None
    assert lineage.parents == ("lot-alice", "lot-more")
    judged(pair)


@pytest.mark.parametrize("changed", ["goods_code", "quality", "place", "warehouse"])
def test_receipts_that_are_not_alike_are_not_merged(pair: Pair, changed: str) -> None:
    parents = [PARENT, issued(pair, "more")]
    value = "720851" if changed == "goods_code" else "bank"
    logistics.change_receipt(pair, "receipt-more", **{changed: value})
    deal = recast(pair, "alice", parents, [part("all", RECEIPT_UNITS + 500)])
    expected = (
        BusinessReason.NOT_THE_WAREHOUSE if changed == "warehouse" else (BusinessReason.NOT_ALIKE)
    )
    assert pair.reserve(deal) is expected


@pytest.mark.parametrize("units", [-1, 1])
def test_a_merge_is_of_all_there_is(pair: Pair, units: int) -> None:
    parents = [PARENT, issued(pair, "more")]
    deal = recast(pair, "alice", parents, [part("all", RECEIPT_UNITS + 500 + units)])
    assert pair.reserve(deal) is BusinessReason.NOT_COVERED


def test_a_merge_of_units_of_others_is_refused(pair: Pair) -> None:
    parents = [PARENT, issued(pair, "more")]
    move = MoveTitle(lot_id="lot-more", receiver="bob", quantity=1, reference="sold")
    assert pair.asset.do("alice", move_title=move) is None
    deal = recast(pair, "alice", parents, [part("all", RECEIPT_UNITS + 500)])
    assert decided(pair, deal) is AssetReason.INSUFFICIENT_UNITS


def test_several_become_one_and_each_is_named_once(pair: Pair) -> None:
    more = issued(pair, "more")
    two = [part("one", 700), part("two", 800)]
    for parents, children in (
        ([PARENT, more], two),
        ([PARENT, PARENT], [part("all", 2 * RECEIPT_UNITS)]),
        ([PARENT], [part("twice", 1), part("twice", 1)]),
        ([], [part("all", 1)]),
        ([(f"receipt-{i}", f"lot-{i}") for i in range(PARENTS_MAX + 1)], [part("all", 1)]),
    ):
        deal = recast(pair, "alice", parents, children)
        assert pair.reserve(deal) is CommonReason.INVALID_ARGUMENT


def test_goods_are_stored_since_the_oldest_of_them_came(pair: Pair) -> None:
    came = pair.receipt_of("receipt-alice").reported_unix_ms
    pair.advance(3 * DAY_MS)
    pair.fresh()
    parents = [issued(pair, "more"), PARENT]
    pair.complete(recast(pair, "alice", parents, [part("all", RECEIPT_UNITS + 500)]))
    pair.complete(recast(pair, "alice", [("receipt-all", "lot-all")], [part("some", 10)]))
    for name in ("all", "some"):
        receipt = pair.receipt_of(f"receipt-{name}")
        assert stored_since(pair.business.ledger.state, receipt) == came
        assert receipt.reported_unix_ms > came
    judged(pair)


def test_a_part_that_names_another_receipt_than_its_parent_is_found(pair: Pair) -> None:
    pair.complete(split(pair, 300))
    forged = Backing(bytes(32), bytes(32))
    pair.asset.ledger.state.put(BACKING, BACKING.key("lot-part-1"), forged)
    pair.asset.block()
    with pytest.raises(Violated, match="lot-part-1 names another receipt"):
        judged(pair)
