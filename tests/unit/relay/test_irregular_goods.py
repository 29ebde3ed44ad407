"""Goods that go wrong while they are sold: real ledgers, a real relay, and the people in between.

An event fires a rule on the books, its hold travels, purchases are refused on the asset chain; the
warehouse answers, an administrator approves, the hold is lifted on both, and the purchase goes on.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from assetchain.contracts.lots.queries import impairment_of
from bizchain.contracts.incidents.queries import case_of
from bizchain.contracts.incidents.types import RULE_AUTHORITY
from bizchain.contracts.logistics.queries import head_of
from bizchain.contracts.receipts.queries import receipt_of
from bizchain.v1 import operation_pb2 as pb
from common.crypto.digest import sha256
from common.errors import Reason, TransferReason
from common.ledger.holds import holds_of
from tests.kit.relays import HarnessRelay, ended, run
from tests.kit.two_chains import UNITS, LiveChain, TwoChains, author_of

RECEIPT = "coil-1"
PHOTO, LETTER = sha256(b"a photograph of the hall"), sha256(b"the letter of the warehouse")
SHORT, MOVED = "quantity-below-tolerance-1", "moved-while-tokenised-1"
FREEZE_MS_MAX = 2_000
"""How long a hold may take to the asset chain, once it is final on the books."""


class Yard:
    """The pair, one honest relay, and those who act."""

    def __init__(self) -> None:
        self.pair = TwoChains()
        self.relay = HarnessRelay(self.pair)
        self.run(2)

    def run(self, seconds: int, **until: Any) -> None:
        run(self.pair, [self.relay], seconds=seconds, **until)
        self.pair.check()

    def act(self, by: str, kind: str, operation: Message) -> Reason | None:
        party, _, user = by.partition("/")
        books = self.pair.books
        composed = books.signed(kind, operation, author_of(party, user or "first"))
        [refused] = books.run(self.pair.now, composed)
        self.pair.check()
        return refused

    def post(self, kind: str = "stock-take", quantity: int = UNITS, place: str = "hall 7") -> None:
        state = self.pair.books.ledger.state
        receipt = receipt_of(state, RECEIPT)
        assert receipt is not None
        event = pb.PostEvent(
            receipt_id=RECEIPT,
            kind=kind,
            event_unix_ms=self.pair.books.time_unix_ms,
            place=place,
            quantity=quantity,
            previous_hash=head_of(state, receipt).hash,
            evidence_hash=PHOTO,
        )
        assert self.act("store", "post_event", event) is None

    def held(self, chain: LiveChain) -> list[str]:
        holds = holds_of(chain.ledger.state, "receipt", RECEIPT)
        return [hold.case_id for hold in holds if hold.authority == RULE_AUTHORITY]

    def until_held_on_both(self, *cases: str) -> int:
        """How long it takes until these cases, and no others, hold on the asset chain too."""
        assert self.held(self.pair.books) == list(cases)
        begun = self.pair.now
        self.run(10, until=lambda: self.held(self.pair.assets) == list(cases))
        assert self.held(self.pair.assets) == list(cases)
        return self.pair.now - begun

    def lift(self, case_id: str) -> None:
        answer: dict[str, Any] = {
            "receipt_id": RECEIPT,
            "case_id": case_id,
            "evidence_hash": LETTER,
        }
        assert self.act("store", "counter_report", pb.CounterReport(**answer)) is None
        found = case_of(self.pair.books.ledger.state, RECEIPT, case_id)
        assert found is not None
        approval = pb.ApproveCounterReport(**answer, event_number=found.event_number)
        assert self.act("platform/second", "approve_counter_report", approval) is None

    def buy(self) -> bytes:
        """A purchase, handed to the relay."""
        return self.relay.hand_over(self.pair.package(self.pair.trade(seconds=20)))


def test_a_purchase_of_goods_that_went_wrong_is_refused_until_two_firms_lift_the_hold() -> None:
    yard = Yard()
    before = yard.buy()
    yard.run(5)
    assert ended(yard.pair, [before], "SETTLED", "COMMITTED")

    yard.post(quantity=UNITS * 99 // 100)
    assert yard.until_held_on_both(SHORT) <= FREEZE_MS_MAX

    during = yard.buy()
    yard.run(30)
    assert ended(yard.pair, [during], "RELEASED", "ABORTED")
    refusals = [code for code, *_ in yard.pair.assets.results.values()]
    assert TransferReason.SUBJECT_HELD.number in refusals

    yard.lift(SHORT)
    assert yard.until_held_on_both() <= FREEZE_MS_MAX
    after = yard.buy()
    yard.run(5)
    assert ended(yard.pair, [after], "SETTLED", "COMMITTED")


def test_goods_that_move_while_a_sale_is_under_way_are_not_sold() -> None:
    """The money is reserved already; the rule fires before the sale is decided, and the hold comes
    with whatever the relay brings next.
    """
    yard = Yard()
    sale = yard.buy()
    yard.run(5, until=lambda: yard.pair.books.state_of(sale) == "RESERVED")
    assert ended(yard.pair, [sale], "RESERVED", "")
    yard.post(kind="move", place="the gate")
    yard.run(30)
    assert ended(yard.pair, [sale], "RELEASED", "ABORTED")
    assert yard.held(yard.pair.assets) == [MOVED]


def test_lifting_one_case_lifts_no_other_and_a_loss_travels() -> None:
    yard = Yard()
    yard.post(kind="move", place="the gate")
    yard.post(quantity=UNITS // 2, place="hall 7")
    short = "quantity-below-tolerance-2"
    assert yard.until_held_on_both(MOVED, short) <= FREEZE_MS_MAX
    yard.lift(MOVED)
    assert yard.until_held_on_both(short) <= FREEZE_MS_MAX

    loss: dict[str, Any] = {"receipt_id": RECEIPT, "quantity": UNITS // 2, "evidence_hash": PHOTO}
    assert yard.act("store", "report_loss", pb.ReportLoss(**loss)) is None
    assert yard.act("platform", "confirm_loss", pb.ConfirmLoss(**loss)) is None
    yard.run(2)
    notice = impairment_of(yard.pair.assets.ledger.state, RECEIPT)
    assert notice is not None
    assert (notice.total, notice.valuation) == (UNITS // 2, 0)
    assert yard.held(yard.pair.assets) == [short]

    yard.post(quantity=UNITS - UNITS // 2, place="hall 7")
    yard.lift(short)
    assert yard.until_held_on_both() <= FREEZE_MS_MAX
