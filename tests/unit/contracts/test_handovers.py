"""Custody of goods changes by two signatures, in time, and not while the goods are held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from bizchain.contracts.incidents.types import WatchRule
from bizchain.contracts.logistics.keys import GOODS_EVENT, HANDOVER
from bizchain.contracts.logistics.queries import handover_of
from bizchain.contracts.logistics.types import HANDOVER_TRANSITIONS, HandoverState
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.errors import CommonReason, Reason, TransferReason
from tests.kit import logistics
from tests.kit.council import check_invariants
from tests.kit.logistics import DAY_MS, HAULIER, PLACE, hand, head, open_cases, take
from tests.kit.logistics import SSCC as CODE
from tests.kit.pair import RECEIPT_UNITS, Pair, furnished

ISSUED, TOKENISED = "receipt-carol", "receipt-alice"


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Furnished, with a carrier; at the end everything that must hold does."""
    made = furnished()
    made.join(HAULIER, "carrier")
    yield made
    made.carry()
    for side in made.sides:
        check_invariants(side)


def step(pair: Pair, what: str, number: int = 1, by: str = HAULIER) -> Reason | None:
    kinds: dict[str, Any] = {"accept": pb.AcceptHandover, "decline": pb.DeclineHandover}
    operation = kinds[what](receipt_id=ISSUED, number=number)
    return pair.business.do(by, **{f"{what}_handover": operation})


def test_a_handover_needs_both_signatures(pair: Pair) -> None:
    assert hand(pair, ISSUED, ssccs=[CODE]) is None
    assert head(pair, ISSUED).custodian == "warehouse"
    for stranger in ("warehouse", "alice", "operator"):
        assert step(pair, "accept", by=stranger) is not None
    assert take(pair, ISSUED) is None
    reached = head(pair, ISSUED)
    assert (reached.custodian, reached.place, reached.count) == (HAULIER, "gate 1", 1)
    [(_, event)] = pair.business.ledger.state.scan(GOODS_EVENT, ISSUED, b"")
    assert (event.kind, event.posted_by, event.ssccs) == ("handover", HAULIER, (CODE,))
    assert hand(pair, ISSUED) is BusinessReason.NOT_THE_CUSTODIAN
    assert hand(pair, ISSUED, by=HAULIER, receiver="warehouse", place=PLACE) is None
    assert take(pair, ISSUED, 2, by="warehouse") is None
    assert head(pair, ISSUED).expected_place == PLACE


@pytest.mark.parametrize("state", list(HandoverState))
@pytest.mark.parametrize("what", ["accept", "decline"])
def test_a_handover_can_do_what_its_table_holds_and_nothing_else(
    state: HandoverState, what: str
) -> None:
    pair = furnished()
    pair.join(HAULIER, "carrier")
    assert hand(pair, ISSUED) is None
    books = pair.business.ledger.state
    handover = handover_of(books, ISSUED)
    assert handover is not None
    books.put(HANDOVER, HANDOVER.key(ISSUED), replace(handover, state=state.value))
    reached = HANDOVER_TRANSITIONS.get((state, what))
    assert step(pair, what) is (None if reached else BusinessReason.WRONG_STATE)
    after = handover_of(books, ISSUED)
    assert after is not None
    assert after.state == (reached or state)


def test_a_handover_ends_at_its_deadline_and_lapses_when_another_is_offered(pair: Pair) -> None:
    assert hand(pair, ISSUED) is None
    offered = handover_of(pair.business.ledger.state, ISSUED)
    assert offered is not None
    assert hand(pair, ISSUED) is BusinessReason.HANDOVER_OPEN
    pair.advance_to(offered.deadline_unix_ms)
    assert take(pair, ISSUED) is BusinessReason.HANDOVER_EXPIRED
    assert hand(pair, ISSUED) is None
    lapsed, proposed = pair.business.events(pair.business.height, "handover")
    assert (b"LAPSED" in lapsed.payload, b"PROPOSED" in proposed.payload) == (True, True)
    assert take(pair, ISSUED, 1) is CommonReason.NOT_FOUND
    assert take(pair, ISSUED, 2) is None


def test_a_handover_is_taken_back_or_turned_down(pair: Pair) -> None:
    for number, by in enumerate(("warehouse", HAULIER), start=1):
        assert hand(pair, ISSUED) is None
        assert step(pair, "decline", number, by="alice") is BusinessReason.NOT_THE_CUSTODIAN
        assert step(pair, "decline", number, by=by) is None
        assert take(pair, ISSUED, number) is BusinessReason.WRONG_STATE


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({"receiver": "warehouse"}, BusinessReason.SAME_PARTY),
        ({"receiver": "nobody"}, CommonReason.NOT_FOUND),
        ({"receiver": "alice"}, CommonReason.PERMISSION_DENIED),
        ({"quantity": -1}, CommonReason.AMOUNT_OUT_OF_RANGE),
        ({"place": ""}, CommonReason.INVALID_ARGUMENT),
        ({"ssccs": ["1"]}, CommonReason.INVALID_ARGUMENT),
        ({"evidence_hash": b"x"}, CommonReason.INVALID_ARGUMENT),
        ({"deadline_unix_ms": 0}, CommonReason.INVALID_ARGUMENT),
        ({"deadline_unix_ms": 2**62}, CommonReason.INVALID_ARGUMENT),
        ({"receipt_id": "receipt-none"}, CommonReason.NOT_FOUND),
    ],
    ids=str,
)
def test_a_handover_that_is_not_whole_is_refused(
    pair: Pair, changed: dict[str, Any], refused: Reason
) -> None:
    operation = logistics.handing(**{"receipt_id": ISSUED, **changed})
    assert pair.business.do("warehouse", propose_handover=operation) is refused


def test_a_handover_ends_within_thirty_days(pair: Pair) -> None:
    at = pair.business.now + 1_000
    latest = at + 30 * DAY_MS
    for deadline in (at, at + 1, latest, latest + 1):
        operation = logistics.handing(ISSUED, deadline_unix_ms=deadline)
        refused = pair.twin().business.do("warehouse", propose_handover=operation, at=at)
        assert (refused is None) == (at < deadline <= latest)


def test_goods_that_are_held_are_not_handed_over(pair: Pair) -> None:
    twin = pair.twin()
    twin.hold("receipt", ISSUED)
    assert hand(twin, ISSUED) is TransferReason.SUBJECT_HELD
    assert hand(pair, ISSUED) is None
    pair.hold("receipt", ISSUED)
    assert take(pair, ISSUED) is TransferReason.SUBJECT_HELD


def test_goods_behind_a_lot_that_change_hands_have_moved(pair: Pair) -> None:
    assert hand(pair, TOKENISED, quantity=RECEIPT_UNITS // 2) is None
    assert take(pair, TOKENISED) is None
    rules = {one.rpartition("-")[0] for one in open_cases(pair, TOKENISED)}
    assert rules == {WatchRule.MOVED, WatchRule.SHORT}
