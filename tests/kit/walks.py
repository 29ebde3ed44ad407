"""Ways through state machines by real operations, for the test that takes every one of them.

A walk is of one machine of `tests.tidy.machines`. From a world where its subject is new, `acts` are
what can be done, by anyone of `EVERYONE`; each takes one of some steps of the table, or is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import cache
from typing import Any

from bizchain.contracts.authority.queries import change_of
from bizchain.contracts.invoices.queries import invoice_of, state_of
from bizchain.contracts.logistics.queries import handover_of
from bizchain.contracts.parties.operations import HOLDING_AUTHORITIES
from bizchain.contracts.receipts.queries import delivery_of
from bizchain.v1 import operation_pb2 as pb
from common.errors import CommonReason, Reason
from common.governance.types import (
    Ballot,
    Proposal,
    ballot_of,
    proposal_digest,
    proposal_id_of,
)
from common.ledger.holds import holds_of
from common.ledger.identity import party_of
from common.transfer.machine import TransferState
from common.v1.governance_pb2 import CloseProposal
from tests.kit import applications, authority, cast, logistics, papers
from tests.kit.council import MEMBERS, Council, member_signature
from tests.kit.goods_walks import CASES, LOSSES
from tests.kit.pair import Pair, furnished
from tests.kit.papers import LINES, Papers, key_data
from tests.kit.walking import ADMINISTRATORS, EVERYONE, Act, Walk, does, people

__all__ = ["WALKS"]

SUBJECT = "receipt-walk"
OTHER_ORDER = key_data("Order", "PO-2", LINES)


def reported() -> Pair:
    pair = furnished()
    pair.report(SUBJECT, "alice")
    return pair


def tokenise(pair: Pair, by: str) -> Reason | None:
    """Brought by anyone, it is the transfer that decides."""
    pair.applied_for(SUBJECT)
    return use(pair, by)


def use(pair: Pair, by: str) -> Reason | None:
    """X1 by what was applied for, or not."""
    del by
    deal = pair.issuing(SUBJECT, f"lot-{SUBJECT}-{pair.business.height}")
    refused = pair.reserve(deal)
    if refused is not None:
        return refused
    pair.carry()
    assert pair.decide(deal) is None
    pair.carry()
    assert pair.settle(deal) is None
    assert pair.business.state_of(deal.transfer_id) is TransferState.SETTLED
    return None


def deliver(pair: Pair, by: str) -> Reason | None:
    """The warehouse offers, if it can; anyone takes."""
    logistics.deliver(pair, SUBJECT)
    return logistics.accept(pair, SUBJECT, by)


RECEIPTS = Walk(
    reported,
    lambda pair: pair.receipt_of(SUBJECT).state,
    {
        ("issue",): does("issue_receipt", pb.IssueReceipt(receipt_id=SUBJECT)),
        ("reject",): does("reject_receipt", pb.RejectReceipt(receipt_id=SUBJECT, ground="x")),
        ("cancel",): does("cancel_receipt", pb.CancelReceipt(receipt_id=SUBJECT)),
        ("tokenise",): tokenise,
        ("deliver",): deliver,
    },
    {
        **people(administrator=ADMINISTRATORS, _owner="alice"),
        "(a transfer)": frozenset(EVERYONE),
    },
)


def applied() -> Pair:
    pair = furnished()
    pair.receipt(SUBJECT, "alice")
    assert pair.valued(SUBJECT) is None
    assert applications.apply(pair, SUBJECT, "alice") is None
    return pair


def on_application(what: Callable[..., Reason | None], **changed: Any) -> Act:
    return lambda pair, by: what(pair, SUBJECT, by, **changed)


APPLICATIONS = Walk(
    applied,
    lambda pair: applications.application(pair, SUBJECT).state,
    {
        ("confirm",): on_application(applications.confirm),
        ("differ",): on_application(applications.confirm, quantity=1),
        ("propose",): on_application(applications.propose),
        ("approve",): on_application(applications.approve),
        ("reject",): on_application(applications.reject),
        ("withdraw",): on_application(applications.withdraw),
        ("use",): use,
    },
    {
        **people(administrator=ADMINISTRATORS, _applicant="alice", _warehouse="warehouse"),
        "(a transfer)": frozenset(EVERYONE),
    },
    lambda pair: applications.application(pair, SUBJECT).maker,
)


def offered() -> Pair:
    pair = reported()
    logistics.let_out(pair, SUBJECT)
    assert logistics.deliver(pair, SUBJECT) is None
    return pair


def delivery_state(pair: Pair) -> str:
    found = delivery_of(pair.business.ledger.state, SUBJECT)
    return "" if found is None else found.state


DELIVERIES = Walk(
    offered,
    delivery_state,
    {
        ("accept",): lambda pair, by: logistics.accept(pair, SUBJECT, by),
        ("decline",): does("decline_delivery", pb.DeclineDelivery(receipt_id=SUBJECT)),
    },
    people(_owner="alice", _warehouse="warehouse"),
)


def handing() -> Pair:
    pair = furnished()
    pair.join(logistics.HAULIER, "carrier")
    assert logistics.hand(pair, "receipt-carol") is None
    return pair


def handover_state(pair: Pair) -> str:
    found = handover_of(pair.business.ledger.state, "receipt-carol")
    return "" if found is None else found.state


HANDOVERS = Walk(
    handing,
    handover_state,
    {
        ("accept",): lambda pair, by: logistics.take(pair, "receipt-carol", by=by),
        ("decline",): does(
            "decline_handover", pb.DeclineHandover(receipt_id="receipt-carol", number=1)
        ),
    },
    people(_giver="warehouse", _receiver=logistics.HAULIER),
)


def party_state(pair: Pair) -> str:
    found = party_of(pair.business.ledger.state, "newcomer")
    return "" if found is None else found.status


def changing(kind: str) -> Act:
    """Begun by anyone, approved by whoever else could."""

    def act(pair: Pair, by: str) -> Reason | None:
        change_id = f"{kind}-{pair.business.height}"
        begun = authority.begin(pair, kind, by, party="newcomer", change_id=change_id)
        other = authority.MAKER if by == authority.CHECKER else authority.CHECKER
        return begun or authority.approve(pair, other, change_id)

    return act


PARTIES = Walk(
    furnished,
    party_state,
    {
        ("propose",): does("propose_party", authority.proposal("newcomer")),
        ("approve",): does("approve_party", pb.ApproveParty(party_id="newcomer")),
        ("reject",): does("reject_party", pb.RejectParty(party_id="newcomer", ground="no")),
        ("close",): changing("close"),
        ("suspend",): changing("suspend"),
        ("resume",): changing("resume"),
    },
    people(administrator=ADMINISTRATORS),
)


def after_waiting(pair: Pair, by: str) -> Reason | None:
    authority.wait(pair)
    return authority.complete(pair, by)


def change_detail(pair: Pair) -> Hashable:
    found = change_of(pair.business.ledger.state, "change-1")
    return None if found is None else (found.kind, found.applicant, found.maker)


AUTHORITY = Walk(
    furnished,
    authority.state_of,
    {
        ("apply", "propose"): lambda pair, by: authority.begin(pair, "revoke_role", by),
        ("propose", "apply"): lambda pair, by: authority.begin(pair, "recover_key", by),
        ("endorse", "approve", "await"): authority.approve,
        ("complete",): after_waiting,
        ("reject", "withdraw"): authority.reject,
        ("object",): authority.object_to,
    },
    people(administrator=ADMINISTRATORS, party="bob"),
    change_detail,
)


def billed() -> Pair:
    made = Papers(furnished())
    made.trade()
    assert made.record("bob", "order-other", OTHER_ORDER) is None
    return made.pair


def differ(pair: Pair, by: str) -> Reason | None:
    operation = papers.match()
    operation.order.CopyFrom(papers.opening("bob", "order-other", OTHER_ORDER))
    return pair.business.do(by, match_invoice=operation)


def on_papers(what: Callable[..., Reason | None]) -> Act:
    def act(pair: Pair, by: str) -> Reason | None:
        made = Papers.__new__(Papers)
        made.pair = pair
        return what(made, by=by)

    return act


INVOICES = Walk(
    billed,
    lambda pair: str(state_of(invoice_of(pair.business.ledger.state, "alice", "invoice-1"))),
    {
        ("agree",): on_papers(Papers.match),
        ("differ",): differ,
        ("accept",): on_papers(Papers.accept),
        ("reject",): on_papers(Papers.reject),
    },
    people(core=ADMINISTRATORS, _buyer="bob"),
)


def hold_state(pair: Pair) -> str:
    holds = holds_of(pair.business.ledger.state, "party", "bob")
    named = [one for one in holds if one.authority == "regulator" and one.case_id == "c"]
    return "HELD" if named else ""


HELD: dict[str, Any] = {"subject_kind": "party", "subject_id": "bob", "case_id": "c"}
HOLDS = Walk(
    furnished,
    hold_state,
    {
        ("place",): lambda pair, by: _own(pair, by, place_hold=pb.PlaceHold(**HELD, ground="g")),
        ("place", "order"): lambda pair, by: _own(
            pair, by, order_freeze=pb.OrderFreeze(**HELD, ground="g", legal_basis="l")
        ),
        ("lift",): does("lift_hold", pb.LiftHold(**HELD)),
    },
    people(_authority="regulator"),
)


def _own(pair: Pair, by: str, **kind: Any) -> Reason | None:
    """Another authority's hold of the same number is another hold, and this one is not touched.

    Whoever is no authority at all places none.
    """
    before = hold_state(pair)
    refused = pair.business.do(by, **kind)
    if by != "regulator" and refused is None:
        roles = cast.ROLES.get(by.partition(":")[0], ())
        assert set(roles) & set(HOLDING_AUTHORITIES), f"{by} holds"
        assert "order_freeze" not in kind, f"{by} is no regulator"
        assert hold_state(pair) == before
        return CommonReason.NOT_FOUND
    return refused


@cache
def put_to_the_vote() -> Proposal:
    """The bank's, for every world in which it may be proposed."""
    council = Council.new()
    return council.proposal("parameter", "deadline_min_ms", value=5_000)


def ballot(pair: Pair) -> Ballot | None:
    proposal_id = proposal_id_of(pair.business.chain_id, put_to_the_vote())
    return ballot_of(pair.business.ledger.state, proposal_id)


def ballot_state(pair: Pair) -> str:
    found = ballot(pair)
    return "" if found is None else found.state


def ballot_detail(pair: Pair) -> Hashable:
    found = ballot(pair)
    return None if found is None else tuple(sorted(vote.approve for vote in found.votes))


def _counted(pair: Pair, **kind: Any) -> Reason | None:
    """Whoever says the same again is answered as before, and nothing happens."""
    before = ballot(pair)
    refused = pair.business.do(**kind)
    return refused if refused or ballot(pair) != before else CommonReason.ALREADY_LINKED


def propose(pair: Pair, by: str) -> Reason | None:
    operation = Council(pair).propose_operation(put_to_the_vote())
    digest = proposal_digest(proposal_id_of(pair.business.chain_id, put_to_the_vote()))
    operation.signature.CopyFrom(member_signature(by, digest))
    return _counted(pair, propose_change=operation)


def voting(*, approve: bool) -> Act:
    def act(pair: Pair, by: str) -> Reason | None:
        operation = Council(pair).vote_operation(put_to_the_vote(), by, approve=approve)
        return _counted(pair, vote_on_change=operation)

    return act


def close(pair: Pair, by: str) -> Reason | None:
    """By nobody in particular, once the deadline has passed."""
    del by
    pair.advance_to(put_to_the_vote().deadline_unix_ms)
    proposal_id = proposal_id_of(pair.business.chain_id, put_to_the_vote())
    return _counted(pair, close_proposal=CloseProposal(proposal_id=proposal_id))


GOVERNANCE = Walk(
    lambda: Council.new().pair,
    ballot_state,
    {
        ("propose",): propose,
        ("vote", "accept", "fail"): voting(approve=True),
        ("accept", "vote", "fail"): voting(approve=False),
        ("expire",): close,
    },
    {
        **people(member="bank", _voters=" ".join(MEMBERS)),
        "(anyone)": frozenset({*MEMBERS, "observer", "stranger"}),
    },
    ballot_detail,
    (*MEMBERS, "observer", "stranger"),
)


WALKS: Mapping[str, Walk] = {
    "applications": APPLICATIONS,
    "authority": AUTHORITY,
    "governance": GOVERNANCE,
    "holds": HOLDS,
    "incidents case": CASES,
    "incidents loss": LOSSES,
    "invoices": INVOICES,
    "logistics handover": HANDOVERS,
    "parties": PARTIES,
    "receipts": RECEIPTS,
    "receipts delivery": DELIVERIES,
}
