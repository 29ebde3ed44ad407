"""Any number of splits, merges and exits of the same goods at once: they are the same goods after.

Nothing on the books keeps one from beginning while another is open, so whoever owns nothing of a
lot keeps nobody from it. What agrees with what is left of it commits; all else ends without trace.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from assetchain.contracts.holdings.queries import holding_of
from assetchain.contracts.lots.queries import left_of, lot_of
from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.receipts.keys import RECASTING, RECEIPT
from common.ledger.lineage import Part
from common.transfer.machine import TransferState
from common.transfer.terms import Mode
from relay.agreement import Agreement
from tests.kit.exits import approve, ask, issued, judged, leave, part, recast
from tests.kit.logistics import (
    accept,
    approve_withdrawal,
    deliver,
    report_loss,
    withdraw_loss,
)
from tests.kit.pair import RECEIPT_UNITS, Pair, furnished

OWNERS = ("alice", "bob", "warehouse")
WHO = st.sampled_from((*("alice",) * 4, "bob", "warehouse"))
MODES = st.sampled_from((Mode.EXPRESS, Mode.TWO_STEP))
UNITS = st.sampled_from((1, 1, 300, 500, 1_000))


class Goods:
    """Alice's lots, parts of which are bob's, and all transfers of them that are open."""

    def __init__(self) -> None:
        self.pair: Pair = furnished()
        more, rest = (issued(self.pair, name, RECEIPT_UNITS) for name in ("more", "rest"))
        self.names = [("receipt-alice", "lot-alice"), more, rest]
        move = MoveTitle(lot_id="lot-alice", receiver="bob", quantity=500, reference="sold")
        assert self.pair.asset.do("alice", move_title=move) is None
        self.open: list[Agreement] = []
        self.made = 0

    def _child(self, quantity: int) -> Part:
        self.made += 1
        child = part(f"part-{self.made}", quantity)
        self.names.append((child.receipt_id, child.lot_id))
        return child

    def _there(self) -> list[tuple[str, str]]:
        """What there is by now: of most names that were agreed on nothing came."""
        state = self.pair.asset.ledger.state
        lots = [(name, lot_of(state, name[1])) for name in self.names]
        return [name for name, lot in lots if lot is not None and lot.state == "ACTIVE"]

    def split(self, draw: st.DataObject) -> None:
        """By whoever says that goods are theirs."""
        parent = draw.draw(st.sampled_from(self._there()))
        children = [self._child(draw.draw(UNITS)) for _ in range(draw.draw(st.integers(1, 2)))]
        owner, mode = draw.draw(WHO), draw.draw(MODES)
        self._begin(recast(self.pair, owner, [parent], children, mode=mode))

    def merge(self, draw: st.DataObject) -> None:
        if len(self._there()) < 2:
            return
        two = st.lists(st.sampled_from(self._there()), min_size=2, max_size=2, unique=True)
        parents = draw.draw(two)
        lots = [lot_of(self.pair.asset.ledger.state, lot_id) for _, lot_id in parents]
        quantity = sum(left_of(one) for one in lots if one is not None)
        owner, mode = draw.draw(WHO), draw.draw(MODES)
        self._begin(recast(self.pair, owner, parents, [self._child(quantity or 1)], mode=mode))

    def leave(self, draw: st.DataObject) -> None:
        """Asked for and approved whether or not anybody has begun anything with the goods."""
        receipt_id, lot_id = draw.draw(st.sampled_from(self._there()))
        holder, mode = draw.draw(WHO), draw.draw(MODES)
        if self.pair.business.ledger.state.get(RECEIPT, RECEIPT.key(receipt_id)) is None:
            return
        if ask(self.pair, receipt_id, holder) is None:
            approve(self.pair, receipt_id, holder)
        self.pair.carry()
        self._begin(leave(self.pair, receipt_id, lot_id, holder, mode=mode))

    def deliver(self, draw: st.DataObject) -> None:
        """Goods that were let out are gone, if there are any."""
        books = self.pair.business.ledger.state
        rows = [books.get(RECEIPT, RECEIPT.key(receipt_id)) for receipt_id, _ in self.names]
        out = [row for row in rows if row is not None and row.state == "RELEASING"]
        if out:
            receipt = draw.draw(st.sampled_from(out))
            assert deliver(self.pair, receipt.receipt_id) is None
            assert accept(self.pair, receipt.receipt_id, receipt.owner) is None

    def _begin(self, deal: Agreement) -> None:
        if self.pair.reserve(deal) is None:
            self.open.append(deal)

    def step(self, draw: st.DataObject) -> None:
        """One more step of an open transfer, whatever it is."""
        if not self.open:
            return
        pair, deal = self.pair, draw.draw(st.sampled_from(self.open))
        decider = pair.decider_of(deal)
        pair.carry()
        stands = decider.state_of(deal.transfer_id)
        if stands is TransferState.RESERVED:
            pair.commit(deal)
        elif stands is TransferState.NONE and deal.terms.mode == Mode.TWO_STEP:
            pair.reserve(deal, decider)
        elif stands is TransferState.NONE:
            pair.decide(deal)
        else:
            assert pair.settle(deal) is None
            self.open.remove(deal)
        pair.carry()

    def end(self, draw: st.DataObject) -> None:
        if self.open:
            deal = draw.draw(st.sampled_from(self.open))
            self.pair.decline(deal, deal.owners[0])

    def lose(self, draw: st.DataObject) -> None:
        report_loss(self.pair, draw.draw(st.sampled_from(self.names))[0], draw.draw(UNITS))

    def find(self, draw: st.DataObject) -> None:
        """What was reported lost is there, if it was."""
        receipt_id = draw.draw(st.sampled_from(self.names))[0]
        withdraw_loss(self.pair, receipt_id)
        approve_withdrawal(self.pair, receipt_id)

    def judge(self) -> None:
        """Both chains are right, together, and all units are somebody's or have left."""
        judged(self.pair)
        state, books = self.pair.asset.ledger.state, self.pair.business.ledger.state
        lots = [lot for _, lot_id in self.names if (lot := lot_of(state, lot_id)) is not None]
        holdings = [holding_of(state, owner, lot.lot_id) for owner in OWNERS for lot in lots]
        there = sum(holding.free + holding.reserved for holding in holdings)
        burned = {lot.receipt_id for lot in lots if lot.state == "BURNED"}
        out = sum(
            receipt.quantity
            for _, receipt in books.scan(RECEIPT)
            if receipt.state in {"RELEASING", "DELIVERED"} and receipt.receipt_id in burned
        )
        assert there == sum(left_of(lot) for lot in lots) == 3 * RECEIPT_UNITS - out

    def finish(self) -> None:
        """Every transfer that is open ends by its deadline, and the books count none any more."""
        self.pair.advance(100_000)
        self.pair.fresh()
        for deal in self.open:
            self.pair.carry()
            self.pair.expire(deal)
            self.pair.carry()
            assert self.pair.settle(deal) is None
            self.pair.carry()
            self.judge()
        assert list(self.pair.business.ledger.state.scan(RECASTING)) == []


STEPS = (
    *("split",) * 4,
    *("merge",) * 3,
    "leave",
    "deliver",
    *("step",) * 8,
    "end",
    "lose",
    "find",
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_goods_that_many_transfers_are_about_are_the_same_goods_after_all(
    data: st.DataObject,
) -> None:
    goods = Goods()
    for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=4, max_size=20)):
        getattr(goods, step)(data)
        goods.judge()
    goods.finish()
