"""Any order of listing, buying, cancelling, closing and holding: the books and the audit agree.

Whatever a leg says, a sale is refused or within its mandate; no unit is lost, sold twice or left
without a reason; and no content stops a ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as replace_dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from assetchain.contracts.holdings.keys import HOLDING
from assetchain.contracts.listings.keys import LISTING
from assetchain.contracts.listings.queries import listing_of
from common.amount import AMOUNT_MAX
from common.encoding import encode
from common.ledger.holds import holds_of
from common.ledger.ledger import AppliedBlock
from common.ledger.transition import Parsed
from common.transfer.terms import Mode, leg_hash
from relay.agreement import Agreement
from relay.audit.pair import check_pair
from relay.audit.sales import SaleBook
from tests.kit import authority, listed
from tests.kit.council import check_invariants
from tests.kit.pair import Pair, furnished
from tests.kit.side import Side

NAMES = ("spring-1", "spring-2")
PARTIES = ("alice", "bob", "carol")
QUANTITIES = st.sampled_from((1, 7, 40, 60, 100, 1_000))
ODD: dict[str, st.SearchStrategy[Any]] = {
    "buyer": st.sampled_from((*PARTIES, "nobody", "a/b", "", "x" * 600)),
    "seller": st.sampled_from((*PARTIES, "", "\U0001f600")),
    "lot_id": st.sampled_from(("lot-alice", "lot-bob", "a/b", "x" * 600)),
    "quantity": st.sampled_from((0, -1, 1, 2**63 - 1, -(2**63))),
    "listing_id": st.sampled_from((*NAMES, "nothing", "a/b", "", "x" * 600)),
    "disclosed_unix_ms": st.sampled_from((0, -(2**63), 2**63 - 1)),
    "disclosure_hash": st.sampled_from((b"", bytes(32), b"\xff" * 600)),
}


class Market:
    """A pair, what was agreed on it, and an audit of each block of the asset chain as it comes."""

    def __init__(self) -> None:
        self.pair: Pair = furnished()
        self.open: list[Agreement] = []
        self._book = SaleBook(self.pair.asset.ledger)
        self.pair.asset.observers.append(self._audit)

    def _audit(self, _: Side, __: Sequence[Parsed], applied: AppliedBlock) -> None:
        assert list(self._book.take(applied.height)) == []

    def offer(self, draw: st.DataObject) -> None:
        listed.offer(
            self.pair,
            draw.draw(st.sampled_from(PARTIES)),
            listing_id=draw.draw(st.sampled_from(NAMES)),
            lot_id=draw.draw(st.sampled_from(("lot-alice", "lot-bob"))),
            quantity=draw.draw(QUANTITIES),
            price=draw.draw(st.sampled_from((1, 3, AMOUNT_MAX))),
            price_quantity=draw.draw(st.sampled_from((1, 2, 1_000_000))),
            minimum_quantity=draw.draw(st.sampled_from((0, 7, 50))),
            minimum_grade=draw.draw(st.sampled_from(("", "BBB"))),
            excluded=draw.draw(st.sampled_from(([], ["carol"]))),
            until_unix_ms=self.pair.asset.now + draw.draw(st.sampled_from((3_000, 10**9))),
        )

    def buy(self, draw: st.DataObject) -> None:
        """A purchase in either mode, as agreed or with one thing in its title leg changed."""
        name = draw.draw(st.sampled_from(NAMES))
        if listing_of(self.pair.asset.ledger.state, name) is None:
            return
        offered = listed.known(self.pair, name)
        deal = listed.purchase(
            self.pair,
            draw.draw(st.sampled_from(PARTIES)),
            draw.draw(st.sampled_from((1, 7, 40, 60, max(offered.remaining, 1)))),
            of=offered,
            mode=draw.draw(st.sampled_from((Mode.EXPRESS, Mode.TWO_STEP))),
        )
        field = draw.draw(st.sampled_from((None, None, None, *ODD)))
        if field:
            leg, _ = self.pair.asset.chain.legs["X2"].read(deal.decider.value)
            deal = _with(deal, encode(replace(leg, **{field: draw.draw(ODD[field])})))
        if self.pair.reserve(deal) is not None:
            return
        self.open.append(deal)
        self.pair.carry()
        if deal.terms.mode == Mode.TWO_STEP:
            self.pair.reserve(deal, self.pair.asset)
        else:
            self.pair.decide(deal)

    def finish(self, draw: st.DataObject) -> None:
        """An open purchase is committed or declined by its buyer, and its cash obeys."""
        if not self.open:
            return
        deal = self.open.pop(draw.draw(st.integers(0, len(self.open) - 1)))
        self.pair.carry()
        if draw.draw(st.booleans()):
            self.pair.commit(deal)
        self.pair.decline(deal, deal.terms.secret_holder)
        self.pair.carry()
        assert self.pair.settle(deal) is None
        self.pair.carry()

    def end(self, draw: st.DataObject) -> None:
        """A listing is cancelled by somebody, or closed in time or too early."""
        name = draw.draw(st.sampled_from(NAMES))
        listed.cancel(self.pair, draw.draw(st.sampled_from(PARTIES)), name)

    def close(self, draw: st.DataObject) -> None:
        self.pair.advance(draw.draw(st.sampled_from((1, 30_000))))
        self.pair.fresh()
        listed.close(self.pair, "carol", draw.draw(st.sampled_from(NAMES)))

    def disturb(self, draw: st.DataObject) -> None:
        """A hold comes, a hold goes, or a grade changes."""
        what = draw.draw(st.sampled_from(("hold", "lift", "grade")))
        held = bool(holds_of(self.pair.business.ledger.state, "party", "bob"))
        if what == "hold" and not held:
            self.pair.hold("party", "bob")
        elif what == "lift" and held:
            self.pair.lift("party", "bob")
        elif what == "grade":
            authority.grade(self.pair, "carol", draw.draw(st.sampled_from(("A", "BB"))))
        self.pair.carry()

    def judge(self) -> None:
        """All invariants, both chains together, and every unit of both lots."""
        for side in self.pair.sides:
            check_invariants(side)
        check_pair(self.pair.business.ledger, self.pair.asset.ledger)
        state = self.pair.asset.ledger.state
        owned = sum(
            one.free + one.on_order + one.pledged + one.reserved for _, one in state.scan(HOLDING)
        )
        assert owned == 2_000
        for _, listing in state.scan(LISTING):
            assert listing.sold + listing.reserved + listing.remaining <= listing.quantity


def _with(deal: Agreement, leg: bytes) -> Agreement:
    decider = replace_dataclass(deal.decider, value=leg)
    terms = replace(deal.terms, decider_leg_hash=leg_hash(leg, decider.salt))
    return replace_dataclass(deal, terms=terms, decider=decider)


STEPS = ("offer", "offer", "buy", "buy", "buy", "finish", "finish", "end", "close", "disturb")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_is_listed_bought_and_ended_stays_within_its_mandate(data: st.DataObject) -> None:
    market = Market()
    until = market.pair.asset.now + data.draw(st.sampled_from((20_000, 10**9)))
    assert listed.offer(market.pair, until_unix_ms=until) is None
    for step in data.draw(st.lists(st.sampled_from(STEPS), min_size=4, max_size=14)):
        getattr(market, step)(data)
        market.judge()
