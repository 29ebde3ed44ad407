"""Every numbered reason of the rules has a way to be reached: one example each, and none missing.

Each example ends in the reason on a furnished pair, and the refused operation leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.reasons import AssetReason
from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.receipts.keys import RECEIPT
from bizchain.contracts.receipts.types import ReceiptLeg
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.encoding import encode
from common.errors import CommonReason, Reason, TransferReason
from common.governance.operations import OPEN_PROPOSALS_MAX
from common.governance.types import Proposal
from common.transfer.terms import Mode
from common.v1.transfer_pb2 import CommitTransfer, ReserveTransfer
from relay.agreement import Agreement, Issue, agree_on_issue
from tests.kit import applications, authority, cast, exits, listed, logistics, papers, values
from tests.kit.council import Council
from tests.kit.pair import Pair, furnished
from tests.kit.side import Side

Example = Callable[[Pair], Reason | None]
EXAMPLES: dict[Reason, Example] = {**papers.REFUSALS}


def reaches(reason: Reason) -> Callable[[Example], Example]:
    def add(example: Example) -> Example:
        assert reason not in EXAMPLES
        EXAMPLES[reason] = example
        return example

    return add


def trade(pair: Pair, **terms: Any) -> Agreement:
    return pair.trade("bob", "alice", lot_id="lot-alice", **terms)


def reserved(pair: Pair, **terms: Any) -> Agreement:
    deal = trade(pair, **terms)
    assert pair.reserve(deal) is None
    pair.carry()
    return deal


def with_terms(pair: Pair, deal: Agreement, **changed: Any) -> ReserveTransfer:
    operation = pair.reservation(deal)
    operation.terms = encode(replace(deal.terms, **changed))
    return operation


# --- transfers ----------------------------------------------------------------------------------


@reaches(TransferReason.TERMS_INVALID)
def _(pair: Pair) -> Reason | None:
    return pair.business.do(reserve_transfer=with_terms(pair, trade(pair), version=2))


@reaches(TransferReason.TERMS_OF_ANOTHER_CHAIN)
def _(pair: Pair) -> Reason | None:
    operation = with_terms(pair, trade(pair), decider_chain=bytes(32))
    return pair.business.do(reserve_transfer=operation)


@reaches(TransferReason.LEG_MISMATCH)
def _(pair: Pair) -> Reason | None:
    deal = trade(pair)
    operation = pair.reservation(deal)
    operation.opening.CopyFrom(deal.decider.opening)
    return pair.business.do(reserve_transfer=operation)


@reaches(TransferReason.FLOW_UNKNOWN)
def _(pair: Pair) -> Reason | None:
    return pair.business.do(reserve_transfer=with_terms(pair, trade(pair), flow="X99"))


@reaches(TransferReason.NOT_THE_FOLLOWER)
def _(pair: Pair) -> Reason | None:
    deal = reserved(pair)
    pair.decide(deal)
    return pair.asset.do(settle_transfer=pair.settlement(deal))


@reaches(TransferReason.NOT_THE_DECIDER)
def _(pair: Pair) -> Reason | None:
    return pair.business.do(reserve_and_commit_transfer=pair.decision(reserved(pair)))


@reaches(TransferReason.DEADLINE_TOO_NEAR)
def _(pair: Pair) -> Reason | None:
    return pair.reserve(trade(pair, within=10_000))


@reaches(TransferReason.DEADLINE_TOO_FAR)
def _(pair: Pair) -> Reason | None:
    return pair.reserve(trade(pair, within=3_700_000))


@reaches(TransferReason.TRANSFER_EXPIRED)
def _(pair: Pair) -> Reason | None:
    deal = reserved(pair)
    return pair.decide(deal, at=deal.terms.deadline_unix_ms)


@reaches(TransferReason.NOT_EXPIRED)
def _(pair: Pair) -> Reason | None:
    return pair.expire(reserved(pair))


@reaches(TransferReason.TRANSFER_UNKNOWN)
def _(pair: Pair) -> Reason | None:
    return pair.asset.do(commit_transfer=CommitTransfer(transfer_id=bytes(32), secret=bytes(32)))


@reaches(TransferReason.TRANSFER_DECIDED)
def _(pair: Pair) -> Reason | None:
    deal = reserved(pair)
    pair.decide(deal)
    return pair.decline(deal, "alice")


@reaches(TransferReason.CONSENT_MISSING)
def _(pair: Pair) -> Reason | None:
    operation = pair.reservation(trade(pair))
    del operation.consents[:]
    return pair.business.do(reserve_transfer=operation)


@reaches(TransferReason.HASH_LOCK_USED)
def _(pair: Pair) -> Reason | None:
    deal = reserved(pair)
    drawn = iter([None, None, deal.secret, None])
    return pair.reserve(trade(pair, random_bytes=lambda n: next(drawn) or pair.chance(n)))


@reaches(TransferReason.SECRET_MISMATCH)
def _(pair: Pair) -> Reason | None:
    return pair.asset.do(reserve_and_commit_transfer=pair.decision(reserved(pair), bytes(32)))


@reaches(TransferReason.MODE_MISMATCH)
def _(pair: Pair) -> Reason | None:
    return pair.decide(reserved(pair, mode=Mode.TWO_STEP))


@reaches(TransferReason.PROOF_MISMATCH)
def _(pair: Pair) -> Reason | None:
    deal, other = reserved(pair), reserved(pair)
    operation = pair.decision(deal)
    operation.proof.CopyFrom(pair.decision(other).proof)
    return pair.asset.do(reserve_and_commit_transfer=operation)


@reaches(TransferReason.SUBJECT_HELD)
def _(pair: Pair) -> Reason | None:
    pair.hold("party", "bob")
    return pair.reserve(trade(pair))


@reaches(TransferReason.MESSAGES_BEHIND)
def _(pair: Pair) -> Reason | None:
    deal = trade(pair)
    pair.hold("lot", "lot-alice")
    pair.reserve(deal)
    pair.know(pair.asset, pair.business.height)
    return pair.decide(deal)


@reaches(TransferReason.PEER_HEADER_TOO_OLD)
def _(pair: Pair) -> Reason | None:
    return pair.decide(reserved(pair), at=pair.asset.now + 40_000)


@reaches(TransferReason.DECLINE_NOT_ALLOWED)
def _(pair: Pair) -> Reason | None:
    return pair.decline(reserved(pair), "carol")


# --- the business books -------------------------------------------------------------------------


def propose(pair: Pair, party_id: str) -> Reason | None:
    return pair.business.do("operator", propose_party=authority.proposal(party_id))


def pay(pair: Pair, sender: str, payee: str, amount: int) -> Reason | None:
    operation = pb.PayCash(payee=payee, currency="EUR", amount=amount)
    return pair.business.do(sender, pay_cash=operation)


def withdraw(pair: Pair, bank: str) -> Reason | None:
    operation = pb.WithdrawCash(bank=bank, currency="EUR", amount=1)
    return pair.business.do("alice", withdraw_cash=operation)


def receipt_step(pair: Pair, sender: str, step: str, receipt_id: str) -> Reason | None:
    kinds: dict[str, Any] = {
        "issue": pb.IssueReceipt(receipt_id=receipt_id),
        "cancel": pb.CancelReceipt(receipt_id=receipt_id),
    }
    return pair.business.do(sender, **{f"{step}_receipt": kinds[step]})


@reaches(BusinessReason.PARTY_EXISTS)
def _(pair: Pair) -> Reason | None:
    return propose(pair, "alice")


@reaches(BusinessReason.WRONG_STATE)
def _(pair: Pair) -> Reason | None:
    return pair.business.do("operator", approve_party=pb.ApproveParty(party_id="alice"))


@reaches(BusinessReason.MAKER_IS_CHECKER)
def _(pair: Pair) -> Reason | None:
    propose(pair, "newcomer")
    return pair.business.do("operator", approve_party=pb.ApproveParty(party_id="newcomer"))


@reaches(BusinessReason.OWN_FIRM)
def _(pair: Pair) -> Reason | None:
    pair.join(cast.FEE_PARTY, "platform")
    return authority.begin(pair, "close", party=cast.FEE_PARTY)


EXAMPLES.update(authority.REFUSALS)


@reaches(BusinessReason.RECEIPT_EXISTS)
def _(pair: Pair) -> Reason | None:
    operation = pb.ReportReceipt(
        receipt_id="receipt-carol", owner="bob", goods_code="720839", quantity=1, unit="GRM",
        quality="a", place="b",
    )  # fmt: skip
    return pair.business.do("warehouse", report_receipt=operation)


@reaches(BusinessReason.RECEIPT_RESERVED)
def _(pair: Pair) -> Reason | None:
    assert pair.reserve(pair.issue("receipt-carol", "lot-carol")) is None
    return receipt_step(pair, "carol", "cancel", "receipt-carol")


@reaches(BusinessReason.RECEIPT_TOKENISED)
def _(pair: Pair) -> Reason | None:
    return pair.reserve(pair.issue("receipt-alice", "lot-again"))


@reaches(BusinessReason.NOT_THE_OWNER)
def _(pair: Pair) -> Reason | None:
    return receipt_step(pair, "bob", "cancel", "receipt-carol")


@reaches(BusinessReason.INSUFFICIENT_FUNDS)
def _(pair: Pair) -> Reason | None:
    return pay(pair, "alice", "bob", 2**40)


@reaches(BusinessReason.FEE_MISMATCH)
def _(pair: Pair) -> Reason | None:
    return pair.reserve(pair.trade("bob", "alice", lot_id="lot-alice", fee_basis_points=1))


@reaches(BusinessReason.NOT_A_BANK)
def _(pair: Pair) -> Reason | None:
    return withdraw(pair, "bob")


@reaches(BusinessReason.NOT_ISSUED_BY_BANK)
def _(pair: Pair) -> Reason | None:
    return withdraw(pair, "second-bank")


@reaches(BusinessReason.SAME_PARTY)
def _(pair: Pair) -> Reason | None:
    return pay(pair, "alice", "alice", 1)


@reaches(BusinessReason.DOCUMENT_EXISTS)
def _(pair: Pair) -> Reason | None:
    operation = pb.RecordDocument(
        document_id="invoice-1", kind="Invoice", commitment=bytes(32), sealed_key_data=b"x",
        sealed_content_key=b"y",
    )  # fmt: skip
    assert pair.business.do("alice", record_document=operation) is None
    assert pair.business.do("bob", record_document=operation) is None
    return pair.business.do("alice", record_document=operation)


EXAMPLES.update(logistics.REFUSALS)
EXAMPLES.update(listed.REFUSALS)
EXAMPLES.update(exits.REFUSALS)
EXAMPLES.update(values.REFUSALS)
EXAMPLES.update(applications.REFUSALS)


# --- the asset chain ----------------------------------------------------------------------------


def mint(pair: Pair, lot_id: str, **changed: Any) -> Agreement:
    """The issue of carol's receipt, with terms that say something else of it."""
    deal = pair.issue("receipt-carol", lot_id)
    if not changed:
        return deal
    receipt = pair.receipt_of("receipt-carol")
    return agree_on_issue(
        pair.ids, Issue(replace(receipt, **changed), lot_id),
        deadline_unix_ms=deal.terms.deadline_unix_ms, random_bytes=pair.chance,
    )  # fmt: skip


def decide_mint(pair: Pair, deal: Agreement) -> Reason | None:
    assert pair.reserve(deal) is None
    pair.carry()
    return pair.decide(deal)


@reaches(AssetReason.LOT_EXISTS)
def _(pair: Pair) -> Reason | None:
    return decide_mint(pair, mint(pair, "lot-alice"))


@reaches(AssetReason.RECEIPT_HAS_LOT)
def _(pair: Pair) -> Reason | None:
    """Only where the business books themselves went wrong: a tokenised receipt is issued again."""
    books = pair.business.ledger.state
    receipt = replace(pair.receipt_of("receipt-alice"), state="ISSUED", transfer_id=b"")
    books.put(RECEIPT, RECEIPT.key("receipt-alice"), receipt)
    return decide_mint(pair, pair.issue("receipt-alice", "lot-again"))


@reaches(AssetReason.FACTS_MISMATCH)
def _(pair: Pair) -> Reason | None:
    return decide_mint(pair, mint(pair, "lot-carol", quantity=2_000))


@reaches(AssetReason.LOT_NOT_ACTIVE)
def _(pair: Pair) -> Reason | None:
    deal = pair.issue("receipt-carol", "lot-carol", mode=Mode.TWO_STEP)
    pair.reserve(deal)
    pair.carry()
    assert pair.reserve(deal, pair.asset) is None
    return move(pair, "lot-carol", 1)


@reaches(AssetReason.INSUFFICIENT_UNITS)
def _(pair: Pair) -> Reason | None:
    return move(pair, "lot-alice", 5_000)


@reaches(AssetReason.SAME_PARTY)
def _(pair: Pair) -> Reason | None:
    return move(pair, "lot-alice", 5, receiver="alice")


def move(pair: Pair, lot_id: str, quantity: int, receiver: str = "bob") -> Reason | None:
    operation = MoveTitle(lot_id=lot_id, receiver=receiver, quantity=quantity)
    return pair.asset.do("alice", move_title=operation)


# --- governance, on either chain ----------------------------------------------------------------


def governed(reason: str) -> Callable[[Callable[[Council, Side], Reason | None]], None]:
    """An example of a reason that both chains have under numbers of their own."""

    def add(example: Callable[[Council, Side], Reason | None]) -> None:
        reaches(BusinessReason[reason])(lambda pair: example(Council(pair), pair.business))
        reaches(AssetReason[reason])(lambda pair: example(Council(pair), pair.asset))

    return add


def change_of(council: Council, side: Side, **changed: Any) -> Proposal:
    """A change of a parameter of this chain, by the one member who runs its nodes."""
    shared = side is council.books
    name, value = ("deadline_min_ms", 5_000) if shared else ("freeze_lag_max_ms", 40_000)
    fields = {"name": name, "value": value, "proposer": "core", "side": side, **changed}
    return council.proposal("parameter", **fields)


def proposed(council: Council, side: Side) -> Proposal:
    change = change_of(council, side)
    assert council.propose(change, side) is None
    return change


@governed("NOT_A_MEMBER")
def _(council: Council, side: Side) -> Reason | None:
    return council.vote(proposed(council, side), "bank", approve=True, side=side)


@governed("NOT_GOVERNED")
def _(council: Council, side: Side) -> Reason | None:
    return council.propose(change_of(council, side, name="gravity"), side)


@governed("OUT_OF_RANGE")
def _(council: Council, side: Side) -> Reason | None:
    return council.propose(change_of(council, side, value=0), side)


@governed("ALREADY_VOTED")
def _(council: Council, side: Side) -> Reason | None:
    change = proposed(council, side)
    assert council.vote(change, "core", approve=True, side=side) is None
    return council.vote(change, "core", approve=False, side=side)


@governed("PROPOSAL_DECIDED")
def _(council: Council, side: Side) -> Reason | None:
    change = proposed(council, side)
    assert council.vote(change, "core", approve=True, side=side) is None
    return council.close(change, side)


@governed("PROPOSAL_EXPIRED")
def _(council: Council, side: Side) -> Reason | None:
    change = proposed(council, side)
    return council.vote(change, "core", approve=True, side=side, at=change.deadline_unix_ms)


@governed("PROPOSAL_NOT_EXPIRED")
def _(council: Council, side: Side) -> Reason | None:
    return council.close(proposed(council, side), side)


@governed("TOO_MANY_PROPOSALS")
def _(council: Council, side: Side) -> Reason | None:
    for _ in range(OPEN_PROPOSALS_MAX):
        proposed(council, side)
    return council.propose(change_of(council, side), side)


def test_every_reason_of_the_rules_has_an_example() -> None:
    """A reason nobody can meet is a promise nobody keeps."""
    families = (TransferReason, BusinessReason, AssetReason)
    every = {reason for family in families for reason in family}
    assert EXAMPLES.keys() == every


@pytest.mark.parametrize("reason", EXAMPLES, ids=lambda reason: reason.name)
def test_a_reason_is_reached_and_leaves_no_trace(reason: Reason) -> None:
    pair = furnished()
    assert EXAMPLES[reason](pair) is reason
    sides = [side for side in pair.sides if side.last_was_refused]
    assert sides
    for side in sides:
        before = side.ledger.header_at(side.height - 1)
        assert side.ledger.header.state_root == before.state_root
        assert side.ledger.header.outbox_last == before.outbox_last


def test_reasons_are_numbered_once_within_their_ranges() -> None:
    ranges = {
        CommonReason: range(1, 100),
        TransferReason: range(100, 200),
        BusinessReason: range(1000, 1900),
        AssetReason: range(2000, 3000),
    }
    for family, numbers in ranges.items():
        assert all(reason.number in numbers for reason in family)
    every = [reason.number for family in ranges for reason in family]
    assert len(set(every)) == len(every)


def test_both_legs_of_an_issue_name_one_lot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a freeze of the lot would pass by the goods: the books would know it by another name."""
    pair = furnished()
    other = ReceiptLeg("receipt-carol", "carol", "lot-other")
    monkeypatch.setattr("relay.agreement.ReceiptLeg", lambda *_: other)
    assert decide_mint(pair, pair.issue("receipt-carol", "lot-carol")) is AssetReason.FACTS_MISMATCH
