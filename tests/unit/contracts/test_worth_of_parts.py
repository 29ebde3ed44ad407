"""What goods are worth when they are split, merged or let out: never more than before."""

from __future__ import annotations

import pytest

from assetchain.contracts.lots.queries import valuation_of as told_valuation_of
from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.cash.queries import cash_of
from bizchain.contracts.exits.keys import EXIT_TERMS
from bizchain.contracts.valuations.queries import valuation_of
from bizchain.reasons import BusinessReason
from common.encoding import encode
from common.transfer.pots import POT
from common.transfer.terms import Mode
from relay.audit.replay import Replay
from tests.kit import cast
from tests.kit.exits import (
    DAY_MS,
    approved_exit,
    charge_for_storage,
    judged,
    leave,
    part,
    recast,
)
from tests.kit.pair import CASH_EACH, RECEIPT_UNITS, Pair, furnished
from tests.kit.values import value

PARENT = ("receipt-alice", "lot-alice")
MODES = pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])


def worth(pair: Pair, name: str) -> int:
    """As the books and, once it is carried, the asset chain know it; 0 where nobody valued it."""
    pair.carry()
    here = valuation_of(pair.business.ledger.state, f"receipt-{name}")
    there = told_valuation_of(pair.asset.ledger.state, f"receipt-{name}")
    assert (here is None) == (there is None)
    if here is None or there is None:
        return 0
    assert (here.amount, here.number) == (there.amount, there.number)
    return here.amount


def more(pair: Pair) -> list[tuple[str, str]]:
    """Alice's lot, and one more like it that is worth 100."""
    pair.receipt("receipt-more", "alice", 500)
    assert value(pair, "receipt-more", amount=100) is None
    pair.carry()
    pair.complete(pair.issue("receipt-more", "lot-more"))
    return [PARENT, ("receipt-more", "lot-more")]


@pytest.mark.parametrize(
    ("amount", "quantities", "parts", "rest"),
    [
        (2_000, (300, 200), (600, 400), 1_000),
        (10, (333, 333), (3, 3), 4),
        (10, (333, 333, 334), (3, 3, 4), 10),
        (1, (999,), (0,), 1),
        (1, (500, 500), (0, 1), 1),
        (2**63 - 1, (1, 999), ((2**63 - 1) // 1_000, 2**63 - 1 - (2**63 - 1) // 1_000), 2**63 - 1),
    ],
)
def test_a_split_shares_the_value_and_the_rounding_stays_with_the_parent_or_the_last(
    amount: int, quantities: tuple[int, ...], parts: tuple[int, ...], rest: int
) -> None:
    """Of a parent that is superseded the old valuation stays, and values nothing any more."""
    pair = furnished()
    assert value(pair, "receipt-alice", amount=amount) is None
    children = [part(f"part-{number}", units) for number, units in enumerate(quantities)]
    pair.complete(recast(pair, "alice", [PARENT], children))
    found = tuple(worth(pair, f"part-{number}") for number in range(len(quantities)))
    assert found == parts
    assert worth(pair, "alice") == rest
    lives = sum(quantities) < RECEIPT_UNITS
    assert sum(found) + (rest if lives else 0) == amount
    judged(pair)


def test_merged_goods_are_worth_the_sum_of_what_is_still_valid() -> None:
    pair = furnished()
    assert value(pair, "receipt-alice", amount=2_000) is None
    pair.complete(recast(pair, "alice", more(pair), [part("all", RECEIPT_UNITS + 500)]))
    assert worth(pair, "all") == 2_100
    judged(pair)


@pytest.mark.parametrize("how", ["another currency", "expired"])
def test_goods_are_merged_without_a_value_where_one_of_theirs_does_not_count(how: str) -> None:
    pair = furnished()
    currency = "CNY" if how == "another currency" else "EUR"
    until = pair.business.now + DAY_MS
    assert value(pair, "receipt-alice", currency=currency, valid_until_unix_ms=until) is None
    parents = more(pair)
    if how == "expired":
        pair.advance(DAY_MS)
        pair.fresh()
    pair.complete(recast(pair, "alice", parents, [part("all", RECEIPT_UNITS + 500)]))
    assert worth(pair, "all") == 0
    judged(pair)


@MODES
def test_whoever_takes_goods_out_pays_their_storage_in_the_same_step(mode: str) -> None:
    """Three days of 2 000 at 100 basis points a day, paid by bob for alice; the audit agrees."""
    pair = furnished()
    assert value(pair, "receipt-alice", amount=2_000) is None
    charge_for_storage(pair, 100)
    pair.advance_to(pair.receipt_of("receipt-alice").reported_unix_ms + 2 * DAY_MS)
    approved_exit(pair, "receipt-alice", "alice")
    pair.fresh()
    pair.carry()
    deal = leave(pair, "receipt-alice", "lot-alice", "alice", payer="bob", mode=mode)
    pair.complete(deal)
    state = pair.business.ledger.state
    assert cash_of(state, "bob", "EUR").available == CASH_EACH - 60
    pot = state.get(POT, POT.key(deal.transfer_id.hex(), cast.FEE_PARTY, "EUR"))
    assert pot is not None
    assert pot.quantity == 60
    terms = state.get(EXIT_TERMS, EXIT_TERMS.key(deal.transfer_id))
    assert terms is not None
    assert (terms.schedule_version, terms.value, terms.valuation_number) == (1, 2_000, 2)
    judged(pair)
    replay = Replay(pair.business.chain, pair.business.genesis)
    for block in pair.business.blocks:
        replay.take_block(encode(block))


@MODES
def test_an_exit_that_ends_without_leaving_gives_the_fee_back(mode: str) -> None:
    pair = furnished()
    assert value(pair, "receipt-alice", amount=2_000) is None
    charge_for_storage(pair, 100)
    approved_exit(pair, "receipt-alice", "alice")
    pair.carry()
    deal = leave(pair, "receipt-alice", "lot-alice", "alice", payer="bob", mode=mode)
    assert pair.reserve(deal) is None
    pair.carry()
    if mode == Mode.TWO_STEP:
        assert pair.reserve(deal, pair.business) is None
        assert cash_of(pair.business.ledger.state, "bob", "EUR").reserved == 20
        judged(pair)
    pair.advance(100_000)
    assert pair.expire(deal) is None
    pair.carry()
    assert pair.settle(deal) is None
    account = cash_of(pair.business.ledger.state, "bob", "EUR")
    assert (account.available, account.reserved) == (CASH_EACH, 0)
    judged(pair)


def test_who_cannot_pay_takes_nothing_out() -> None:
    pair = furnished()
    assert value(pair, "receipt-alice", amount=2_000) is None
    charge_for_storage(pair, 100)
    approved_exit(pair, "receipt-alice", "alice")
    pair.carry()
    deal = leave(pair, "receipt-alice", "lot-alice", "alice", payer="warehouse")
    assert pair.reserve(deal) is None
    pair.carry()
    assert pair.decide(deal) is BusinessReason.INSUFFICIENT_FUNDS


@pytest.mark.parametrize("payer", ["valuer", "bob"])
def test_no_fee_follows_from_what_its_payer_or_holder_says_the_goods_are_worth(payer: str) -> None:
    """The books learn who holds the units when the goods leave; then a valuation of theirs ends."""
    pair = furnished()
    pair.join("valuer", "appraiser", "buyer")
    pair.carry()
    holder = "valuer" if payer == "bob" else "alice"
    if holder == "valuer":
        move = MoveTitle(lot_id=PARENT[1], receiver="valuer", quantity=RECEIPT_UNITS)
        assert pair.asset.do("alice", move_title=move) is None
    pair.deposit("valuer", 100)
    charge_for_storage(pair)
    assert value(pair, PARENT[0], by="valuer", amount=1) is None
    approved_exit(pair, PARENT[0], holder)
    pair.carry()
    deal = leave(pair, *PARENT, holder, payer=payer)
    assert pair.reserve(deal) is None
    pair.carry()
    assert pair.decide(deal) is BusinessReason.OWN_FIRM
    assert value(pair, PARENT[0]) is None
    again = leave(pair, *PARENT, holder, payer=payer)
    assert pair.decline(deal, holder) is None
    pair.carry()
    assert pair.settle(deal) is None
    pair.complete(again)
    judged(pair)


def test_no_valuation_of_the_owners_hides_in_a_merge() -> None:
    pair = furnished()
    pair.join("valuer", "appraiser", "buyer")
    parents = more(pair)
    assert value(pair, PARENT[0], by="valuer", amount=1) is None
    for (_, lot_id), units in zip(parents, (RECEIPT_UNITS, 500), strict=True):
        move = MoveTitle(lot_id=lot_id, receiver="valuer", quantity=units)
        assert pair.asset.do("alice", move_title=move) is None
    pair.complete(recast(pair, "valuer", parents, [part("all", RECEIPT_UNITS + 500)]))
    assert worth(pair, "all") == 0
    judged(pair)


def test_what_was_valued_before_a_split_is_not_the_worth_of_what_remains() -> None:
    pair = furnished()
    pair.complete(recast(pair, "alice", [PARENT], [part("most", RECEIPT_UNITS - 1)]))
    late = value(pair, PARENT[0], quantity=RECEIPT_UNITS, amount=1_000_000)
    assert late is BusinessReason.REPORT_MISMATCH
    assert value(pair, PARENT[0], quantity=1, amount=1_000) is None
    judged(pair)
