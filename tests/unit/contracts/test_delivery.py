"""The end of a receipt: goods that were let out leave by two signatures, and in no other way."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from bizchain.chain import CHAIN
from bizchain.contracts.exits.operations import settle_leg as settle_exit
from bizchain.contracts.receipts.keys import DELIVERY
from bizchain.contracts.receipts.operations import LEGS, OPERATIONS
from bizchain.contracts.receipts.queries import delivery_of
from bizchain.contracts.receipts.types import (
    DELIVERY_TRANSITIONS,
    TRANSITIONS,
    DeliveryState,
    ReceiptState,
)
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.errors import CommonReason, Reason, TransferReason
from tests.kit import logistics
from tests.kit.logistics import ANSWER, DAY_MS, EVIDENCE, accept, deliver, let_out
from tests.kit.pair import Pair, furnished

RECEIPT, OWNER = "receipt-alice", "alice"


@pytest.fixture
def pair() -> Pair:
    """A receipt whose goods may leave."""
    made = furnished()
    let_out(made, RECEIPT)
    return made


def decline(pair: Pair, by: str) -> Reason | None:
    return pair.business.do(by, decline_delivery=pb.DeclineDelivery(receipt_id=RECEIPT))


def test_goods_leave_by_two_signatures(pair: Pair) -> None:
    assert accept(pair, RECEIPT, OWNER) is CommonReason.NOT_FOUND
    for stranger in (OWNER, "operator", "bank"):
        assert deliver(pair, RECEIPT, by=stranger) is BusinessReason.NOT_THE_WAREHOUSE
    assert deliver(pair, RECEIPT) is None
    assert pair.receipt_of(RECEIPT).state == "RELEASING"
    for stranger in ("warehouse", "bob", "operator"):
        assert accept(pair, RECEIPT, stranger) is BusinessReason.NOT_THE_OWNER
    assert accept(pair, RECEIPT, OWNER, evidence=ANSWER) is CommonReason.INVALID_ARGUMENT
    assert accept(pair, RECEIPT, OWNER) is None
    assert pair.receipt_of(RECEIPT).state == "DELIVERED"
    assert deliver(pair, RECEIPT) is BusinessReason.WRONG_STATE
    assert accept(pair, RECEIPT, OWNER) is BusinessReason.WRONG_STATE
    invariants = pair.business.chain.invariants.values()
    assert not [one for each in invariants for one in each(pair.business.ledger.state)]


@pytest.mark.parametrize("state", list(ReceiptState))
def test_nothing_is_delivered_that_was_not_let_out(state: ReceiptState) -> None:
    """Neither offered, nor taken where an offer was left over."""
    pair = furnished()
    let_out(pair, RECEIPT)
    assert deliver(pair, RECEIPT) is None
    logistics.change_receipt(pair, RECEIPT, state=state.value)
    refused = None if state is ReceiptState.RELEASING else BusinessReason.WRONG_STATE
    assert accept(pair.twin(), RECEIPT, OWNER) is refused
    pair.advance(DAY_MS)
    assert deliver(pair, RECEIPT) is refused


def test_only_the_way_out_of_the_asset_chain_lets_goods_out() -> None:
    """Of all that can be done to a receipt, only the leg of flow X6 takes the step `release`."""
    assert [state for (state, step) in TRANSITIONS if step == "deliver"] == [ReceiptState.RELEASING]
    assert [state for (state, step) in TRANSITIONS if step == "release"] == [ReceiptState.TOKENISED]
    reached = [to for to in TRANSITIONS.values() if to is ReceiptState.RELEASING]
    assert len(reached) == 1
    assert not [name for name in (*OPERATIONS, *LEGS) if "release" in name or name == "X6"]
    assert CHAIN.legs["X6"].settle is settle_exit


@pytest.mark.parametrize("state", list(DeliveryState))
@pytest.mark.parametrize("step", ["accept", "decline"])
def test_a_delivery_can_do_what_its_table_holds_and_nothing_else(
    pair: Pair, state: DeliveryState, step: str
) -> None:
    assert deliver(pair, RECEIPT) is None
    books = pair.business.ledger.state
    offered = delivery_of(books, RECEIPT)
    assert offered is not None
    books.put(DELIVERY, DELIVERY.key(RECEIPT), replace(offered, state=state.value))
    done = accept(pair, RECEIPT, OWNER) if step == "accept" else decline(pair, OWNER)
    reached = DELIVERY_TRANSITIONS.get((state, step))
    assert done is (None if reached else BusinessReason.WRONG_STATE)
    after = delivery_of(books, RECEIPT)
    assert after is not None
    assert after.state == (reached or state)


def test_a_delivery_ends_at_its_deadline_and_lapses_when_another_is_offered(pair: Pair) -> None:
    assert deliver(pair, RECEIPT) is None
    assert deliver(pair, RECEIPT) is BusinessReason.DELIVERY_OPEN
    offered = delivery_of(pair.business.ledger.state, RECEIPT)
    assert offered is not None
    pair.advance_to(offered.deadline_unix_ms)
    assert accept(pair, RECEIPT, OWNER) is BusinessReason.DELIVERY_EXPIRED
    assert deliver(pair, RECEIPT) is None
    lapsed, _ = pair.business.events(pair.business.height, "delivery")
    assert b"LAPSED" in lapsed.payload
    assert accept(pair, RECEIPT, OWNER) is None


def test_a_delivery_is_taken_back_or_turned_down(pair: Pair) -> None:
    for by in ("warehouse", OWNER):
        assert deliver(pair, RECEIPT) is None
        assert decline(pair, "bob") is BusinessReason.NOT_THE_OWNER
        assert decline(pair, by) is None
        assert accept(pair, RECEIPT, OWNER) is BusinessReason.WRONG_STATE


@pytest.mark.parametrize("subject", [("receipt", RECEIPT), ("party", OWNER)])
def test_goods_that_are_held_do_not_leave(pair: Pair, subject: tuple[str, str]) -> None:
    twin = pair.twin()
    twin.hold(*subject)
    assert deliver(twin, RECEIPT) is TransferReason.SUBJECT_HELD
    assert deliver(pair, RECEIPT) is None
    pair.hold(*subject)
    assert accept(pair, RECEIPT, OWNER) is TransferReason.SUBJECT_HELD


@pytest.mark.parametrize(
    "changed",
    [
        {"deadline_unix_ms": 0},
        {"deadline_unix_ms": -1},
        {"deadline_unix_ms": 2**62},
        {"evidence_hash": b"x"},
    ],
    ids=str,
)
def test_an_offer_that_is_not_whole_is_refused(pair: Pair, changed: dict[str, Any]) -> None:
    assert deliver(pair, RECEIPT, **changed) is CommonReason.INVALID_ARGUMENT
    operation = logistics.delivering("receipt-none", evidence_hash=EVIDENCE)
    refused = pair.business.do("warehouse", propose_delivery=operation)
    assert refused is CommonReason.NOT_FOUND
