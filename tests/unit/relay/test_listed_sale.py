"""A purchase from a listing, carried by the relay: one consent, both chains, and what is kept."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.chain import CHAIN as ASSETCHAIN
from assetchain.contracts.listings.keys import SALE
from assetchain.contracts.listings.queries import disclosure_of, listing_of
from assetchain.contracts.listings.service import ListingService
from assetchain.contracts.listings.types import Limits
from assetchain.v1 import listing_service_pb2 as pb
from bizchain.contracts.cash.keys import TRADE_INVOICE
from bizchain.contracts.cash.service import CashService
from bizchain.v1 import cash_service_pb2 as cash_pb
from common.rpc.typed import rows_in
from common.transfer.terms import Mode
from relay.agreement import Agreement, Purchase, agree_on_purchase
from relay.agreement import Pair as ChainIds
from relay.audit.sales import SaleBook
from tests.kit.listed import NAME, listing
from tests.kit.relays import HarnessRelay, ended, run
from tests.kit.two_chains import FEE_BASIS_POINTS, TwoChains, at_once, author_of

NOBODY: Any = None
"""The context of a call, which no answer asks for."""


@pytest.fixture
def pair() -> TwoChains:
    """A hundred units of the seller's are listed: 3 fen for 2."""
    made = TwoChains()
    operation = listing(lot_id="lot-1", currency="CNY")
    made.assets.offer(made.assets.signed("list_lot", operation, author_of("seller")))
    made.tick(100)
    return made


def purchase(pair: TwoChains, quantity: int = 10, mode: str = Mode.EXPRESS) -> Agreement:
    state, now = pair.assets.ledger.state, pair.assets.time_unix_ms
    offered = listing_of(state, NAME)
    assert offered is not None
    told = disclosure_of(state, "seller", "buyer", now, now)
    return agree_on_purchase(
        ChainIds(pair.books.chain_id, pair.assets.chain_id),
        Purchase(offered, quantity, told),
        fee_basis_points=FEE_BASIS_POINTS,
        deadline_unix_ms=pair.now + 60_000,
        random_bytes=pair.random_bytes,
        mode=mode,
    )


def carried(pair: TwoChains, mode: str = Mode.EXPRESS) -> bytes:
    """A purchase that the relay brings to its end."""
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(purchase(pair, mode=mode)))
    run(pair, [relay], seconds=2)
    assert ended(pair, [transfer_id], "SETTLED", "COMMITTED")
    return transfer_id


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_a_purchase_with_the_buyers_consent_alone_commits(pair: TwoChains, mode: str) -> None:
    transfer_id = carried(pair, mode)
    pair.check()
    sales = at_once(ListingService(pair.assets.reads).ListSales(pb.ListSalesRequest(), NOBODY))
    (sale,) = rows_in(sales, pair.assets.verifier(), SALE)
    assert (sale.value.transfer_id, sale.value.amount) == (transfer_id, 15)
    asked = cash_pb.ListTradeInvoicesRequest()
    invoices = at_once(CashService(pair.books.reads).ListTradeInvoices(asked, NOBODY))
    (invoice,) = rows_in(invoices, pair.books.verifier(), TRADE_INVOICE)
    billed = (invoice.value.transfer_id, invoice.value.payable, invoice.value.listing_id)
    assert billed == (transfer_id, 15, NAME)


def followed(pair: TwoChains) -> tuple[SaleBook, list[str]]:
    """An audit of the asset chain's blocks so far, and what it says."""
    assert pair.assets.chain is ASSETCHAIN
    book = SaleBook(pair.assets.ledger)
    heights = range(1, pair.assets.ledger.applied_height + 1)
    return book, [str(one) for height in heights for one in book.take(height)]


@pytest.mark.parametrize("mode", [Mode.EXPRESS, Mode.TWO_STEP])
def test_the_audit_recomputes_the_limits_of_a_sale(pair: TwoChains, mode: str) -> None:
    carried(pair, mode)
    assert followed(pair)[1] == []


@pytest.mark.parametrize(
    "changed",
    [
        {"limits": Limits("BBB", (), (), 0)},
        {"limits": Limits("", ("bank",), (), 0)},
        {"limits": Limits("", (), ("buyer",), 0)},
        {"limits": Limits("", (), (), 11)},
        {"price": 4},
        {"currency": "EUR"},
        {"seller": "store"},
        {"lot_id": "lot-2"},
        {"until_unix_ms": 1},
        {"quantity": 9},
    ],
    ids=str,
)
def test_the_audit_finds_a_sale_outside_the_mandate(
    pair: TwoChains, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the seller had listed something else than what was sold."""
    carried(pair)
    follow = SaleBook._follow
    monkeypatch.setattr(
        SaleBook, "_follow", lambda book, offered: follow(book, replace(offered, **changed))
    )
    assert len(followed(pair)[1]) == 1
