"""Whole ledgers that a dishonest quorum, or a node's changed code, has written.

A world in which everything has happened once, and ways to change what it says. The change is in
the state, so that the next block's roots, header and certificate are all made over it: nothing but
the rules themselves can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from msgspec.structs import replace

from assetchain.contracts.holdings.keys import HOLDING
from assetchain.contracts.lots.keys import BACKING, IMPAIRMENT, LOT, ROOT, VALUATION
from assetchain.contracts.lots.types import Root
from bizchain.contracts.applications.keys import APPLICATION
from bizchain.contracts.authority.keys import CHANGE, STANDING
from bizchain.contracts.cash.keys import CASH, CURRENCY_BOOK, ISSUANCE
from bizchain.contracts.cash.types import (
    FEE_SCHEDULE,
    FEE_SCHEDULE_FORMAT,
    PLATFORM_FEES,
    FeeSchedule,
)
from bizchain.contracts.documents.keys import INVOICE_NAME, SEALED_DOCUMENT, SEALED_KEY
from bizchain.contracts.incidents.keys import CASE, LOSS
from bizchain.contracts.incidents.types import Approval
from bizchain.contracts.invoices.keys import INVOICE, ORDER_USE, RECEIPT_USE
from bizchain.contracts.logistics.keys import GOODS_EVENT, HANDOVER, HEAD, SSCC, event_key
from bizchain.contracts.logistics.types import Claim
from bizchain.contracts.receipts.keys import DELIVERY, RECEIPT
from bizchain.contracts.receipts.types import Delivery
from common.encoding import encode
from common.governance.types import BALLOT, OPEN_PROPOSALS, OpenProposals, Vote
from common.ledger.grades import GRADE, POLICY_TABLE
from common.ledger.holds import HOLD
from common.ledger.identity import PARTY, User
from common.ledger.state import Table
from common.ledger.versions import VERSION, content_hash
from relay.audit.pair import check_pair
from relay.audit.replay import Replay
from tests.kit import authority, cast, logistics
from tests.kit.council import Council
from tests.kit.pair import Pair, furnished
from tests.kit.papers import Papers
from tests.kit.side import Side

ALICES_KEY = cast.key_of("alice:maker").public_key.hex()

__all__ = ["TAMPERINGS", "Tampering", "audited", "world"]

NEW_BASIS_POINTS = 20


@cache
def _world() -> Pair:
    pair = furnished()
    schedule = encode(FeeSchedule(FEE_SCHEDULE_FORMAT, NEW_BASIS_POINTS, 0))
    Council(pair).decide(FEE_SCHEDULE, PLATFORM_FEES, content=schedule, proposer="core")
    pair.carry()
    council = Council(pair)
    assert council.propose(council.proposal("parameter", "deadline_min_ms", value=5_000,
                                            proposer="core")) is None  # fmt: skip
    pair.join(logistics.HAULIER, "carrier")
    made = Papers(pair)
    made.trade()
    assert made.match() is None
    for _ in range(2):
        assert logistics.post(pair, "receipt-alice", ssccs=[logistics.SSCC]) is None
    assert logistics.post(pair, "receipt-alice", alarm="41 C") is None
    assert logistics.post(pair, "receipt-bob", alarm="water") is None
    assert logistics.answer(pair, "receipt-bob", "sensor-alarm-1") is None
    assert logistics.approve(pair, "receipt-bob", "sensor-alarm-1") is None
    assert logistics.report_loss(pair, "receipt-bob", 5) is None
    assert logistics.confirm_loss(pair, "receipt-bob", 5) is None
    assert logistics.hand(pair, "receipt-carol") is None
    assert logistics.take(pair, "receipt-carol") is None
    authority.grade(pair, "bob", "BBB")
    authority.in_force(pair, 1, {"BBB": ("X2",)})
    pair.carry()
    pair.fresh()
    return pair


def world() -> Pair:
    """Both chains after all of it: clean, and one's own to change."""
    return _world().twin()


def audited(pair: Pair) -> None:
    """What the audit judges of two whole ledgers. Raises `Violated`."""
    for side in pair.sides:
        side.block()  # roots, header and certificate are made over what was changed
        replay = Replay(side.chain, side.genesis)
        replay.ledger = side.ledger
        replay.finish()
    check_pair(pair.business.ledger, pair.asset.ledger)


class Tampering(NamedTuple):
    """What is changed, and the finding that must name it."""

    change: Callable[[Pair], None]
    invariant: str
    says: str


def _row(side: Side, table: Table[Any], key: bytes) -> Any:
    found = side.ledger.state.get(table, key)
    assert found is not None, key
    return found


def books(table: Table[Any], *parts: str, **fields: Any) -> Callable[[Pair], None]:
    """Fields of a row of the business books become these, or what these make of the old."""
    return lambda pair: _write(pair.business, table, table.key(*parts), fields)


def assets(table: Table[Any], *parts: str, **fields: Any) -> Callable[[Pair], None]:
    return lambda pair: _write(pair.asset, table, table.key(*parts), fields)


def both(table: Table[Any], *parts: str, **fields: Any) -> Callable[[Pair], None]:
    """The same lie on both chains, so that their mirror shows nothing."""

    def change(pair: Pair) -> None:
        for side in pair.sides:
            _write(side, table, table.key(*parts), fields)

    return change


def gone(table: Table[Any], *parts: str) -> Callable[[Pair], None]:
    return lambda pair: pair.business.ledger.state.delete(table, table.key(*parts))


def first(table: Table[Any], **fields: Any) -> Callable[[Pair], None]:
    """The first row of a table, whatever its key; without fields it is deleted."""

    def change(pair: Pair) -> None:
        key, _ = next(iter(pair.business.ledger.state.scan(table)))
        if fields:
            _write(pair.business, table, key, fields)
        else:
            pair.business.ledger.state.delete(table, key)

    return change


def _write(side: Side, table: Table[Any], key: bytes, fields: dict[str, Any]) -> None:
    row = _row(side, table, key)
    made = {name: one(getattr(row, name)) if callable(one) else one for name, one in fields.items()}
    side.ledger.state.put(table, key, replace(row, **made))


def more(by: int) -> Callable[[int], int]:
    return lambda value: value + by


# --- changes that take more than one row --------------------------------------------------------


def delivered_by_nobody(pair: Pair) -> None:
    books(RECEIPT, "receipt-alice", state="DELIVERED")(pair)


def delivered_without_a_transfer(pair: Pair) -> None:
    """Both rows agree: but nothing ever let the goods out of the asset chain."""
    books(RECEIPT, "receipt-carol", state="DELIVERED")(pair)
    taken = Delivery("receipt-carol", "ACCEPTED", "warehouse", "carol", 1, b"\x01" * 32)
    pair.business.ledger.state.put(DELIVERY, DELIVERY.key("receipt-carol"), taken)


def hold_lifted_by_nobody(pair: Pair) -> None:
    for side in pair.sides:
        side.ledger.state.delete(HOLD, HOLD.key("receipt", "receipt-alice"))


def case_closed_by_nobody(pair: Pair) -> None:
    """Case, head and hold agree with each other; only nobody answered."""
    hold_lifted_by_nobody(pair)
    books(CASE, "receipt-alice", "sensor-alarm-3", state="LIFTED", lifted_unix_ms=5)(pair)
    books(HEAD, "receipt-alice", open_cases=())(pair)


def money_from_nothing(pair: Pair) -> None:
    books(CASH, "alice", "EUR", available=more(1_000))(pair)


def money_and_issuance_from_nothing(pair: Pair) -> None:
    money_from_nothing(pair)
    books(ISSUANCE, "EUR", "bank", issued=more(1_000))(pair)


def overdrawn(pair: Pair) -> None:
    books(CASH, "alice", "EUR", available=-1)(pair)


def reserved_for_nothing(pair: Pair) -> None:
    books(CASH, "alice", "EUR", available=more(-7), reserved=more(7))(pair)


def another_schedule_with_its_hash(pair: Pair) -> None:
    content = encode(FeeSchedule(FEE_SCHEDULE_FORMAT, 9_000, 0))
    first(VERSION, content=content, content_hash=content_hash(content))(pair)


def policy_unreadable(pair: Pair) -> None:
    content = encode(authority.policy({"Z": ()}))
    for side in pair.sides:
        rows = side.ledger.state.scan(VERSION)
        key, row = next((key, row) for key, row in rows if row.kind == POLICY_TABLE)
        changed = replace(row, content=content, content_hash=content_hash(content))
        side.ledger.state.put(VERSION, key, changed)


def voted_twice(pair: Pair) -> None:
    first(BALLOT, votes=lambda votes: (*votes, Vote("core", True, 1), Vote("core", True, 1)))(pair)


def outcome_against_votes(pair: Pair) -> None:
    key, ballot = next(
        (key, row) for key, row in pair.business.ledger.state.scan(BALLOT) if row.state == "OPEN"
    )
    pair.business.ledger.state.put(BALLOT, key, replace(ballot, state="FAILED"))
    state = pair.business.ledger.state
    state.put(OPEN_PROPOSALS, OPEN_PROPOSALS.key("core"), OpenProposals(0))


def key_smuggled_in(pair: Pair) -> None:
    user = User("third", cast.key_of("smuggled").public_key)
    both(PARTY, "bob", users=lambda users: (*users, user))(pair)


def units_from_nothing(pair: Pair) -> None:
    assets(HOLDING, "alice", "lot-alice", free=more(10))(pair)


def units_moved_to_escrow(pair: Pair) -> None:
    assets(HOLDING, "alice", "lot-alice", free=more(-10), reserved=more(10))(pair)


def two_lots_of_a_receipt(pair: Pair) -> None:
    assets(LOT, "lot-bob", receipt_id="receipt-alice")(pair)


def root_of_another_lot(pair: Pair) -> None:
    state = pair.asset.ledger.state
    state.put(ROOT, ROOT.key("receipt-alice"), Root("lot-bob"))


def burned_by_nobody(pair: Pair) -> None:
    pair.asset.ledger.state.delete(ROOT, ROOT.key("receipt-alice"))
    assets(HOLDING, "alice", "lot-alice", free=0)(pair)
    assets(LOT, "lot-alice", state="BURNED", burned=1_000)(pair)


def burned_and_minted(pair: Pair) -> None:
    """More units on both sides of a lot's own books; the goods are what they were."""
    assets(LOT, "lot-alice", minted=more(10))(pair)
    assets(HOLDING, "alice", "lot-alice", free=more(10))(pair)


def event_forgotten(pair: Pair) -> None:
    state = pair.business.ledger.state
    state.delete(GOODS_EVENT, event_key("receipt-alice", 2))


def container_of_nothing(pair: Pair) -> None:
    state = pair.business.ledger.state
    state.put(SSCC, SSCC.key(logistics.OTHER_SSCC), Claim("receipt-none", "gate"))


TAMPERINGS: dict[str, Tampering] = {
    "receipt delivered by nobody": Tampering(delivered_by_nobody, "B14", "0 taken, 1 delivered"),
    "receipt delivered outside any flow": Tampering(
        delivered_without_a_transfer, "B14", "0 exits used, 1 let out"
    ),
    "tokenised receipt of another owner": Tampering(
        books(RECEIPT, "receipt-alice", owner="bob"), "B14", "receipt-alice"
    ),
    "tokenised receipt of more goods": Tampering(
        books(RECEIPT, "receipt-alice", quantity=more(10)), "B14", "does not follow"
    ),
    "more units than goods": Tampering(burned_and_minted, "B4", "receipt-alice differ"),
    "hold lifted on both chains": Tampering(hold_lifted_by_nobody, "B5", "0 hold"),
    "case closed without an answer": Tampering(case_closed_by_nobody, "B14", "sensor-alarm-3"),
    "answer approved by its author": Tampering(
        books(CASE, "receipt-bob", "sensor-alarm-1", approvals=(Approval("bank", "warehouse"),)),
        "B14", "sensor-alarm-1",
    ),
    "answer approved in no such role": Tampering(
        books(CASE, "receipt-bob", "sensor-alarm-1", approvals=(Approval("buyer", "alice"),)),
        "B14", "sensor-alarm-1",
    ),
    "more lost than there was": Tampering(
        books(LOSS, "receipt-bob", impaired=1_001), "B14", "1001 units"
    ),
    "event forgotten": Tampering(event_forgotten, "B14", "event 2 is missing"),
    "event of another place": Tampering(
        lambda pair: _write(pair.business, GOODS_EVENT, event_key("receipt-alice", 1),
                            {"place": "gate 9"}),
        "B14", "does not follow",
    ),
    "head in another place": Tampering(
        books(HEAD, "receipt-alice", place="gate 9"), "B14", "receipt-alice"
    ),
    "handover to oneself": Tampering(
        books(HANDOVER, "receipt-carol", giver=logistics.HAULIER), "B14", "handover 1"
    ),
    "handover taken by a third": Tampering(
        books(HANDOVER, "receipt-carol", receiver="bob"), "B14", "handover 1"
    ),
    "container of no goods": Tampering(container_of_nothing, "B14", "receipt-none"),
    "document read with a key nobody had": Tampering(
        first(SEALED_KEY, key_number=7), "B14", "never had such a key"
    ),
    "document of another owner": Tampering(
        books(SEALED_DOCUMENT, "bob", "order-1", owner="alice"), "B14", "order-1"
    ),
    "document without readers": Tampering(
        gone(SEALED_DOCUMENT, "bob", "order-1"), "B14", "a key of no document"
    ),
    "invoice that may come again": Tampering(first(INVOICE_NAME), "B16", "not found by its hash"),
    "invoice matched in spite of differences": Tampering(
        books(INVOICE, "alice", "invoice-1", differences_count=2), "B14", "invoice-1"
    ),
    "invoice disputed over nothing": Tampering(
        books(INVOICE, "alice", "invoice-1", state="DISPUTED"), "B16", "was not matched"
    ),
    "invoice of a higher sum": Tampering(
        books(INVOICE, "alice", "invoice-1", payable_minor=more(1)), "B16", "another sum"
    ),
    "invoice of another number": Tampering(
        books(INVOICE, "alice", "invoice-1", number="INV-9"), "B16", "INV-9"
    ),
    "order billed for less": Tampering(
        books(ORDER_USE, "bob", "order-1", payable_minor=more(-1)), "B16", "another sum"
    ),
    "receipt advice free again": Tampering(
        gone(RECEIPT_USE, "warehouse", "receipt-1"), "B16", "no receipt backs"
    ),
    "money from nothing": Tampering(money_from_nothing, "I2", "1000 minor units"),
    "money and its issuance from nothing": Tampering(
        money_and_issuance_from_nothing, "B6", "by banks differs"
    ),
    "account overdrawn": Tampering(overdrawn, "B6", "negative balance"),
    "money reserved for nothing": Tampering(reserved_for_nothing, "B8", "differ by -7"),
    "book of a currency too small": Tampering(
        books(CURRENCY_BOOK, "EUR", issued=more(-1)), "B6", "differs by 1"
    ),
    "schedule changed": Tampering(first(VERSION, content=b"\x93\x01\x02\x03"), "B12", "differs"),
    "schedule changed with its hash": Tampering(
        another_schedule_with_its_hash, "B14", "was not voted"
    ),
    "version in force earlier": Tampering(
        first(VERSION, previous_height=9_999), "B12", "overlap"
    ),
    "vote counted twice": Tampering(voted_twice, "B14", "only one"),
    "outcome against the votes": Tampering(outcome_against_votes, "B14", "is FAILED"),
    "change by one person": Tampering(first(CHANGE, maker="a/b", checker="a/b"), "B14", "and chec"),
    "change of one's own firm": Tampering(
        lambda pair: first(CHANGE, maker=f"{_first_party(pair)}/maker")(pair), "B14", "own firm"
    ),
    "key of nobody": Tampering(key_smuggled_in, "B14", "the key of third"),
    "key that stands under another": Tampering(
        books(STANDING, "key", ALICES_KEY, party_id="bob"), "B14", "stands under another"
    ),
    "grade nobody set, on both chains": Tampering(both(GRADE, "bob", grade="AAA"), "B12", "bob"),
    "policy nobody can judge by, on both chains": Tampering(
        policy_unreadable, "B12", "policy 1"
    ),
    "grade of another level on one chain": Tampering(
        assets(GRADE, "bob", grade="AAA"), "mirror", "grades"
    ),
    "valuation of another amount on one chain": Tampering(
        assets(VALUATION, "receipt-bob", amount=more(1)), "mirror", "valuations"
    ),
    "loss forgotten by one chain": Tampering(
        lambda pair: pair.asset.ledger.state.delete(IMPAIRMENT, IMPAIRMENT.key("receipt-bob")),
        "mirror", "losses",
    ),
    "lot of another receipt": Tampering(
        assets(BACKING, "lot-alice", receipt_hash=bytes(32)), "B4", "lot-alice names another"
    ),
    "lot by another valuation": Tampering(
        assets(BACKING, "lot-alice", valuation_hash=bytes(32)), "B4", "lot-alice names another"
    ),
    "units from nothing": Tampering(units_from_nothing, "B3", "10 units"),
    "units in escrow for nothing": Tampering(units_moved_to_escrow, "B8", "lot-alice"),
    "two lots of a receipt": Tampering(two_lots_of_a_receipt, "B1", "do not agree"),
    "root of another lot": Tampering(root_of_another_lot, "B1", "do not agree"),
    "lot minted without an application": Tampering(
        gone(APPLICATION, "receipt-alice"), "B14", "1 applications used, 2 tokenised by X1"
    ),
    "approval that was never used": Tampering(
        books(APPLICATION, "receipt-alice", state="APPROVED"), "B14",
        "1 applications used, 2 tokenised by X1",
    ),
    "application approved by its maker": Tampering(
        books(APPLICATION, "receipt-alice", checker="operator/maker"), "B14", "receipt-alice",
    ),
    "approved by another valuation": Tampering(
        books(APPLICATION, "receipt-alice", valuation_hash=bytes(32)), "B14", "another valuation",
    ),
    "lot of no receipt": Tampering(
        lambda pair: pair.asset.ledger.state.delete(BACKING, BACKING.key("lot-alice")),
        "B14", "lot-alice names no receipt",
    ),
    "lot burned by nobody": Tampering(burned_by_nobody, "B4", "receipt-alice differ"),
}  # fmt: skip


def _first_party(pair: Pair) -> str:
    _, change = next(iter(pair.business.ledger.state.scan(CHANGE)))
    return change.party_id
