"""Goods are valued by an independent appraiser, for a bounded time, and both chains know it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.contracts.lots import queries as lots
from assetchain.contracts.lots.keys import VALUATION as ASSET_VALUATION
from bizchain.contracts.valuations.keys import VALUATION
from bizchain.contracts.valuations.queries import worth_of
from bizchain.contracts.valuations.types import VALIDITY_MS_MAX, Valuation, valuation_hash
from bizchain.reasons import BusinessReason
from common.amount import AMOUNT_MAX
from common.errors import CommonReason, Reason, Refused
from common.ledger.valuation import ValuationNotice, check_valuation
from tests.kit import logistics
from tests.kit.pair import RECEIPT_UNITS, WORTH, Pair, furnished
from tests.kit.values import REPORT, judged, lose, value, valued, valuing

RECEIPT = "receipt-carol"


@pytest.fixture
def pair() -> Iterator[Pair]:
    """At the end both chains agree on every valuation, and everything that must hold does."""
    made = furnished()
    yield made
    made.carry()
    for _, valuation in made.business.ledger.state.scan(VALUATION):
        kept = lots.valuation_of(made.asset.ledger.state, valuation.receipt_id)
        assert kept is not None
        assert kept.valuation_hash == valuation_hash(valuation)
    assert broken(made) == []


def broken(pair: Pair) -> list[str]:
    return [
        violation.message
        for side in pair.sides
        for invariant in side.chain.invariants.values()
        for violation in invariant(side.ledger.state)
    ]


def test_a_valuation_says_who_valued_what_and_until_when(pair: Pair) -> None:
    until = pair.business.now + 1_000
    assert value(pair, RECEIPT, valid_until_unix_ms=until) is None
    found = valued(pair, RECEIPT)
    assert (found.number, found.appraiser, found.amount) == (1, "appraiser", WORTH)
    assert found.valued_unix_ms == pair.business.now
    assert found.valid_until_unix_ms == until
    assert judged(pair, RECEIPT) == found


def test_goods_that_were_never_valued_have_no_valuation(pair: Pair) -> None:
    assert judged(pair, RECEIPT) is BusinessReason.NO_VALUATION


def test_a_newer_valuation_replaces_an_older_one_also_where_it_is_lower(pair: Pair) -> None:
    assert value(pair, RECEIPT) is None
    first = valuation_hash(valued(pair, RECEIPT))
    assert value(pair, RECEIPT, amount=1) is None
    assert (valued(pair, RECEIPT).number, valued(pair, RECEIPT).amount) == (2, 1)
    assert valuation_hash(valued(pair, RECEIPT)) != first


def test_each_valuation_is_told_to_the_asset_chain(pair: Pair) -> None:
    for amount in (5, 7):
        assert value(pair, "receipt-carol", amount=amount) is None
    pair.carry()
    found = valued(pair, "receipt-carol")
    assert lots.valuation_of(pair.asset.ledger.state, "receipt-carol") == ValuationNotice(
        "receipt-carol", 2, 7, "EUR", found.valid_until_unix_ms, valuation_hash(found)
    )


def test_a_valuation_backs_nothing_from_its_last_moment_on(pair: Pair) -> None:
    assert value(pair, RECEIPT) is None
    until = valued(pair, RECEIPT).valid_until_unix_ms
    assert isinstance(judged(pair, RECEIPT, at=until - 1), Valuation)
    assert judged(pair, RECEIPT, at=until) is BusinessReason.VALUATION_EXPIRED


@pytest.mark.parametrize("firm", ["owner", "warehouse"])
def test_nobody_values_what_their_own_firm_owns_or_keeps(firm: str) -> None:
    pair = furnished()
    logistics.change_receipt(pair, RECEIPT, **{firm: "appraiser"})
    assert value(pair, RECEIPT) is BusinessReason.OWN_FIRM


@pytest.mark.parametrize("by", ["alice", "bob", "warehouse", "bank", "operator", "regulator"])
def test_nobody_but_an_appraiser_values(pair: Pair, by: str) -> None:
    assert value(pair, RECEIPT, by=by) is CommonReason.PERMISSION_DENIED


WRONG: list[tuple[dict[str, Any], Reason]] = [
    ({"amount": 0}, CommonReason.AMOUNT_OUT_OF_RANGE),
    ({"amount": -1}, CommonReason.AMOUNT_OUT_OF_RANGE),
    ({"currency": "XAU"}, CommonReason.UNKNOWN_CURRENCY),
    ({"method": ""}, CommonReason.INVALID_ARGUMENT),
    ({"source": "x" * 101}, CommonReason.INVALID_ARGUMENT),
    ({"evidence_hash": b"x"}, CommonReason.INVALID_ARGUMENT),
    ({"valid_until_unix_ms": 0}, CommonReason.INVALID_ARGUMENT),
]


@pytest.mark.parametrize(("wrong", "reason"), WRONG, ids=str)
def test_a_statement_that_does_not_hold_together_is_refused(
    pair: Pair, wrong: dict[str, Any], reason: Reason
) -> None:
    assert value(pair, RECEIPT, **wrong) is reason


@pytest.mark.parametrize(("more", "reason"), [(0, None), (1, CommonReason.INVALID_ARGUMENT)])
def test_a_valuation_ends_within_its_limit(pair: Pair, more: int, reason: Reason | None) -> None:
    at = pair.business.now + 1_000
    pair.advance_to(at - 1)
    operation = valuing(RECEIPT, valid_until_unix_ms=at + VALIDITY_MS_MAX + more)
    assert pair.business.do("appraiser", value_receipt=operation, at=at) is reason


def test_goods_that_are_not_there_are_not_valued(pair: Pair) -> None:
    for state in ("REJECTED", "CANCELLED", "DELIVERED"):
        twin = pair.twin()
        logistics.change_receipt(twin, RECEIPT, state=state)
        assert value(twin, RECEIPT) is BusinessReason.WRONG_STATE
    assert value(pair, "receipt-none") is CommonReason.NOT_FOUND


def test_a_partial_loss_lowers_what_goods_are_worth_rounded_down(pair: Pair) -> None:
    assert value(pair, RECEIPT, amount=1_999) is None
    lose(pair, RECEIPT, 1)
    found = valued(pair, RECEIPT)
    assert worth_of(pair.business.ledger.state, found) == 1_999 * (RECEIPT_UNITS - 1) // 1_000
    assert isinstance(judged(pair, RECEIPT), Valuation)


def test_goods_that_are_all_lost_are_worth_nothing(pair: Pair) -> None:
    assert value(pair, RECEIPT, amount=AMOUNT_MAX) is None
    lose(pair, RECEIPT)
    assert worth_of(pair.business.ledger.state, valued(pair, RECEIPT)) == 0
    assert judged(pair, RECEIPT) is BusinessReason.GOODS_LOST
    assert value(pair, RECEIPT) is BusinessReason.GOODS_LOST


NOTICE = ValuationNotice(RECEIPT, 1, 10, "EUR", 5, REPORT)
ODD: list[dict[str, Any]] = [
    {"receipt_id": "a/b"}, {"number": 0}, {"number": 2}, {"amount": 0}, {"amount": -1},
    {"currency": "XAU"}, {"valid_until_unix_ms": 0}, {"valuation_hash": b""},
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_notice_that_does_not_follow_is_refused_on_the_asset_chain(odd: dict[str, Any]) -> None:
    check_valuation(NOTICE, None)
    with pytest.raises(Refused):
        check_valuation(replace(NOTICE, **odd), None)


def test_the_invariants_see_a_false_valuation() -> None:
    pair = furnished()
    assert value(pair, RECEIPT) is None
    pair.carry()
    false = replace(valued(pair, RECEIPT), appraiser="warehouse")
    pair.business.ledger.state.put(VALUATION, VALUATION.key(RECEIPT), false)
    pair.asset.ledger.state.put(
        ASSET_VALUATION, ASSET_VALUATION.key(RECEIPT), replace(NOTICE, number=0)
    )
    assert broken(pair) == [f"valuation 1 of {RECEIPT}", f"valuation 0 of {RECEIPT}: 10"]
