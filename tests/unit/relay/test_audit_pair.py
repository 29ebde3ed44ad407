"""The audit of both chains together: whatever is changed on one side alone is found, and named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from assetchain.contracts.lots.keys import LOT
from bizchain.contracts.cash.types import CashLeg
from bizchain.contracts.receipts.keys import RECEIPT
from common.crypto.digest import sha256
from common.encoding import decode, encode
from common.ledger import outbox
from common.ledger.holds import HOLD, Hold, Holds
from common.ledger.identity import PARTY
from common.ledger.ledger import Ledger
from common.ledger.lightclient import PEER, PEER_HEADER
from common.ledger.outbox import Counters
from common.transfer.machine import TRANSFER, TransferRow
from relay.audit.findings import Violated
from relay.audit.pair import check_pair
from tests.kit.two_chains import TwoChains

Change = Callable[[Ledger, Ledger], None]


def only_transfer(ledger: Ledger) -> tuple[bytes, TransferRow]:
    """The X1 of the founded pair."""
    [found] = ledger.state.scan(TRANSFER)
    return found


def changed(ledger: Ledger, **fields: object) -> None:
    key, row = only_transfer(ledger)
    record = replace(row.record, **fields)
    ledger.state.put(TRANSFER, key, replace(row, record=record))


def decided_otherwise(_: Ledger, assets: Ledger) -> None:
    changed(assets, state="ABORTED", reason="expired", secret=b"")


def settled_otherwise(books: Ledger, _: Ledger) -> None:
    changed(books, state="RELEASED")


def settled_without_decision(_: Ledger, assets: Ledger) -> None:
    assets.state.delete(TRANSFER, only_transfer(assets)[0])


def decided_without_reservation(books: Ledger, _: Ledger) -> None:
    books.state.delete(TRANSFER, only_transfer(books)[0])


def another_secret(_: Ledger, assets: Ledger) -> None:
    changed(assets, secret=sha256(b"another"))


def another_role(_: Ledger, assets: Ledger) -> None:
    changed(assets, role="follower")


def other_terms(books: Ledger, _: Ledger) -> None:
    key, row = only_transfer(books)
    terms = decode(list[object], row.terms)
    terms[-2] = int(str(terms[-2])) + 1
    books.state.put(TRANSFER, key, replace(row, terms=encode(terms)))


def a_unit_more(_: Ledger, assets: Ledger) -> None:
    key = LOT.key("lot-1")
    lot = assets.state.get(LOT, key)
    assert lot is not None
    assets.state.put(LOT, key, replace(lot, minted=lot.minted + 1))


def a_lot_from_nowhere(books: Ledger, _: Ledger) -> None:
    books.state.delete(RECEIPT, RECEIPT.key("coil-1"))


def a_receipt_that_is_free_again(books: Ledger, _: Ledger) -> None:
    key = RECEIPT.key("coil-1")
    receipt = books.state.get(RECEIPT, key)
    assert receipt is not None
    books.state.put(RECEIPT, key, replace(receipt, state="ISSUED", transfer_id=b""))


def a_receipt_without_its_lot(_: Ledger, assets: Ledger) -> None:
    assets.state.delete(LOT, LOT.key("lot-1"))


def a_foreign_header(books: Ledger, _: Ledger) -> None:
    key, header = next(books.state.scan(PEER_HEADER))
    books.state.put(PEER_HEADER, key, replace(header, header_hash=sha256(b"another")))


def a_foreign_link(_: Ledger, assets: Ledger) -> None:
    peer = assets.state.get(PEER, PEER.key())
    assert peer is not None
    assets.state.put(PEER, PEER.key(), replace(peer, chain_id=sha256(b"another")))


def two_certificates(books: Ledger, _: Ledger) -> None:
    peer = books.state.get(PEER, PEER.key())
    assert peer is not None
    books.state.put(PEER, PEER.key(), replace(peer, evidence=(b"header", b"certificate")))


def messages_nobody_sent(_: Ledger, assets: Ledger) -> None:
    outbox.put_counters(assets.state, Counters(0, 0, 7))


def a_role_nobody_granted(_: Ledger, assets: Ledger) -> None:
    key = PARTY.key("buyer")
    party = assets.state.get(PARTY, key)
    assert party is not None
    assets.state.put(PARTY, key, replace(party, roles=party.roles * 2))


def a_hold_nobody_placed(_: Ledger, assets: Ledger) -> None:
    hold = Hold("regulator", "case-1", "ground", 1)
    assets.state.put(HOLD, HOLD.key("party", "buyer"), Holds((hold,)))


CHANGES: list[tuple[Change, str]] = [
    (decided_otherwise, "B7"),
    (settled_otherwise, "B7"),
    (settled_without_decision, "B7"),
    (decided_without_reservation, "B7"),
    (another_secret, "I1"),
    (another_role, "B14"),
    (other_terms, "B14"),
    (a_unit_more, "B4"),
    (a_lot_from_nowhere, "B4"),
    (a_receipt_that_is_free_again, "B4"),
    (a_receipt_without_its_lot, "B4"),
    (a_foreign_header, "light client"),
    (a_foreign_link, "link"),
    (two_certificates, "B7"),
    (messages_nobody_sent, "messages"),
    (a_role_nobody_granted, "mirror"),
    (a_hold_nobody_placed, "mirror"),
]


def test_a_founded_pair_is_clean() -> None:
    pair = TwoChains()
    report = check_pair(pair.books.ledger, pair.assets.ledger)
    assert (report.transfers, report.committed, report.aborted, report.receipts) == (1, 1, 0, 1)
    assert report.headers > 0
    assert (report.open_transfers, report.ahead) == ((), 0)


@pytest.mark.parametrize(
    ("change", "invariant"), CHANGES, ids=[change.__name__ for change, _ in CHANGES]
)
def test_what_differs_between_the_chains_is_named(change: Change, invariant: str) -> None:
    pair = TwoChains()
    change(pair.books.ledger, pair.assets.ledger)
    with pytest.raises(Violated) as caught:
        check_pair(pair.books.ledger, pair.assets.ledger)
    assert caught.value.finding.invariant == invariant


def test_a_fee_outside_the_schedule_is_named() -> None:
    pair = TwoChains()
    key, row = only_transfer(pair.books.ledger)
    leg = encode(CashLeg("buyer", "seller", "CNY", 10_000, 4))
    record = replace(row.record, flow="X2")
    pair.books.ledger.state.put(TRANSFER, key, replace(row, record=record, leg=leg))
    with pytest.raises(Violated, match=r"B15.*fee 4, scheduled 5"):
        check_pair(pair.books.ledger, pair.assets.ledger)


def test_an_open_transfer_is_listed_and_no_violation() -> None:
    pair = TwoChains()
    _, row = only_transfer(pair.books.ledger)
    transfer_id = sha256(b"open")
    record = replace(row.record, transfer_id=transfer_id, state="RESERVED", secret=b"")
    open_row = replace(row, record=record, terms=b"")
    pair.books.ledger.state.put(TRANSFER, TRANSFER.key(transfer_id), open_row)
    report = check_pair(pair.books.ledger, pair.assets.ledger)
    assert report.open_transfers == (transfer_id.hex(),)
