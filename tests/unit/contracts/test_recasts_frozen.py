"""A freeze of a name holds whatever was made of it, whenever it was made (protocol, section 6)."""

from __future__ import annotations

import pytest

from assetchain.v1.operation_pb2 import MoveTitle
from common.errors import Reason, TransferReason
from common.ledger.holds import holds_of
from common.transfer.terms import Mode
from tests.kit import logistics
from tests.kit.exits import (
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
from tests.kit.pair import RECEIPT_UNITS, Pair, furnished


@pytest.fixture
def pair() -> Pair:
    return furnished()


def moved(pair: Pair, lot_id: str, giver: str = "alice", receiver: str = "bob") -> Reason | None:
    move = MoveTitle(lot_id=lot_id, receiver=receiver, quantity=1, reference="sold")
    return pair.asset.do(giver, move_title=move)


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
@pytest.mark.parametrize(
    "subject",
    [
        ("lot", "lot-alice"), ("receipt", "receipt-alice"), ("party", "alice"),
        ("party", "warehouse"), ("receipt", "receipt-part-1"), ("lot", "lot-part-1"),
    ],
)  # fmt: skip
def test_a_freeze_refuses_a_split(pair: Pair, subject: tuple[str, str], mode: str) -> None:
    deal = split(pair, 10, mode=mode)
    assert pair.reserve(deal) is None
    if mode == Mode.TWO_STEP:
        pair.carry()
        assert pair.reserve(deal, pair.asset) is None
    pair.hold(*subject)
    pair.carry()
    refused = pair.commit(deal) if mode == Mode.TWO_STEP else pair.decide(deal)
    assert refused is TransferReason.SUBJECT_HELD


@pytest.mark.parametrize("by_rule", [False, True])
@pytest.mark.parametrize("quantities", [(300, 200), (400, 600)])
@pytest.mark.parametrize("settled", [False, True])
def test_a_freeze_after_the_decision_holds_the_children(
    pair: Pair, quantities: tuple[int, int], by_rule: bool, settled: bool
) -> None:
    """The split stands, and what it made is held: whoever carries the proofs, and whenever."""
    deal = split(pair, *quantities)
    assert decided(pair, deal) is None
    if by_rule:
        assert logistics.post(pair, "receipt-alice", alarm="water") is None
    else:
        pair.hold("receipt", "receipt-alice")
    pair.carry()
    if settled:
        assert pair.settle(deal) is None
        pair.carry()
    pair.advance(100_000)
    pair.fresh()
    judged(pair)
    assert moved(pair, "lot-part-1") is TransferReason.SUBJECT_HELD
    if by_rule:
        [case_id] = logistics.open_cases(pair, "receipt-alice")
        assert logistics.answer(pair, "receipt-alice", case_id) is None
        assert logistics.approve(pair, "receipt-alice", case_id) is None
    else:
        pair.lift("receipt", "receipt-alice")
    pair.carry()
    assert moved(pair, "lot-part-1") is None
    if not settled:
        assert pair.settle(deal) is None
        pair.carry()
    judged(pair)


def test_a_freeze_of_a_split_that_ends_without_children_holds_the_parent_alone(pair: Pair) -> None:
    deal = split(pair, 400)
    assert pair.reserve(deal) is None
    pair.hold("receipt", "receipt-alice")
    pair.carry()
    assert pair.decide(deal) is TransferReason.SUBJECT_HELD
    assert pair.decline(deal, "alice") is None
    pair.carry()
    assert pair.settle(deal) is None
    pair.carry()
    for side in pair.sides:
        assert holds_of(side.ledger.state, "receipt", "receipt-alice")
        assert holds_of(side.ledger.state, "receipt", "receipt-part-1") == ()
    judged(pair)


@pytest.mark.parametrize(
    "subject",
    [("receipt", "receipt-alice"), ("lot", "lot-alice"), ("lot", "lot-all"), ("lot", "lot-some")],
)
@pytest.mark.parametrize("rest", [0, 50])
def test_a_freeze_holds_whatever_was_made_of_what_it_names(
    pair: Pair, subject: tuple[str, str], rest: int
) -> None:
    """Alive or not, whenever it was made and however often it was recast since, on both chains."""
    pair.join(logistics.HAULIER, "carrier")
    more = issued(pair, "more")
    there = RECEIPT_UNITS + 500
    pair.complete(recast(pair, "alice", [PARENT, more], [part("all", there)]))
    parts = [part("some", there - rest)]
    pair.complete(recast(pair, "alice", [("receipt-all", "lot-all")], parts))
    approved_exit(pair, "receipt-some", "alice")
    pair.carry()
    pair.hold(*subject)
    pair.carry()
    pair.advance(100_000)
    pair.fresh()
    assert moved(pair, "lot-some") is TransferReason.SUBJECT_HELD
    way_out = leave(pair, "receipt-some", "lot-some", "alice")
    assert pair.reserve(way_out) is TransferReason.SUBJECT_HELD
    again = recast(pair, "alice", [("receipt-some", "lot-some")], [part("again", 1)])
    assert pair.reserve(again) is TransferReason.SUBJECT_HELD
    assert logistics.hand(pair, "receipt-some", quantity=there) is TransferReason.SUBJECT_HELD
    pair.lift(*subject)
    pair.carry()
    assert moved(pair, "lot-bob", "bob", "alice") is None
    pair.complete(leave(pair, "receipt-some", "lot-some", "alice"))
    judged(pair)


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
@pytest.mark.parametrize("lot_id", ["lot-alice", "lot-part-1"])
def test_a_freeze_of_a_lot_of_before_stops_an_exit_under_way(
    pair: Pair, mode: str, lot_id: str
) -> None:
    """The books decide an exit, and know which lots the goods were."""
    pair.complete(split(pair, 300))
    approved_exit(pair, "receipt-part-1", "alice")
    pair.carry()
    way_out = leave(pair, "receipt-part-1", "lot-part-1", "alice", mode=mode)
    assert pair.reserve(way_out) is None
    pair.carry()
    if mode == Mode.TWO_STEP:
        assert pair.reserve(way_out, pair.business) is None
    pair.hold("lot", lot_id)
    refused = pair.commit(way_out) if mode == Mode.TWO_STEP else pair.decide(way_out)
    assert refused is TransferReason.SUBJECT_HELD
    judged(pair)


def test_a_hold_of_a_part_holds_nothing_else(pair: Pair) -> None:
    pair.complete(split(pair, 300, 200))
    pair.hold("receipt", "receipt-part-1")
    pair.hold("lot", "lot-part-1")
    pair.carry()
    assert moved(pair, "lot-part-1") is TransferReason.SUBJECT_HELD
    assert moved(pair, "lot-part-2") is None
    assert moved(pair, "lot-alice") is None
