"""The audit of goods that left, were split or merged: whatever one chain alone says is found."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from msgspec.structs import replace

from assetchain.contracts.lineage.keys import LINEAGE as LOT_LINEAGE
from assetchain.contracts.lots.keys import LOT
from bizchain.contracts.exits.keys import EXIT_TERMS
from bizchain.contracts.exits.types import ExitLeg
from bizchain.contracts.lineage.keys import LINEAGE as RECEIPT_LINEAGE
from bizchain.contracts.lineage.keys import STORAGE
from bizchain.contracts.lineage.types import Storage
from bizchain.contracts.receipts.keys import RECEIPT
from common.encoding import decode, encode
from common.ledger.ledger import Ledger
from common.transfer.machine import TRANSFER, TransferRow
from relay.audit.findings import Violated
from relay.audit.pair import check_pair
from tests.kit.exits import approved_exit, broken, judged, leave, part, recast
from tests.kit.pair import Pair, furnished

Change = Callable[[Ledger, Ledger], None]


@cache
def _story() -> Pair:
    """A part of a lot has left, another stays; a second lot is split whole and merged again."""
    pair = furnished()
    children = [part("gone", 300), part("kept", 200)]
    pair.complete(recast(pair, "alice", [("receipt-alice", "lot-alice")], children))
    approved_exit(pair, "receipt-gone", "alice")
    pair.carry()
    pair.complete(leave(pair, "receipt-gone", "lot-gone", "alice"))
    halves = [part("left", 400), part("right", 600)]
    pair.complete(recast(pair, "bob", [("receipt-bob", "lot-bob")], halves))
    parents = [(half.receipt_id, half.lot_id) for half in halves]
    pair.complete(recast(pair, "bob", parents, [part("whole", 1_000)]))
    return pair


def exit_row(ledger: Ledger) -> tuple[bytes, TransferRow]:
    [found] = [one for one in ledger.state.scan(TRANSFER) if one[1].record.flow == "X6"]
    return found


def receipt_with(name: str, **fields: object) -> Change:
    def change(books: Ledger, _: Ledger) -> None:
        key = RECEIPT.key(name)
        row = books.state.get(RECEIPT, key)
        assert row is not None
        books.state.put(RECEIPT, key, replace(row, **fields))

    return change


def lot_with(name: str, **fields: object) -> Change:
    def change(_: Ledger, assets: Ledger) -> None:
        key = LOT.key(name)
        row = assets.state.get(LOT, key)
        assert row is not None
        assets.state.put(LOT, key, replace(row, **fields))

    return change


def a_cheaper_exit(books: Ledger, _: Ledger) -> None:
    key, row = exit_row(books)
    leg = replace(decode(ExitLeg, row.leg), fee=1)
    books.state.put(TRANSFER, key, replace(row, leg=encode(leg)))


def goods_that_came_later(books: Ledger, _: Ledger) -> None:
    later = Storage(books.header.time_unix_ms)
    books.state.put(STORAGE, STORAGE.key("receipt-gone"), later)


def no_word_of_the_fee(books: Ledger, _: Ledger) -> None:
    books.state.delete(EXIT_TERMS, EXIT_TERMS.key(exit_row(books)[0][1:]))


def an_exit_undone(_: Ledger, assets: Ledger) -> None:
    key, row = exit_row(assets)
    record = replace(row.record, state="RELEASED", secret=b"")
    assets.state.put(TRANSFER, key, replace(row, record=record))


def the_other_chain_decided(books: Ledger, _: Ledger) -> None:
    key, row = exit_row(books)
    record = replace(row.record, role="follower")
    books.state.put(TRANSFER, key, replace(row, record=record))


def another_parent(_: Ledger, assets: Ledger) -> None:
    key = LOT_LINEAGE.key("lot-kept")
    row = assets.state.get(LOT_LINEAGE, key)
    assert row is not None
    assets.state.put(LOT_LINEAGE, key, replace(row, parents=("lot-bob",)))


def a_forgotten_parent(_: Ledger, assets: Ledger) -> None:
    assets.state.delete(LOT_LINEAGE, LOT_LINEAGE.key("lot-kept"))


def a_receipt_without_parents(books: Ledger, _: Ledger) -> None:
    books.state.delete(RECEIPT_LINEAGE, RECEIPT_LINEAGE.key("receipt-kept"))


CHANGES: list[tuple[str, Change, str]] = [
    ("the parent lives on whole", receipt_with("receipt-alice", quantity=1_000), "B4"),
    ("the lot lives on whole", lot_with("lot-alice", burned=0), "B4"),
    ("a child grew", lot_with("lot-kept", minted=201), "B4"),
    ("a superseded receipt is back", receipt_with("receipt-bob", state="TOKENISED"), "B4"),
    ("a burned lot is back", lot_with("lot-left", state="ACTIVE", burned=0), "B4"),
    ("goods came back", receipt_with("receipt-gone", state="TOKENISED"), "B4"),
    ("goods left without an exit", receipt_with("receipt-kept", state="SUPERSEDED"), "B4"),
    ("part of what left was burned", lot_with("lot-gone", burned=299), "B4"),
    ("the merged lot is of another receipt", lot_with("lot-whole", receipt_id="other"), "B4"),
    ("an exit undone", an_exit_undone, "B7"),
    ("the other chain decided", the_other_chain_decided, "B14"),
    ("another parent", another_parent, "B4"),
    ("a forgotten parent", a_forgotten_parent, "B4"),
    ("a cheaper exit", a_cheaper_exit, "B15"),
    ("goods that came later", goods_that_came_later, "B15"),
    ("no word of the fee", no_word_of_the_fee, "B15"),
]


def test_what_left_was_split_and_merged_is_right_on_both_chains() -> None:
    report = judged(_story().twin())
    assert (report.aborted, report.open_transfers, report.ahead) == (0, (), 0)


@pytest.mark.parametrize(("name", "change", "invariant"), CHANGES, ids=[one[0] for one in CHANGES])
def test_what_differs_between_the_chains_is_named(
    name: str, change: Change, invariant: str
) -> None:
    pair = _story().twin()
    change(pair.business.ledger, pair.asset.ledger)
    with pytest.raises(Violated) as caught:
        check_pair(pair.business.ledger, pair.asset.ledger)
    assert caught.value.finding.invariant == invariant, name


@pytest.mark.parametrize(
    "change",
    [
        a_cheaper_exit, a_forgotten_parent, another_parent, a_receipt_without_parents,
        receipt_with("receipt-gone", state="TOKENISED"),
        receipt_with("receipt-kept", state="RELEASING"),
        lot_with("lot-gone", state="ACTIVE"), lot_with("lot-alice", burned=1_001),
    ],
)  # fmt: skip
def test_one_chain_by_itself_sees_what_it_can(change: Change) -> None:
    pair = _story().twin()
    change(pair.business.ledger, pair.asset.ledger)
    assert broken(pair)
