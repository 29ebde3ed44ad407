"""Whoever owns a part of goods judges no case of them: it would free what is its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.lineage.keys import OFFSPRING
from bizchain.contracts.lineage.queries import offspring_of
from bizchain.contracts.lineage.types import Offspring
from bizchain.reasons import BusinessReason
from common.ledger.lineage import CHILDREN_MAX
from tests.kit.exits import PARENT, approved_exit, broken, judged, leave, part, recast, split
from tests.kit.logistics import (
    accept,
    answer,
    approve,
    approve_withdrawal,
    deliver,
    post,
    reject,
    reject_withdrawal,
    report_loss,
    withdraw_loss,
)
from tests.kit.pair import Pair, furnished

RECEIPT, ALARM, FIRM = "receipt-alice", "sensor-alarm-1", "oversight"
CHILD = ("receipt-part-1", "lot-part-1")


@pytest.fixture
def pair() -> Pair:
    """Two firms are administrators; one of them has bought 400 units of alice's lot."""
    made = furnished()
    made.join(FIRM, "administrator")
    made.carry()
    move = MoveTitle(lot_id="lot-alice", receiver=FIRM, quantity=400, reference="sold")
    assert made.asset.do("alice", move_title=move) is None
    return made


def taken_out(pair: Pair, holder: str, receipt_id: str, lot_id: str) -> None:
    approved_exit(pair, receipt_id, holder)
    pair.carry()
    pair.complete(leave(pair, receipt_id, lot_id, holder))


def delivered(pair: Pair, holder: str, receipt_id: str) -> None:
    assert deliver(pair, receipt_id) is None
    assert accept(pair, receipt_id, holder) is None


def own_part(pair: Pair) -> None:
    pair.complete(split(pair, 400, owner=FIRM))


def part_of_a_part(pair: Pair) -> None:
    """Of its own part, of which nothing else is left."""
    own_part(pair)
    children = [part("deep-1", 100), part("deep-2", 300)]
    pair.complete(recast(pair, FIRM, [CHILD], children))


def merged_part(pair: Pair) -> None:
    own_part(pair)
    pair.complete(recast(pair, FIRM, [CHILD], [part("again", 400)]))


def part_it_takes_out(pair: Pair) -> None:
    """Made by another: it is the books' owner from the exit on."""
    pair.complete(split(pair, 200))
    move = MoveTitle(lot_id="lot-part-1", receiver=FIRM, quantity=200, reference="sold")
    assert pair.asset.do("alice", move_title=move) is None
    taken_out(pair, FIRM, *CHILD)


PARTS = [own_part, part_of_a_part, merged_part, part_it_takes_out]


@pytest.mark.parametrize("made", PARTS, ids=lambda made: made.__name__)
@pytest.mark.parametrize("judging", [approve, reject])
def test_the_owner_of_a_part_judges_no_case_of_what_it_was_made_of(
    pair: Pair, made: Callable[[Pair], None], judging: Callable[..., object]
) -> None:
    made(pair)
    assert post(pair, RECEIPT, alarm="41 C") is None
    assert answer(pair, RECEIPT, ALARM) is None
    assert judging(pair, RECEIPT, ALARM, by=FIRM) is BusinessReason.OWN_FIRM
    assert judging(pair, RECEIPT, ALARM, by="operator") is None
    judged(pair)


@pytest.mark.parametrize("made", PARTS, ids=lambda made: made.__name__)
@pytest.mark.parametrize("judging", [approve_withdrawal, reject_withdrawal])
def test_the_owner_of_a_part_judges_no_loss_of_what_it_was_made_of(
    pair: Pair, made: Callable[[Pair], None], judging: Callable[..., object]
) -> None:
    made(pair)
    assert report_loss(pair, RECEIPT, 5) is None
    assert withdraw_loss(pair, RECEIPT) is None
    assert judging(pair, RECEIPT, by=FIRM) is BusinessReason.OWN_FIRM
    assert judging(pair, RECEIPT, by="operator") is None
    pair.carry()
    judged(pair)


@pytest.mark.parametrize("made", PARTS, ids=lambda made: made.__name__)
def test_the_owner_of_a_part_answers_for_no_warehouse_that_is_gone(
    pair: Pair, made: Callable[[Pair], None]
) -> None:
    made(pair)
    assert post(pair, RECEIPT, alarm="41 C") is None
    pair.close("warehouse")
    assert answer(pair, RECEIPT, ALARM, by=FIRM) is BusinessReason.OWN_FIRM
    assert post(pair, RECEIPT, by=FIRM) is BusinessReason.OWN_FIRM
    assert answer(pair, RECEIPT, ALARM, by="operator") is None


def test_whoever_has_only_parts_that_left_may_judge_again(pair: Pair) -> None:
    own_part(pair)
    taken_out(pair, FIRM, *CHILD)
    delivered(pair, FIRM, CHILD[0])
    assert post(pair, RECEIPT, alarm="41 C") is None
    assert answer(pair, RECEIPT, ALARM) is None
    assert approve(pair, RECEIPT, ALARM, by=FIRM) is None
    judged(pair)


def test_a_case_of_a_part_is_judged_by_whoever_owns_none_of_that_part(pair: Pair) -> None:
    """Nothing of the firm's is held by it."""
    pair.complete(split(pair, 200))
    pair.complete(recast(pair, FIRM, [PARENT], [part("own", 400)]))
    receipt_id = "receipt-part-1"
    assert post(pair, receipt_id, quantity=200, alarm="41 C") is None
    assert answer(pair, receipt_id, ALARM) is None
    assert approve(pair, receipt_id, ALARM, by=FIRM) is None
    judged(pair)


def test_all_that_is_alive_is_counted_for_every_name_behind_it(pair: Pair) -> None:
    state = pair.business.ledger.state
    assert offspring_of(state, RECEIPT) == 0
    own_part(pair)
    children = [part(f"small-{number}", 1) for number in range(CHILDREN_MAX)]
    pair.complete(recast(pair, "alice", [PARENT], children))
    assert offspring_of(state, RECEIPT) == CHILDREN_MAX + 1
    assert offspring_of(state, RECEIPT, "alice") == CHILDREN_MAX
    names = [(child.receipt_id, child.lot_id) for child in children]
    pair.complete(recast(pair, "alice", names, [part("sum", CHILDREN_MAX)]))
    assert offspring_of(state, RECEIPT) == 2
    assert {offspring_of(state, child.receipt_id, "alice") for child in children} == {1}
    taken_out(pair, "alice", "receipt-sum", "lot-sum")
    delivered(pair, "alice", "receipt-sum")
    left = {key[1:].decode(): row.alive for key, row in state.scan(OFFSPRING)}
    assert left == {RECEIPT: 1, f"{RECEIPT}/{FIRM}": 1}
    judged(pair)


def test_a_count_that_is_wrong_is_found(pair: Pair) -> None:
    own_part(pair)
    state = pair.business.ledger.state
    for key in (OFFSPRING.key(RECEIPT), OFFSPRING.key(RECEIPT, FIRM)):
        found = state.get(OFFSPRING, key)
        assert found == Offspring(1)
        state.delete(OFFSPRING, key)
        assert [one.invariant for one in broken(pair)] == ["B14"]
        state.put(OFFSPRING, key, found)
    for nobody in (Offspring(1), Offspring(0)):
        state.put(OFFSPRING, OFFSPRING.key(RECEIPT, "bob"), nobody)
        assert len(broken(pair)) == 1, nobody
