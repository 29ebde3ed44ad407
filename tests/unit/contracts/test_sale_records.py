"""What is kept of a sale: recomputed from the state of each chain, and an invoice on the books."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from assetchain.contracts.holdings.keys import ENCUMBRANCE
from assetchain.contracts.listings.invariants import (
    INVARIANTS,
    listed_escrow_is_of_open_transfers,
    sales_are_within_their_listings,
    units_on_order_are_listed,
)
from assetchain.contracts.listings.keys import LISTING, OPEN_LISTING, SALE
from assetchain.contracts.listings.queries import (
    sale_of,
)
from assetchain.contracts.listings.types import (
    Limits,
)
from bizchain.contracts.cash.invariants import trades_are_invoiced
from bizchain.contracts.cash.keys import TRADE_INVOICE
from common.crypto.digest import sha256
from tests.kit import listed
from tests.kit.listed import BUYER, LOT, NAME, SELLER, known, offer
from tests.kit.pair import Pair, furnished


@pytest.fixture
def pair() -> Pair:
    """A hundred units of alice's are listed: 3 cents for 2."""
    made = furnished()
    assert offer(made) is None
    return made


def test_an_encumbrance_that_lies_about_a_listing_is_found(pair: Pair) -> None:
    state = pair.asset.ledger.state
    key = ENCUMBRANCE.key(SELLER, LOT, NAME)
    row = state.get(ENCUMBRANCE, key)
    assert row is not None
    assert not [one for each in INVARIANTS.values() for one in each(state)]
    state.put(ENCUMBRANCE, key, replace(row, quantity=99))
    assert units_on_order_are_listed(state)
    state.put(ENCUMBRANCE, key, row)
    state.delete(OPEN_LISTING, OPEN_LISTING.key(SELLER, NAME))
    assert units_on_order_are_listed(state)


def test_a_listing_that_says_more_is_reserved_than_transfers_do_is_found(pair: Pair) -> None:
    state = pair.asset.ledger.state
    wrong = replace(known(pair), reserved=1)
    state.put(LISTING, LISTING.key(NAME), wrong)
    assert listed_escrow_is_of_open_transfers(state)


@pytest.mark.parametrize(
    "limits",
    [Limits("BBB", (), (), 0), Limits("", (), (BUYER,), 0)],
    ids=str,
)
def test_a_sale_outside_its_limits_is_found(pair: Pair, limits: Limits) -> None:
    """Whatever let it through: the sale is judged again by what is kept of it."""
    pair.complete(listed.purchase(pair))
    state = pair.asset.ledger.state
    state.put(LISTING, LISTING.key(NAME), replace(known(pair), limits=limits))
    assert [one.invariant for one in sales_are_within_their_listings(state)] == ["B9"]


def test_a_sale_below_its_price_is_found(pair: Pair) -> None:
    deal = listed.purchase(pair)
    pair.complete(deal)
    state = pair.asset.ledger.state
    sale = sale_of(state, deal.transfer_id)
    assert sale is not None
    state.put(SALE, SALE.key(deal.transfer_id.hex()), replace(sale, amount=14))
    assert sales_are_within_their_listings(state)


# --- the invoice record on the books ------------------------------------------------------------


def test_each_settled_trade_has_one_invoice_record_on_the_books(pair: Pair) -> None:
    agreed, bought = pair.trade("bob", "alice", lot_id=LOT), listed.purchase(pair)
    lapsed = listed.purchase(pair, "carol")
    for deal in (agreed, bought):
        pair.complete(deal)
    assert pair.reserve(lapsed) is None
    books = pair.business.ledger.state
    found = {row.transfer_id: row for _, row in books.scan(TRADE_INVOICE)}
    assert found.keys() == {agreed.transfer_id, bought.transfer_id}
    invoice = found[bought.transfer_id]
    parties = (invoice.seller, invoice.buyer, invoice.currency)
    assert (*parties, invoice.payable, invoice.fee) == (SELLER, BUYER, "EUR", 15, 1)
    assert (invoice.listing_id, found[agreed.transfer_id].listing_id) == (NAME, "")


def test_a_trade_that_is_not_billed_or_billed_otherwise_is_found(pair: Pair) -> None:
    deal = listed.purchase(pair)
    pair.complete(deal)
    books = pair.business.ledger.state
    key = TRADE_INVOICE.key(deal.transfer_id.hex())
    invoice = books.get(TRADE_INVOICE, key)
    assert invoice is not None
    assert not trades_are_invoiced(books)
    books.put(TRADE_INVOICE, key, replace(invoice, payable=16))
    assert trades_are_invoiced(books)
    books.delete(TRADE_INVOICE, key)
    assert trades_are_invoiced(books)
    books.put(TRADE_INVOICE, key, invoice)
    invented = replace(invoice, transfer_id=sha256(b"x"))
    books.put(TRADE_INVOICE, TRADE_INVOICE.key(sha256(b"x").hex()), invented)
    assert trades_are_invoiced(books)
