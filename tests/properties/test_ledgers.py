"""Two ledgers among relays that lie, repeat, reorder, withhold and leak, and users who misbehave.

Every step puts one or more transactions into one block of one chain; many are spoiled, late, early,
repeated or for something else. After every block an oracle that shares no rule with the ledgers
recomputes I1 to I3, B1, B3 to B8, B14 and B16, and all invariants of the chain are asked. In the
end an honest relay and time must lead every transfer to its end (I4).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.v1 import operation_pb2 as pb
from common.encoding import encode
from common.ledger.certificate import Certificate
from common.ledger.identity import party_of
from common.transfer.machine import TransferState
from common.transfer.pots import POT
from common.transfer.terms import Mode
from common.v1.transfer_pb2 import (
    ApplyMessages,
    ClaimTransfer,
    EventProof,
    ImportHeader,
)
from tests.kit import cast
from tests.kit.forgery import Spoil
from tests.kit.market import Market
from tests.kit.pair import knows

EXAMPLES = 240
RUNS_MAX = 3
STEPS = 20

S = TransferState
small = st.integers(0, 30)
recent = st.sampled_from([0] * 5 + [1, 1, 1, 2, 2, 3, 4, 5, 6, 8, 10])
often = st.sampled_from([True, True, True, False])
seldom = st.sampled_from([False] * 7 + [True])
spoils = st.sampled_from([None] * 12 + list(Spoil))
names = st.sampled_from(cast.TRADERS)
progress = st.sampled_from([0, 1, 1, 2, 2, 3, 4, 4])
TIMES_MS = (1, 200, 2_000, 500, 3_000, 9_800, 29_800, 30_000, 31_000, 60_000)


FLOORS = {
    **{
        f"{flow} {mode} {end}": 3
        for flow in ("X1", "X2")
        for mode in (Mode.EXPRESS, Mode.TWO_STEP)
        for end in ("COMMITTED", "SETTLED", "ABORTED expired", "RELEASED expired")
    },
    "ABORTED declined": 3,
    "RELEASED declined": 3,
    "tombstone ABORTED": 20,
    "tombstone RELEASED": 1,
    "pot filled": 20,
    "pot claimed": 1,
    "arrived held": 1,
    "repeat answered": 5,
    "approve_party_change: ok": 1,
    "deposit_cash: REQUEST_ID_REUSED": 1,
    "import_header: BAD_CERTIFICATE": 20,
    "reserve_and_commit_transfer: SUBJECT_HELD": 1,
    "commit_transfer: SUBJECT_HELD": 1,
    "settle_transfer: PROOF_MISMATCH": 1,
    "reserve_transfer: HASH_LOCK_USED": 1,
}
"""How often one run must at least see each of what it is for: an empty machine cannot pass."""


class Ledgers(Market, RuleBasedStateMachine):
    """What parties and relays may do, and what they may not do but try."""

    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        Market.__init__(self)

    # --- the parties

    @initialize(modes=st.lists(st.booleans(), min_size=3, max_size=3))
    def begin_trading(self, modes: Sequence[bool]) -> None:
        """At the start: two transfers that need the same units, and an issue."""
        first, second, third = (Mode.TWO_STEP if two_step else Mode.EXPRESS for two_step in modes)
        for buyer, mode in (("bob", first), ("carol", second)):
            self.agreed(self.pair.trade(buyer, "alice", lot_id="lot-alice", quantity=600,
                                         amount=50_000, mode=mode), 1)  # fmt: skip
        self.agreed(self.pair.issue("receipt-carol", "lot-carol", mode=third), 1)

    @rule(
        number=small, buyer=names, quantity=st.integers(1, 400), amount=st.integers(1, 300_000),
        within=st.sampled_from([10_000, 60_000, 60_000, 120_000]), two_step=st.booleans(),
        reuse=st.sampled_from([False, False, True]), steps=progress,
    )  # fmt: skip
    def agree_on_trade(
        self, number: int, buyer: str, quantity: int, amount: int, within: int, two_step: bool,
        reuse: bool, steps: int,
    ) -> None:  # fmt: skip
        """Mostly with one who has the units; sometimes with a secret that was used before."""
        lot_id, seller = self.someones(number)
        deal = self.pair.trade(
            self.another(buyer, seller), seller, lot_id=lot_id, quantity=quantity, amount=amount,
            within=within + 2_000, mode=Mode.TWO_STEP if two_step else Mode.EXPRESS,
            random_bytes=self.same_secret(number) if reuse and self.deals else None,
        )  # fmt: skip
        self.agreed(deal, steps)

    @rule(number=small, owner=names, lot=small, two_step=st.booleans(),
          within=st.sampled_from([10_000, 60_000]), steps=progress)  # fmt: skip
    def agree_on_issue(
        self, number: int, owner: str, lot: int, two_step: bool, within: int, steps: int
    ) -> None:
        """Of a receipt there is, or of a new one."""
        receipts = [receipt.receipt_id for receipt in self.receipts()]
        if number % 2:
            self.names += 1
            receipts = [f"receipt-{self.names}"]
            if not self.is_active(owner):
                return
            self.pair.receipt(receipts[0], owner)
        deal = self.pair.issue(
            receipts[number % len(receipts)], f"lot-{lot % 7}", within=within + 2_000,
            mode=Mode.TWO_STEP if two_step else Mode.EXPRESS,
        )  # fmt: skip
        self.agreed(deal, steps)

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
        self.say(self.pair.business, sender, f"{what}_cash", operation, spoil=spoil, spot=spot)

    @rule(giver=names, receiver=names, quantity=st.integers(0, 300), number=small, withhold=seldom)
    def move_title(
        self, giver: str, receiver: str, quantity: int, number: int, withhold: bool
    ) -> None:
        move = MoveTitle(lot_id=self.lot(number), receiver=receiver, quantity=quantity)
        self.say(self.pair.asset, giver, "move_title", move, withhold=withhold)

    @rule(trader=names, what=st.sampled_from(["report", "issue", "issue", "cancel", "reject"]),
          number=small, quantity=st.integers(1, 900))  # fmt: skip
    def keep_receipts(self, trader: str, what: str, number: int, quantity: int) -> None:
        receipts = self.receipts()
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
        receipts = [receipt.receipt_id for receipt in self.receipts()]
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

    @rule(number=recent, steps=st.integers(0, 2), what=st.sampled_from(["party", "receipt", "lot"]),
          asset=st.sampled_from([S.NONE, S.NONE, S.RESERVED, S.RESERVED, S.COMMITTED]),
          carried=st.booleans(), late=seldom, lift=often)  # fmt: skip
    def hold_what_is_on_its_way(
        self, number: int, steps: int, what: str, asset: TransferState, carried: bool, late: bool,
        lift: bool,
    ) -> None:  # fmt: skip
        """A hold comes between two steps of a transfer; relays tell the other chain, or do not."""
        deal = self.deal_in(number, (S.RESERVED, asset))
        self.bring(deal, steps)
        subject = self.oracle.subject_of(deal, what)
        self.pair.hold(what, subject, "3")
        if late:
            self.pair.asset.block(at=self.pair.asset.now + 29_900)
        if carried:
            self.pair.carry()
        side, kind, operation = self.next_of(deal)
        self.say(side, "", kind, operation)
        self.bring(deal, 2)
        if lift:
            self.pair.lift(what, subject, "3")

    @rule(number=small, what=st.sampled_from(["party", "receipt", "lot"]))
    def freeze_what_both_chains_have_reserved(self, number: int, what: str) -> None:
        """Everything is ready for the secret, and then the hold is there first."""
        lot_id, seller = self.someones(number)
        buyer = self.another("bob", seller)
        deal = self.pair.trade(buyer, seller, lot_id=lot_id, mode=Mode.TWO_STEP)
        self.agreed(deal, 2)
        subject = self.oracle.subject_of(deal, what)
        self.pair.hold(what, subject, "3")
        self.pair.carry()
        self.bring(deal, 1)
        self.pair.lift(what, subject, "3")

    @rule(number=small, two_step=st.booleans(), without=st.sampled_from(["message", "consent"]))
    def cheat(self, number: int, two_step: bool, without: str) -> None:
        """Reserve without a word of the owner; or prove a reservation, but not the hold before."""
        lot_id, seller = self.someones(number)
        mode = Mode.TWO_STEP if two_step else Mode.EXPRESS
        deal = self.pair.trade(self.another("bob", seller), seller, lot_id=lot_id, mode=mode)
        self.agreed(deal, 0)
        operation = self.pair.reservation(deal)
        if without == "consent":
            del operation.consents[:]
        else:
            self.pair.hold("lot", lot_id, "4")
        self.say(self.pair.business, "", "reserve_transfer", operation)
        self.pair.know(self.pair.asset, self.pair.business.height)
        side, kind, decision = self.next_of(deal)
        self.say(side, "", kind, decision)
        if without == "message":
            self.pair.lift("lot", lot_id, "4")

    @rule(case=st.integers(1, 3))
    def lift_all(self, case: int) -> None:
        """Authorities are done with their cases, so that trade goes on."""
        for hold in [one for one in self.oracle.standing() if one.case[1] == str(case)]:
            kind, subject = hold.subject
            self.pair.lift(kind, subject, str(case))

    @rule(name=st.sampled_from([*cast.TRADERS, cast.FEE_PARTY]), number=recent, steps=progress)
    def close(self, name: str, number: int, steps: int) -> None:
        """A party ends while its transfers are on their way."""
        self.names += 1
        deal = self.deal(number)
        if deal is None or self.names % 2:
            return
        self.bring(deal, steps)
        books, change_id = self.pair.business, f"close-{self.names}"
        closing = pb.ProposePartyChange(change_id=change_id, party_id=name, kind="close")
        self.say(books, "operator", "propose_party_change", closing)
        approval = pb.ApprovePartyChange(change_id=change_id)
        self.say(books, "operator:checker", "approve_party_change", approval)

    @rule(number=small, by=st.sampled_from([cast.FEE_PARTY] * 3 + [*cast.TRADERS]), asset=seldom)
    def claim(self, number: int, by: str, asset: bool) -> None:
        """Of what waits for a party that was missing, or by one for which nothing waits."""
        side = self.side(asset)
        waiting = [bytes.fromhex(key[1:65].decode()) for key, _ in side.ledger.state.scan(POT)]
        if not waiting:
            return
        if party_of(self.pair.business.ledger.state, cast.FEE_PARTY) is None:
            self.pair.join(cast.FEE_PARTY, "platform")
        operation = ClaimTransfer(transfer_id=waiting[number % len(waiting)])
        self.say(side, by, "claim_transfer", operation)

    # --- relays

    @rule(number=recent, steps=st.integers(1, 4))
    def bring_forward(self, number: int, steps: int) -> None:
        """An honest relay works on one transfer for a while."""
        deal = self.deal(number)
        if deal is not None:
            self.bring(deal, steps)

    @rule(number=recent, carried=often, spoil=spoils, spot=small, withhold=seldom)
    def next_step(
        self, number: int, carried: bool, spoil: Spoil | None, spot: int, withhold: bool
    ) -> None:
        """What an honest relay would do next for a transfer, but perhaps spoiled, or not now."""
        deal = self.deal(number)
        if deal is not None:
            if carried:
                self.pair.carry()
            side, kind, operation = self.next_of(deal)
            self.say(side, "", kind, operation, spoil=spoil, spot=spot, withhold=withhold)

    @rule(number=recent, step=st.sampled_from(range(6)), asset=often, spoil=spoils, spot=small,
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
            ("commit_transfer", self.commit_of(deal)),
            ("reserve_and_commit_transfer", self.pair.decision(deal)),
            ("expire_transfer", self.pair.expiry(deal, by if spot % 2 else "")),
            ("decline_transfer", self.pair.refusal(deal, by)),
            ("settle_transfer", self.pair.settlement(deal)),
        )[step]
        self.say(side, "", kind, operation, spoil=spoil, spot=spot, withhold=withhold)

    @rule(number=recent, steps=st.sampled_from([0, 0, 1, 2, 2, 3]), after=st.integers(0, 2),
          by=st.sampled_from(["owner", "holder", "carol"]))  # fmt: skip
    def decline(self, number: int, steps: int, by: str, after: int) -> None:
        """Someone entitled, or not, ends a transfer at any of its stages, or before the first."""
        if not steps:
            lot_id, seller = self.someones(number)
            self.agreed(self.pair.trade(self.another("bob", seller), seller, lot_id=lot_id), 0)
        deal = self.deal(number if steps else 0)
        if deal is not None:
            self.bring(deal, steps)
            who = {"owner": deal.decider.owner, "holder": deal.terms.secret_holder}.get(by, by)
            operation = self.pair.refusal(deal, who)
            self.say(self.pair.asset, "", "decline_transfer", operation)
            self.pair.carry()
            self.bring(deal, after)

    @rule(number=recent, other=recent, early=st.booleans())
    def settle_with_another_proof(self, number: int, other: int, early: bool) -> None:
        """With the proof of another transfer, of an earlier record, or of the follower itself."""
        deal = self.deal_in(number, (S.RESERVED, S.NONE), (S.RESERVED, S.RESERVED))
        donor = self.deal_in(other, (S.SETTLED, S.COMMITTED), (S.RELEASED, S.ABORTED))
        self.pair.carry_to(self.pair.business)
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
        """Too few signatures never make a header known, nor do more than there are nodes."""
        side = self.side(asset)
        peer = self.pair.other(side)
        height = max(1, peer.height - back)
        maker = side if wrong_chain and side.height >= height else peer
        known = knows(side, height)
        certificate: Certificate = maker.certificate(height, signers)
        header = encode(peer.ledger.header_at(height))
        operation = ImportHeader(header=header, certificate=encode(certificate))
        self.say(side, "", "import_header", operation)
        enough = maker is peer and len(set(signers)) >= 3 and len(signers) <= len(cast.NODE_IDS)
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

    @rule(number=recent, offset=st.sampled_from([-1, 0, 1]))
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
        side, kind, operation = self.next_of(deal)
        raws = [self.pair.asset.compose(expire_transfer=self.pair.expiry(deal)).raw]
        if side is self.pair.asset:
            raws.insert(0, side.raw(kind, operation))
        self.pair.asset.block(*raws, at=at)

    @rule(hours=st.sampled_from([1, 2]))
    def let_the_window_pass(self, hours: int) -> None:
        """Results leave the window; what is said again then must still have no second effect."""
        self.names += 1
        if self.names % 5 == 0:
            self.pair.advance(hours * 3_600_000)

    # --- the end

    def teardown(self) -> None:
        if self.oracle.is_content:
            self.heal()
            Ledgers.seen.update(self.oracle.seen)


def test_no_relay_breaks_the_ledgers() -> None:
    """I1 to I5, B1, B3 to B8, B14, B16 after every block; and the machine meets every danger.

    What is drawn depends on the modules that are loaded, since Hypothesis takes constants from
    them: where a run has missed one of the rarer dangers, further ones go on looking.
    """
    Ledgers.seen.clear()
    for number in range(RUNS_MAX):
        run_state_machine_as_test(
            seed(number)(Ledgers),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                database=None,
                report_multiple_bugs=False,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
        missed = {name: floor for name, floor in FLOORS.items() if Ledgers.seen[name] < floor}
        if not missed:
            return
    pytest.fail(f"the machine hardly meets {missed}: {sorted(Ledgers.seen.items())}")
