"""A purchase from a listing, carried by the relay: one consent, both chains, and what is kept."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.chain import CHAIN as ASSETCHAIN
from assetchain.contracts.listings.keys import LISTING, SALE
from assetchain.contracts.listings.queries import disclosure_of, listing_of
from assetchain.contracts.listings.service import ListingService
from assetchain.contracts.listings.types import Limits, Listing
from assetchain.v1 import listing_service_pb2 as pb
from assetchain.v1.operation_pb2 import CancelListing
from bizchain.contracts.cash.keys import TRADE_INVOICE
from bizchain.contracts.cash.service import CashService
from bizchain.v1 import cash_service_pb2 as cash_pb
from common.crypto.signing import sign
from common.crypto.stateproof import StateProof, bucket_hash, key_hash, value_hash
from common.encoding import decode, encode
from common.errors import CommonReason, Reason, Refused, TransferReason
from common.ledger.block import Header, header_hash
from common.ledger.certificate import Certificate, HeaderVote, VoteSignature, vote_digest
from common.rpc.typed import rows_in
from common.transfer.terms import Mode
from relay.agreement import Agreement, Purchase, agree_on_purchase
from relay.agreement import Pair as ChainIds
from relay.audit.sales import SaleBook
from relay.dossier import Dossier, verify_dossier
from relay.dossier.__main__ import main
from relay.dossier.assembly import ChainProofs, assemble, leg_sold, mandate_in
from relay.dossier.consents import NOT_PROVEN
from relay.dossier.contents import MandateProof
from relay.reconciler.explain import explain
from tests.kit.listed import NAME, listing
from tests.kit.pair_ledger import party_of, record_of
from tests.kit.relays import HarnessRelay, ended, run
from tests.kit.two_chains import FEE_BASIS_POINTS, TwoChains, at_once, author_of, key_of

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
    told = disclosure_of(
        state,
        "seller",
        "buyer",
        height=pair.assets.ledger.applied_height + 1,
        time_unix_ms=now,
        disclosed_unix_ms=now,
    )
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


def test_it_is_said_why_a_listing_no_longer_sells(pair: TwoChains) -> None:
    """The seller took it back while the buyer's cash was being reserved."""
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(purchase(pair)))
    taken_back = CancelListing(listing_id=NAME)
    pair.assets.offer(pair.assets.signed("cancel_listing", taken_back, author_of("seller")))
    pair.tick(1)
    run(pair, [relay], seconds=2)
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    told = explain(relay.reconciler, found)
    assert "LISTING_NOT_OPEN" in told.awaits
    assert "declining" in told.who


# --- the dossier --------------------------------------------------------------------------------


@cache
def dossier() -> bytes:
    """Of a purchase that committed, with the listing it sold from."""
    pair = TwoChains()
    operation = listing(lot_id="lot-1", currency="CNY")
    pair.assets.offer(pair.assets.signed("list_lot", operation, author_of("seller")))
    pair.tick(100)
    relay = HarnessRelay(pair)
    transfer_id = relay.hand_over(pair.package(purchase(pair)))
    run(pair, [relay], seconds=2)
    found = relay.reconciler.find(transfer_id)
    assert found is not None
    buyer = party_of(pair.books, "buyer")
    assert buyer is not None
    sold = leg_sold("assetchain", "X2", "decider", found.package)
    assert sold is not None
    books, assets = (
        [record_of(chain, transfer_id, one) for one in heights]
        for chain, heights in (
            (pair.books, found.follower_heights),
            (pair.assets, found.decider_heights),
        )
    )
    mandate = mandate_in(pair.assets.reads.entry(LISTING.key(sold.listing_id), 0))
    return assemble(
        found.terms_bytes,
        found.package,
        ChainProofs(pair.books.genesis, books, {"buyer": buyer}),
        ChainProofs(pair.assets.genesis, assets, mandate=mandate),
    )


def showing(**changed: Any) -> bytes:
    """The dossier with another decider's side."""
    whole = decode(Dossier, dossier())
    return encode(replace(whole, decider=replace(whole.decider, **changed)))


def refusal(data: bytes) -> Reason:
    with pytest.raises(Refused) as refused:
        verify_dossier(data)
    return refused.value.reason


def test_a_dossier_proves_the_mandate_in_place_of_the_sellers_consent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = verify_dossier(dossier())
    assert (report.outcome, report.follower.consents) == ("COMMIT", ("buyer",))
    assert report.decider.consents == ()
    shown = report.decider.mandate
    assert shown is not None
    assert (shown.listing_id, shown.seller) == (NAME, "seller")
    assert shown.height != NOT_PROVEN
    path = tmp_path / "a.dossier"
    path.write_bytes(dossier())
    assert main([str(path)]) == 0
    assert f"listing {NAME}, the mandate of seller: proven in block" in capsys.readouterr().out


def test_without_the_listings_row_no_mandate_is_said_to_be_proven() -> None:
    shown = verify_dossier(showing(mandate=None)).decider.mandate
    assert shown is not None
    assert shown.height == NOT_PROVEN


def certified(offered: Listing) -> MandateProof:
    """A proof of this row as the only one of the asset chain, certified by its nodes."""
    row = encode(offered)
    bucket = key_hash(LISTING.key(offered.listing_id)) + value_hash(row)
    whole = decode(Dossier, dossier())
    head = replace(decode(Header, whole.decider.records[-1].header), state_root=bucket_hash(bucket))
    digest = header_hash(head)
    votes = []
    for name in ("assetchain-bank", "assetchain-core", "assetchain-logistics"):
        vote = HeaderVote(head.chain_id, 0, 0, head.height, 1, name, digest)
        votes.append(VoteSignature(name, 1, sign(key_of(name), vote_digest(vote))))
    proof = Certificate(0, 0, head.height, digest, tuple(votes))
    return MandateProof(encode(head), encode(proof), row, encode(StateProof(bucket, ())))


def listed_row() -> tuple[MandateProof, Listing]:
    mandate = decode(Dossier, dossier()).decider.mandate
    assert mandate is not None
    return mandate, decode(Listing, mandate.listing)


@pytest.mark.parametrize(
    "changed", [{"seller": "store"}, {"lot_id": "lot-2"}, {"until_unix_ms": 1}]
)
def test_a_listing_that_could_not_have_sold_this_is_no_mandate(changed: dict[str, Any]) -> None:
    """Of another seller, of another lot, or ended before: certified as it may be."""
    _, offered = listed_row()
    report = verify_dossier(showing(mandate=certified(offered)))
    assert report.decider.mandate is not None
    wrong = certified(replace(offered, **changed))
    assert refusal(showing(mandate=wrong)) is TransferReason.CONSENT_MISSING


def test_a_mandate_is_proven_or_refused_and_only_a_listed_leg_has_one() -> None:
    mandate, offered = listed_row()
    forged = replace(mandate, listing=encode(replace(offered, price=1)))
    assert refusal(showing(mandate=forged)) is CommonReason.BAD_PROOF
    whole = decode(Dossier, dossier())
    elsewhere = replace(whole, follower=replace(whole.follower, mandate=mandate))
    assert refusal(encode(elsewhere)) is TransferReason.CONSENT_MISSING
    assert refusal(showing(opening=None)) is TransferReason.CONSENT_MISSING
