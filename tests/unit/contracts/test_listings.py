"""Listings: what a mandate covers, what it does not, and what becomes of the units."""

from __future__ import annotations

from dataclasses import replace as replace_dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.contracts.holdings.queries import holding_of
from assetchain.contracts.holdings.types import Holding
from assetchain.contracts.listings.keys import LISTING
from assetchain.contracts.listings.operations import LEGS
from assetchain.contracts.listings.queries import (
    disclosure_hash,
    next_state,
    open_listings_of,
    sale_amount,
    sale_of,
)
from assetchain.contracts.listings.types import (
    TRANSITIONS,
    ListedTitleLeg,
    ListingState,
    Step,
)
from assetchain.reasons import AssetReason
from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.cash.queries import cash_of
from bizchain.contracts.cash.types import ListedCashLeg
from common.amount import AMOUNT_MAX
from common.encoding import decode, encode
from common.errors import CommonReason, Reason, Refused, TransferReason
from common.transfer.facts import CashFacts
from common.transfer.machine import record_of
from common.transfer.terms import Mode, leg_hash
from relay.agreement import Agreement, Leg
from relay.audit.pair import check_pair
from tests.kit import authority, cast, listed
from tests.kit.council import check_invariants
from tests.kit.listed import BUYER, LOT, NAME, SELLER, attempt, cancel, close, known, offer
from tests.kit.pair import RECEIPT_UNITS, Pair, furnished

OPEN, CANCELLED, SOLD_OUT = ListingState.OPEN, ListingState.CANCELLED, ListingState.SOLD_OUT


@pytest.fixture
def pair() -> Pair:
    """A hundred units of alice's are listed: 3 cents for 2."""
    made = furnished()
    assert offer(made) is None
    return made


def purchase(pair: Pair, buyer: str = BUYER, quantity: int = 10, **changed: Any) -> Agreement:
    return listed.purchase(pair, buyer, quantity, **changed)


def units(pair: Pair, party: str = SELLER) -> Holding:
    return holding_of(pair.asset.ledger.state, party, LOT)


def whole(pair: Pair) -> None:
    """Every invariant of both chains holds."""
    for side in pair.sides:
        check_invariants(side)
    check_pair(pair.business.ledger, pair.asset.ledger)


# --- the way of a sale --------------------------------------------------------------------------


def test_a_listed_unit_is_on_order_and_nothing_else_can_be_done_with_it(pair: Pair) -> None:
    assert units(pair) == Holding(RECEIPT_UNITS - 100, 100, 0, 0)
    move = MoveTitle(lot_id=LOT, receiver=BUYER, quantity=RECEIPT_UNITS - 99)
    assert pair.asset.do(SELLER, move_title=move) is AssetReason.INSUFFICIENT_UNITS
    again = offer(pair, listing_id="spring-2", quantity=RECEIPT_UNITS - 99)
    assert again is AssetReason.INSUFFICIENT_UNITS
    whole(pair)


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_a_sale_needs_the_buyers_signature_and_no_other(pair: Pair, mode: str) -> None:
    deal = purchase(pair, mode=mode)
    assert deal.owners == (BUYER,)
    assert not pair.decision(deal).consents
    pair.complete(deal)
    assert units(pair) == Holding(RECEIPT_UNITS - 100, 90, 0, 0)
    assert units(pair, BUYER).free == 10
    books = pair.business.ledger.state
    assert cash_of(books, SELLER, "EUR").available == 1_000_000 + 15 - 1
    assert cash_of(books, BUYER, "EUR").available == 1_000_000 - 15
    assert (known(pair).state, known(pair).remaining, known(pair).sold) == (OPEN, 90, 10)
    whole(pair)


def test_the_last_sale_sells_out(pair: Pair) -> None:
    pair.complete(purchase(pair, quantity=60))
    pair.complete(purchase(pair, "carol", quantity=40))
    assert known(pair).state == SOLD_OUT
    assert open_listings_of(pair.asset.ledger.state, SELLER) == []
    assert cancel(pair) is AssetReason.LISTING_NOT_OPEN
    assert units(pair) == Holding(RECEIPT_UNITS - 100, 0, 0, 0)
    whole(pair)


def test_the_disclosure_and_what_was_paid_are_kept_with_the_sale(pair: Pair) -> None:
    authority.in_force(pair, 7, {})
    authority.grade(pair, SELLER, "AA")
    deal = purchase(pair)
    pair.complete(deal)
    sale = sale_of(pair.asset.ledger.state, deal.transfer_id)
    assert sale is not None
    assert (sale.disclosure.seller_grade, sale.disclosure.buyer_grade) == ("AA", "UNRATED")
    assert sale.disclosure.policy_version == 7
    assert sale.disclosure_hash == disclosure_hash(sale.disclosure)
    leg = decode(ListedTitleLeg, deal.decider.value)
    assert leg.disclosure_hash == sale.disclosure_hash
    assert (sale.quantity, sale.amount, sale.currency) == (10, 15, "EUR")


@pytest.mark.parametrize("quantity", [0, -1, 101, AMOUNT_MAX])
def test_no_sale_is_of_nothing_or_of_more_than_is_left(pair: Pair, quantity: int) -> None:
    leg = decode(ListedTitleLeg, purchase(pair).decider.value)
    expected = AssetReason.INSUFFICIENT_UNITS if quantity > 0 else CommonReason.AMOUNT_OUT_OF_RANGE
    assert attempt(pair, with_title(pair, replace(leg, quantity=quantity))) is expected


def test_the_last_units_may_be_fewer_than_the_minimum() -> None:
    made = furnished()
    assert offer(made, minimum_quantity=60) is None
    made.complete(purchase(made, quantity=60))
    assert attempt(made, purchase(made, quantity=39)) is AssetReason.BELOW_MINIMUM
    made.complete(purchase(made, quantity=40))
    assert known(made).state == SOLD_OUT


def test_an_amount_is_rounded_up_so_that_nobody_buys_below_the_price(pair: Pair) -> None:
    listing = known(pair)
    assert [sale_amount(listing, quantity) for quantity in (1, 2, 3, 4)] == [2, 3, 5, 6]
    assert sum(sale_amount(listing, 1) for _ in range(10)) >= sale_amount(listing, 10)


def test_the_grade_that_counts_is_the_one_in_force_when_the_trade_executes() -> None:
    made = furnished()
    assert offer(made, minimum_grade="BBB") is None
    authority.grade(made, BUYER, "A", until=made.business.now + 60_000)
    deal = purchase(made, mode=Mode.TWO_STEP)
    assert made.reserve(deal) is None
    made.carry()
    assert made.reserve(deal, made.asset) is None
    authority.grade(made, BUYER, "BB")
    assert made.commit(deal) is AssetReason.BUYER_GRADE_TOO_LOW
    assert made.decline(deal, BUYER) is None
    made.carry()
    assert made.settle(deal) is None
    assert (known(made).remaining, known(made).reserved) == (100, 0)
    whole(made)


def test_a_seller_whose_grade_no_longer_opens_trades_sells_nothing(pair: Pair) -> None:
    deal = purchase(pair)
    authority.in_force(pair, 1, {"AAA": ("X2",), "A": ("X2",)})
    authority.grade(pair, BUYER, "A")
    deal = purchase(pair)
    assert attempt(pair, deal) is AssetReason.GRADE_TOO_LOW


# --- what the mandate does not cover ------------------------------------------------------------


def with_title(pair: Pair, leg: Any, cash: Any = None) -> Agreement:
    """A purchase with another title leg, or another cash leg, in its own terms."""
    deal = purchase(pair)
    decider = Leg(encode(leg), deal.decider.salt, deal.decider.owners)
    follower = (
        Leg(encode(cash), deal.follower.salt, deal.follower.owners) if cash else deal.follower
    )
    terms = replace(
        deal.terms,
        decider_leg_hash=leg_hash(decider.value, decider.salt),
        follower_leg_hash=leg_hash(follower.value, follower.salt),
    )
    return replace_dataclass(deal, terms=terms, decider=decider, follower=follower)


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": 14, "fee": 1}, {"amount": 16, "fee": 1}, {"currency": "USD"},
        {"payee": "carol"}, {"listing_id": "spring-2"},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_paid_is_exactly_what_the_listing_asks(pair: Pair, changed: dict[str, Any]) -> None:
    """Too little, too much, other money, to another party, for another listing."""
    pair.deposit(BUYER, 100, "USD")
    deal = purchase(pair)
    title, paid = (decode(ListedTitleLeg, deal.decider.value), decode_cash(deal))
    wrong = with_title(pair, title, replace(paid, **changed))
    assert attempt(pair, wrong) is AssetReason.FACTS_MISMATCH


def test_nobody_buys_with_the_money_of_another(pair: Pair) -> None:
    title = decode(ListedTitleLeg, purchase(pair).decider.value)
    assert attempt(pair, with_title(pair, replace(title, buyer="carol"))) is (
        AssetReason.FACTS_MISMATCH
    )


def test_two_parties_cannot_trade_past_who_pays_whom(pair: Pair) -> None:
    """By consent too: the buyer is who pays, the seller is who is paid."""
    for changed in ({"buyer": "carol"}, {"seller": "alice", "buyer": "alice"}):
        deal = pair.trade("bob", "alice", lot_id=LOT)
        title = LEGS["X2"].read(deal.decider.value)[0]
        decider = replace_dataclass(deal.decider, value=encode(replace(title, **changed)))
        hashed = leg_hash(decider.value, decider.salt)
        terms = replace(deal.terms, decider_leg_hash=hashed)
        wrong = replace_dataclass(deal, terms=terms, decider=decider)
        expected = (
            AssetReason.FACTS_MISMATCH if changed["buyer"] == "carol" else AssetReason.SAME_PARTY
        )
        assert attempt(pair, wrong) is expected


def test_what_two_parties_agreed_on_stays_on_the_books(pair: Pair) -> None:
    """The asset chain learns the price of a listed sale, which is public, and no other."""
    agreed, bought = pair.trade("bob", "alice", lot_id=LOT), purchase(pair)
    for deal in (agreed, bought):
        assert pair.reserve(deal) is None
    row = record_of(pair.business.ledger.state, agreed.transfer_id)
    assert row is not None
    assert decode(CashFacts, row.record.facts) == CashFacts("bob", "alice", "", 0, "")
    row = record_of(pair.business.ledger.state, bought.transfer_id)
    assert row is not None
    assert decode(CashFacts, row.record.facts) == CashFacts("bob", "alice", "EUR", 15, NAME)


def test_a_mandate_stands_for_nobody_elses_goods_nor_for_a_trade_by_consent(pair: Pair) -> None:
    """Without a listing in the leg, a seller's signature is asked for as ever."""
    deal = pair.trade("bob", "alice", lot_id=LOT)
    assert pair.reserve(deal) is None
    pair.carry()
    operation = pair.decision(deal)
    del operation.consents[:]
    refused = pair.asset.do(reserve_and_commit_transfer=operation)
    assert refused is TransferReason.CONSENT_MISSING
    unknown = replace(known(pair), listing_id="spring-9")
    assert attempt(pair, purchase(pair, of=unknown)) is CommonReason.NOT_FOUND


@pytest.mark.parametrize(
    ("kind", "subject"),
    [("lot", LOT), ("receipt", "receipt-alice"), ("party", SELLER), ("party", BUYER)],
)
def test_a_hold_stops_a_sale_and_leaves_the_listing(pair: Pair, kind: str, subject: str) -> None:
    deal = purchase(pair)
    assert pair.reserve(deal) is None
    pair.hold(kind, subject)
    pair.carry()
    assert pair.decide(deal) is TransferReason.SUBJECT_HELD
    pair.lift(kind, subject)
    pair.carry()
    assert pair.decide(deal) is None


def test_nothing_that_is_held_is_listed() -> None:
    for kind, subject in (("lot", LOT), ("receipt", "receipt-alice"), ("party", SELLER)):
        made = furnished()
        made.hold(kind, subject)
        made.carry()
        assert offer(made) is TransferReason.SUBJECT_HELD


def test_a_listing_is_a_new_move_and_needs_fresh_news_of_holds() -> None:
    made = furnished()
    made.advance(cast.PARAMETERS.freeze_lag_max_ms + 1)
    assert offer(made) is TransferReason.PEER_HEADER_TOO_OLD
    made.fresh()
    assert offer(made) is None


# --- the end of a listing -----------------------------------------------------------------------


@pytest.mark.parametrize("ended", [CANCELLED, ListingState.EXPIRED])
def test_cancelling_and_expiry_free_what_remains(pair: Pair, ended: ListingState) -> None:
    pair.complete(purchase(pair))
    until = known(pair).until_unix_ms
    if ended is CANCELLED:
        assert cancel(pair) is None
    else:
        pair.advance_to(until - 2)
        assert close(pair, at=until - 1) is AssetReason.LISTING_NOT_EXPIRED
        assert close(pair, at=until) is None
    assert known(pair).state == ended
    assert units(pair) == Holding(RECEIPT_UNITS - 10, 0, 0, 0)
    assert open_listings_of(pair.asset.ledger.state, SELLER) == []
    whole(pair)
    pair.fresh()
    assert attempt(pair, purchase(pair)) is AssetReason.LISTING_NOT_OPEN


def test_what_is_reserved_outlives_the_listing(pair: Pair) -> None:
    """It settles or goes back to the seller, free, though the listing was cancelled meanwhile."""
    deals = [purchase(pair, quantity=quantity, mode=Mode.TWO_STEP) for quantity in (60, 40)]
    for deal in deals:
        assert pair.reserve(deal) is None
        pair.carry()
        assert pair.reserve(deal, pair.asset) is None
    assert (known(pair).remaining, known(pair).reserved) == (0, 100)
    assert cancel(pair) is None
    whole(pair)
    twin = pair.twin()
    for deal in deals:
        assert twin.commit(deal) is None
    assert (known(twin).state, known(twin).sold) == (CANCELLED, 100)
    whole(twin)
    assert pair.commit(deals[0]) is None
    assert pair.decline(deals[1], BUYER) is None
    assert units(pair) == Holding(RECEIPT_UNITS - 60, 0, 0, 0)
    assert (known(pair).reserved, known(pair).sold) == (0, 60)
    whole(pair)


def test_closing_a_party_cancels_its_listings(pair: Pair) -> None:
    assert offer(pair, listing_id="spring-2", quantity=50) is None
    deal = purchase(pair)
    assert pair.reserve(deal) is None
    pair.close(SELLER)
    pair.carry()
    assert known(pair).state == known(pair, "spring-2").state == CANCELLED
    assert units(pair) == Holding(RECEIPT_UNITS, 0, 0, 0)
    assert pair.decide(deal) is AssetReason.LISTING_NOT_OPEN
    whole(pair)


def test_a_suspended_party_sells_nothing_until_it_is_back(pair: Pair) -> None:
    deal = purchase(pair)
    assert pair.reserve(deal) is None
    authority.make(pair, "suspend", party=SELLER)
    pair.carry()
    assert known(pair).state == OPEN
    assert pair.decide(deal) is CommonReason.NOT_FOUND
    authority.make(pair, "resume", party=SELLER, change_id="change-2")
    pair.carry()
    assert pair.decide(deal) is None


@pytest.mark.parametrize("state", list(ListingState))
@pytest.mark.parametrize("step", list(Step))
def test_a_listing_can_do_what_its_table_holds_and_nothing_else(
    pair: Pair, state: ListingState, step: Step
) -> None:
    listing = replace(known(pair), state=state.value)
    reached = TRANSITIONS.get((state, step))
    if reached is None:
        with pytest.raises(Refused) as refused:
            next_state(listing, step)
        assert refused.value.reason is AssetReason.LISTING_NOT_OPEN
    else:
        assert next_state(listing, step) is reached
    pair.asset.ledger.state.put(LISTING, LISTING.key(NAME), listing)
    done: dict[Step, Reason | None] = {
        Step.CANCEL: cancel(pair.twin()) if state is OPEN else cancel(pair),
    }
    if step in done:
        assert done[step] is (None if reached else AssetReason.LISTING_NOT_OPEN)


# --- what cannot be listed ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"listing_id": "a/b"}, CommonReason.INVALID_ARGUMENT),
        ({"listing_id": "x" * 41}, CommonReason.INVALID_ARGUMENT),
        ({"lot_id": "lot-none"}, CommonReason.NOT_FOUND),
        ({"quantity": 0}, CommonReason.AMOUNT_OUT_OF_RANGE),
        ({"quantity": -5}, CommonReason.AMOUNT_OUT_OF_RANGE),
        ({"price": 0}, CommonReason.AMOUNT_OUT_OF_RANGE),
        ({"price_quantity": 0}, CommonReason.AMOUNT_OUT_OF_RANGE),
        ({"price": AMOUNT_MAX, "price_quantity": 1}, CommonReason.AMOUNT_OUT_OF_RANGE),
        ({"currency": "ABC"}, CommonReason.UNKNOWN_CURRENCY),
        ({"until_unix_ms": 0}, CommonReason.INVALID_ARGUMENT),
        ({"until_unix_ms": cast.START_UNIX_MS * 2}, CommonReason.INVALID_ARGUMENT),
        ({"minimum_quantity": 101}, CommonReason.INVALID_ARGUMENT),
        ({"minimum_quantity": -1}, CommonReason.AMOUNT_OUT_OF_RANGE),
        ({"minimum_grade": "UNRATED"}, CommonReason.INVALID_ARGUMENT),
        ({"roles": ["king"]}, CommonReason.INVALID_ARGUMENT),
        ({"roles": ["supplier", "buyer"]}, CommonReason.INVALID_ARGUMENT),
        ({"excluded": ["carol", "bob"]}, CommonReason.INVALID_ARGUMENT),
        ({"excluded": ["a/b"]}, CommonReason.INVALID_ARGUMENT),
        ({"excluded": [f"party-{n:02}" for n in range(33)]}, CommonReason.INVALID_ARGUMENT),
    ],
    ids=str,
)
def test_a_listing_that_is_not_whole_is_refused(changed: dict[str, Any], reason: Reason) -> None:
    assert offer(furnished(), **changed) is reason


def test_nobody_lists_the_units_of_another(pair: Pair) -> None:
    stranger = offer(pair, by="bob", listing_id="spring-2")
    assert stranger is AssetReason.INSUFFICIENT_UNITS


def decode_cash(deal: Agreement) -> ListedCashLeg:
    return decode(ListedCashLeg, deal.follower.value)
