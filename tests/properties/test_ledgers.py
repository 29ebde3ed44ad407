"""Two ledgers among relays that lie, repeat, reorder, withhold and leak, and users who misbehave.

Every step puts one or more transactions into one block of one chain; many are spoiled, late, early,
repeated or for something else. After every block an oracle that shares no rule with the ledgers
recomputes I1 to I3, B1, B3 to B8, B14 and B16, and all invariants of the chain are asked. In the
end an honest relay and time must lead every transfer to its end (I4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from assetchain.contracts.lots.keys import LOT
from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.v1 import operation_pb2 as pb
from common.encoding import encode
from common.ledger.certificate import Certificate
from common.transfer.machine import TransferState
from common.transfer.terms import Mode
from common.v1.transfer_pb2 import (
    ApplyMessages,
    ClaimTransfer,
    CommitTransfer,
    EventProof,
    ImportHeader,
)
from relay.agreement import Agreement
from tests.kit import cast
from tests.kit.forgery import Spoil, spoiled
from tests.kit.oracle import Oracle
from tests.kit.pair import furnished, furnished_deals, knows
from tests.kit.side import Side

EXAMPLES = 60
STEPS = 50

S = TransferState
small = st.integers(0, 30)
often = st.sampled_from([True, True, True, False])
seldom = st.sampled_from([False] * 7 + [True])
spoils = st.sampled_from([None] * 12 + list(Spoil))
names = st.sampled_from(cast.TRADERS)
TIMES_MS = (1, 500, 3_000, 9_800, 29_800, 30_000, 31_000, 60_000)


class Ledgers(RuleBasedStateMachine):
    """Two chains, an oracle, and everything that was ever said."""

    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.pair = furnished()
        self.oracle = Oracle(self.pair, furnished_deals())
        self.deals: list[Agreement] = []
        self.said: dict[str, list[bytes]] = {side.name: [] for side in self.pair.sides}
        self.withheld: dict[str, list[bytes]] = {side.name: [] for side in self.pair.sides}
        self.operations: dict[str, list[Message]] = {}
        self.names = 0

    # --- saying something

    def say(
        self,
        side: Side,
        sender: str,
        kind: str,
        operation: Message,
        *,
        spoil: Spoil | None = None,
        spot: int = 0,
        withhold: bool = False,
    ) -> None:
        """Submit an operation, perhaps spoiled, now or later."""
        known = self.operations.setdefault(kind, [])
        if spoil is not None:
            operation = spoiled(operation, spot, spoil, known[spot % len(known)] if known else None)
        else:
            known.append(operation)
        raw = side.compose(sender, **{kind: operation}).raw
        self.said[side.name].append(raw)
        if withhold:
            self.withheld[side.name].append(raw)
        else:
            side.block(raw)

    def side(self, is_asset: bool) -> Side:
        return self.pair.asset if is_asset else self.pair.business

    def deal(self, number: int) -> Agreement | None:
        return self.deals[-1 - number % len(self.deals)] if self.deals else None

    # --- the parties

    @rule(
        trader=names, other=names, quantity=st.integers(1, 400), amount=st.integers(1, 300_000),
        within=st.sampled_from([10_000, 15_000, 60_000, 120_000]), two_step=st.booleans(),
        number=small, reuse=seldom, reserve=often,
    )  # fmt: skip
    def agree_on_trade(
        self, trader: str, other: str, quantity: int, amount: int, within: int, two_step: bool,
        number: int, reuse: bool, reserve: bool,
    ) -> None:  # fmt: skip
        lots = [lot.lot_id for _, lot in self.pair.asset.ledger.state.scan(LOT)]
        deal = self.pair.trade(
            trader, other, lot_id=lots[number % len(lots)], quantity=quantity, amount=amount,
            within=within + 2_000, mode=Mode.TWO_STEP if two_step else Mode.EXPRESS,
            random_bytes=self._same_secret(number) if reuse and self.deals else None,
        )  # fmt: skip
        self._agreed(deal, reserve)

    @rule(number=small, two_step=st.booleans(), within=st.sampled_from([10_000, 60_000]),
          reserve=often)  # fmt: skip
    def agree_on_issue(self, number: int, two_step: bool, within: int, reserve: bool) -> None:
        receipts = [one.receipt_id for _, one in self.pair.business.ledger.state.scan(RECEIPT)]
        self.names += 1
        deal = self.pair.issue(
            receipts[number % len(receipts)], f"lot-{self.names % 7}", within=within + 2_000,
            mode=Mode.TWO_STEP if two_step else Mode.EXPRESS,
        )  # fmt: skip
        self._agreed(deal, reserve)

    def _agreed(self, deal: Agreement, reserve: bool) -> None:
        self.oracle.agreed(deal)
        self.deals.append(deal)
        if reserve:
            self.say(
                self.pair.business, "", "reserve_transfer", self.pair.reservation(deal)
            )

    def _same_secret(self, number: int) -> Any:
        """Chance that gives an earlier transfer's secret again: both salts come before it."""
        earlier = self.deals[-1 - number % len(self.deals)].secret
        drawn = iter([None, None, earlier, None])

        def random_bytes(count: int) -> bytes:
            return next(drawn) or self.pair.chance(count)

        return random_bytes

    @rule(trader=names, other=names, amount=st.integers(-1, 400_000), spoil=spoils, spot=small,
          what=st.sampled_from(["deposit", "pay", "withdraw"]))  # fmt: skip
    def move_cash(
        self, trader: str, other: str, amount: int, spoil: Spoil | None, spot: int, what: str
    ) -> None:
        kinds: dict[str, tuple[str, Message]] = {
            "deposit": ("bank", pb.DepositCash(party=trader, currency="EUR", amount=amount)),
            "pay": (trader, pb.PayCash(payee=other, currency="EUR", amount=amount)),
            "withdraw": (trader, pb.WithdrawCash(bank="bank", currency="EUR", amount=amount)),
        }
        sender, operation = kinds[what]
        self.say(
            self.pair.business, sender, f"{what}_cash", operation, spoil=spoil, spot=spot
        )

    @rule(giver=names, receiver=names, quantity=st.integers(0, 300), number=small, withhold=seldom)
    def move_title(
        self, giver: str, receiver: str, quantity: int, number: int, withhold: bool
    ) -> None:
        lots = [lot.lot_id for _, lot in self.pair.asset.ledger.state.scan(LOT)]
        move = MoveTitle(lot_id=lots[number % len(lots)], receiver=receiver, quantity=quantity)
        self.say(self.pair.asset, giver, "move_title", move, withhold=withhold)

    @rule(trader=names, what=st.sampled_from(["report", "issue", "issue", "cancel", "reject"]),
          number=small, quantity=st.integers(1, 900))  # fmt: skip
    def keep_receipts(self, trader: str, what: str, number: int, quantity: int) -> None:
        receipts = [one for _, one in self.pair.business.ledger.state.scan(RECEIPT)]
        chosen = receipts[number % len(receipts)]
        self.names += 1
        kinds: dict[str, tuple[str, Message]] = {
            "report": (
                "warehouse",
                pb.ReportReceipt(
                    receipt_id=f"receipt-{self.names}", owner=trader, goods_code="720839",
                    quantity=quantity, unit="GRM", quality="S235JR", place="hall 4",
                ),
            ),
            "issue": ("operator", pb.IssueReceipt(receipt_id=chosen.receipt_id)),
            "cancel": (chosen.owner, pb.CancelReceipt(receipt_id=chosen.receipt_id)),
            "reject": ("operator", pb.RejectReceipt(receipt_id=chosen.receipt_id, ground="x")),
        }  # fmt: skip
        sender, operation = kinds[what]
        self.say(self.pair.business, sender, f"{what}_receipt", operation)

    @rule(what=st.sampled_from(["party", "receipt", "lot"]), number=small, case=st.integers(1, 2),
          place=st.booleans(), withhold=seldom)  # fmt: skip
    def hold(self, what: str, number: int, case: int, place: bool, withhold: bool) -> None:
        receipts = [one.receipt_id for _, one in self.pair.business.ledger.state.scan(RECEIPT)]
        subjects = {
            "party": cast.TRADERS, "receipt": receipts, "lot": [f"lot-{n}" for n in range(7)],
        }[what]  # fmt: skip
        subject = subjects[number % len(subjects)]
        kind = "place_hold" if place else "lift_hold"
        operation: Message = (
            pb.PlaceHold(subject_kind=what, subject_id=subject, case_id=str(case), ground="x")
            if place
            else pb.LiftHold(subject_kind=what, subject_id=subject, case_id=str(case))
        )
        self.say(self.pair.business, "regulator", kind, operation, withhold=withhold)

    @rule(case=st.integers(1, 2))
    def lift_all(self, case: int) -> None:
        """Authorities are done with their cases, so that trade goes on."""
        for hold in [one for one in self.oracle.standing() if one.case[1] == str(case)]:
            kind, subject = hold.subject
            self.pair.lift(kind, subject, str(case))

    @rule(name=st.sampled_from([*cast.TRADERS, cast.FEE_PARTY]), join=often)
    def join_or_close(self, name: str, join: bool) -> None:
        roles = ("platform",) if name == cast.FEE_PARTY else ("buyer", "supplier")
        if join:
            proposed = cast.party(name, *roles)
            operation = pb.ProposeParty(
                party_id=name, name=name,
                roles=[pb.RoleGrant(role=r.role, until_unix_ms=r.until_unix_ms)
                       for r in proposed.roles],
                users=[pb.User(user_id=u.user_id, public_key=u.public_key)
                       for u in proposed.users],
            )  # fmt: skip
            self.say(self.pair.business, "operator", "propose_party", operation)
            approval = pb.ApproveParty(party_id=name)
            self.say(self.pair.business, "operator:checker", "approve_party", approval)
        elif self.names % 3 == 0:
            self.say(self.pair.business, "operator", "close_party", pb.CloseParty(party_id=name))

    @rule(number=small, by=st.sampled_from([*cast.TRADERS, cast.FEE_PARTY]), asset=seldom)
    def claim(self, number: int, by: str, asset: bool) -> None:
        deal = self.deal(number)
        if deal is not None:
            operation = ClaimTransfer(transfer_id=deal.transfer_id)
            self.say(self.side(asset), by, "claim_transfer", operation)

    # --- relays

    @rule(number=small, spoil=spoils, spot=small, withhold=seldom)
    def next_step(self, number: int, spoil: Spoil | None, spot: int, withhold: bool) -> None:
        """What an honest relay would do next for a transfer, but perhaps spoiled, or not now."""
        deal = self.deal(number)
        if deal is not None:
            side, kind, operation = self._next(deal)
            self.say(side, "", kind, operation, spoil=spoil, spot=spot, withhold=withhold)

    def _next(self, deal: Agreement) -> tuple[Side, str, Message]:
        business, asset = self.pair.states(deal)
        if business is S.NONE:
            return self.pair.business, "reserve_transfer", self.pair.reservation(deal)
        if asset in {S.COMMITTED, S.ABORTED}:
            return self.pair.business, "settle_transfer", self.pair.settlement(deal)
        if self.pair.asset.now >= deal.terms.deadline_unix_ms:
            return self.pair.asset, "expire_transfer", self.pair.expiry(deal)
        if deal.terms.mode == Mode.EXPRESS:
            return self.pair.asset, "reserve_and_commit_transfer", self.pair.decision(deal)
        if asset is S.NONE:
            operation = self.pair.reservation(deal, self.pair.asset)
            return self.pair.asset, "reserve_transfer", operation
        return self.pair.asset, "commit_transfer", self._commit(deal)

    def _commit(self, deal: Agreement) -> CommitTransfer:
        return CommitTransfer(transfer_id=deal.transfer_id, secret=deal.secret)

    @rule(number=small, step=st.sampled_from(range(6)), asset=often, spoil=spoils, spot=small,
          by=st.sampled_from([*cast.TRADERS, "warehouse"]), withhold=seldom)  # fmt: skip
    def any_step(
        self, number: int, step: int, asset: bool, spoil: Spoil | None, spot: int, by: str,
        withhold: bool,
    ) -> None:  # fmt: skip
        """Any operation for any transfer at any time on any chain, with every secret leaked."""
        deal = self.deal(number)
        if deal is None:
            return
        side = self.side(asset)
        kind, operation = (
            ("reserve_transfer", self.pair.reservation(deal, side)),
            ("commit_transfer", self._commit(deal)),
            ("reserve_and_commit_transfer", self.pair.decision(deal)),
            ("expire_transfer", self.pair.expiry(deal, by if spot % 2 else "")),
            ("decline_transfer", self.pair.refusal(deal, by)),
            ("settle_transfer", self.pair.settlement(deal)),
        )[step]
        self.say(side, "", kind, operation, spoil=spoil, spot=spot, withhold=withhold)

    @rule(number=small, other=small, early=st.booleans())
    def settle_with_another_proof(self, number: int, other: int, early: bool) -> None:
        """With the proof of another transfer, of an earlier record, or of the follower itself."""
        deal, donor = self.deal(number), self.deal(other)
        if deal is None or donor is None:
            return
        operation = self.pair.settlement(donor)
        operation.transfer_id = deal.transfer_id
        proof = self.pair.asset.record_proof(deal.transfer_id, 0) if early else None
        own = self.pair.business.record_proof(deal.transfer_id)
        operation.proof.CopyFrom(proof or (own if early else operation.proof) or EventProof())
        self.say(self.pair.business, "", "settle_transfer", operation)

    @rule(asset=st.booleans(), both=often)
    def carry(self, asset: bool, both: bool) -> None:
        """An honest relay has its turn."""
        self.pair.carry_to(self.side(asset))
        if both:
            self.pair.carry_to(self.side(not asset))

    @rule(asset=st.booleans(), back=small, spoil=spoils, spot=small, twice=seldom)
    def import_a_header(
        self, asset: bool, back: int, spoil: Spoil | None, spot: int, twice: bool
    ) -> None:
        """Any header, in any order, any number of times, perhaps spoiled."""
        side = self.side(asset)
        peer = self.pair.other(side)
        operation = peer.header_import(max(1, peer.height - back))
        for _ in range(1 + twice):
            self.say(side, "", "import_header", operation, spoil=spoil, spot=spot)

    @rule(asset=st.booleans(), signers=st.lists(st.sampled_from(cast.NODE_IDS), max_size=6),
          wrong_chain=seldom, back=small)  # fmt: skip
    def import_with_few_signatures(
        self, asset: bool, signers: Sequence[str], wrong_chain: bool, back: int
    ) -> None:
        """Too few signatures never make a header known; three of four nodes are too many to lie."""
        side = self.side(asset)
        peer = self.pair.other(side)
        height = max(1, peer.height - back)
        maker = side if wrong_chain and side.height >= height else peer
        known = knows(side, height)
        certificate: Certificate = maker.certificate(height, signers)
        header = encode(peer.ledger.header_at(height))
        operation = ImportHeader(header=header, certificate=encode(certificate))
        self.say(side, "", "import_header", operation)
        enough = maker is peer and len(set(signers)) >= 3
        assert knows(side, height) == (known or enough)

    @rule(start=st.integers(-3, 2), count=st.integers(1, 4), back=seldom, spoil=spoils, spot=small)
    def apply_messages(
        self, start: int, count: int, back: bool, spoil: Spoil | None, spot: int
    ) -> None:
        """Messages again, with gaps, in reverse, spoiled."""
        peer = self.pair.business
        first = max(0, len(peer.messages) + start - count)
        places = peer.messages[first : first + count]
        proofs = [peer.proof(*place) for place in (reversed(places) if back else places)]
        operation = ApplyMessages(messages=proofs)
        self.say(self.pair.asset, "", "apply_messages", operation, spoil=spoil, spot=spot)

    @rule(asset=st.booleans(), order=st.lists(small, max_size=5))
    def deliver(self, asset: bool, order: Sequence[int]) -> None:
        """What was withheld arrives, in any order, in one block."""
        side = self.side(asset)
        waiting = self.withheld[side.name]
        raws = [waiting.pop(number % len(waiting)) for number in order if waiting]
        side.block(*raws)

    @rule(asset=st.booleans(), chosen=st.lists(st.integers(0, 1_000), min_size=1, max_size=4))
    def say_again(self, asset: bool, chosen: Sequence[int]) -> None:
        """Anything that was ever said is said again."""
        side = self.side(asset)
        said = self.said[side.name]
        if said:
            side.block(*(said[number % len(said)] for number in chosen))

    @rule(trader=names, request=st.integers(900_001, 900_003), amount=st.integers(1, 9))
    def use_a_request_id_again(self, trader: str, request: int, amount: int) -> None:
        operation = pb.DepositCash(party=trader, currency="EUR", amount=amount)
        composed = self.pair.business.compose("bank", request=request, deposit_cash=operation)
        self.said["bizchain"].append(composed.raw)
        self.pair.business.block(composed.raw)

    # --- time

    @rule(milliseconds=st.sampled_from(TIMES_MS), which=st.sampled_from(["both", "both", "one"]),
          asset=st.booleans())  # fmt: skip
    def let_time_pass(self, milliseconds: int, which: str, asset: bool) -> None:
        if which == "both":
            self.pair.advance(milliseconds)
        else:
            side = self.side(asset)
            side.block(at=side.now + milliseconds)

    @rule(number=small, offset=st.sampled_from([-1, 0, 1]))
    def decide_at_the_deadline(self, number: int, offset: int) -> None:
        """The last moment, the deadline itself, and the first moment after."""
        deal = self.deal(number)
        if deal is None:
            return
        self.pair.carry()
        at = deal.terms.deadline_unix_ms + offset
        if self.pair.asset.now >= at:
            return
        self.pair.business.block(at=max(self.pair.business.now + 1, at - 2_000))
        self.pair.carry_to(self.pair.asset)
        side, kind, operation = self._next(deal)
        raws = [self.pair.asset.compose(expire_transfer=self.pair.expiry(deal)).raw]
        if side is self.pair.asset:
            raws.insert(0, side.compose(**{kind: operation}).raw)
        self.pair.asset.block(*raws, at=at)

    @rule(hours=st.sampled_from([1, 2]))
    def let_the_window_pass(self, hours: int) -> None:
        """Results leave the window; what is said again then must still have no second effect."""
        self.names += 1
        if self.names % 5 == 0:
            self.pair.advance(hours * 3_600_000)

    # --- the end

    def teardown(self) -> None:
        """I4: honest carriers and time lead every transfer that began to its end."""
        self.pair.advance(200_000)
        self.pair.carry()
        self._heal("expire_transfer", self.pair.asset)
        self.pair.carry()
        self._heal("settle_transfer", self.pair.business)
        for deal in self.deals:
            business, asset = self.pair.states(deal)
            assert (business, asset) in {
                (S.NONE, S.NONE), (S.NONE, S.ABORTED),
                (S.SETTLED, S.COMMITTED), (S.RELEASED, S.ABORTED),
            }, f"I4: {business}, {asset}"  # fmt: skip
        Ledgers.seen.update(self.oracle.seen)

    def _heal(self, kind: str, side: Side) -> None:
        raws = []
        for deal in self.deals:
            wanted = self._next(deal)
            if wanted[1] == kind:
                raws.append(side.compose(**{kind: wanted[2]}).raw)
        side.block(*raws)


def test_no_relay_breaks_the_ledgers() -> None:
    """I1 to I5, B1, B3 to B8, B14, B16 after every block; and the machine meets every danger."""
    Ledgers.seen.clear()
    run_state_machine_as_test(
        Ledgers,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    for name, count in sorted(Ledgers.seen.items()):
        print(f"{count:6} {name}")
