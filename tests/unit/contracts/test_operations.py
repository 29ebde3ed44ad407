"""What every operation has in common: a rule, one who may ask for it, limits, and no trace when it
is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest

from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.receipts.types import ROOTED_STATES, ReceiptState
from bizchain.contracts.receipts.types import TRANSITIONS as RECEIPT_TRANSITIONS
from bizchain.v1 import operation_pb2 as pb
from common.amount import AMOUNT_MAX
from common.errors import CommonReason, InvariantBroken, Reason, Refused, TransferReason
from common.ledger.compose import Author
from common.ledger.identity import PARTY
from common.transfer.machine import TRANSITIONS, Action, Role, TransferState, next_state
from common.v1 import transfer_pb2 as common_pb
from tests.kit import applications, authority, cast, exits, listed, logistics, papers, values
from tests.kit.pair import Pair, furnished
from tests.kit.side import Side, reason

Signed = tuple[str, str, str, Any]
"""Chain, kind, a sender who may, and an operation that is accepted."""


def report(**changed: Any) -> pb.ReportReceipt:
    fields: dict[str, Any] = {
        "receipt_id": "receipt-new", "owner": "alice", "goods_code": "720839", "quantity": 5,
        "unit": "GRM", "quality": "a", "place": "b", "document_commitments": [bytes(32)],
    }  # fmt: skip
    return pb.ReportReceipt(**{**fields, **changed})


def document(**changed: Any) -> pb.RecordDocument:
    fields: dict[str, Any] = {
        "document_id": "invoice-1", "kind": "Invoice", "commitment": bytes(32),
        "sealed_key_data": b"x", "sealed_content_key": b"y", "subject": "receipts/receipt-alice",
    }  # fmt: skip
    return pb.RecordDocument(**{**fields, **changed})


def party(party_id: str = "newcomer", **changed: Any) -> pb.ProposeParty:
    return authority.proposal(party_id, **changed)


def cash(kind: Callable[..., Any], **changed: Any) -> Any:
    return kind(**{"currency": "EUR", "amount": 5, "reference": "r", **changed})


def hold(**changed: Any) -> pb.PlaceHold:
    fields = {"subject_kind": "lot", "subject_id": "lot-x", "case_id": "1", "ground": "why"}
    return pb.PlaceHold(**{**fields, **changed})


BUSINESS: dict[str, tuple[str, Any]] = {
    "propose_party": ("operator", party()),
    "place_hold": ("regulator", hold()),
    "report_receipt": ("warehouse", report()),
    "issue_receipt": ("operator", pb.IssueReceipt(receipt_id="receipt-draft")),
    "reject_receipt": ("operator", pb.RejectReceipt(receipt_id="receipt-draft", ground="g")),
    "cancel_receipt": ("carol", pb.CancelReceipt(receipt_id="receipt-carol")),
    "deposit_cash": ("bank", cash(pb.DepositCash, party="alice")),
    "withdraw_cash": ("alice", cash(pb.WithdrawCash, bank="bank")),
    "pay_cash": ("alice", cash(pb.PayCash, payee="bob")),
    "record_document": ("alice", document()),
    "approve_party": ("operator:checker", pb.ApproveParty(party_id="waiting")),
    "lift_hold": (
        "regulator", pb.LiftHold(subject_kind="lot", subject_id="lot-old", case_id="1"),
    ),
    **logistics.EXAMPLES,
    **authority.EXAMPLES,
    **papers.EXAMPLES,
    **exits.EXAMPLES,
    **values.EXAMPLES,
    **applications.EXAMPLES,
}  # fmt: skip
ASSET: dict[str, tuple[str, Any]] = {
    "move_title": ("alice", MoveTitle(lot_id="lot-alice", receiver="bob", quantity=5)),
    **listed.EXAMPLES,
}
SIGNED = [("bizchain", *one) for one in BUSINESS.items()] + [
    ("assetchain", *one) for one in ASSET.items()
]
IN_TRANSFERS = {
    "link", "import_header", "apply_messages", "reserve_transfer", "commit_transfer",
    "reserve_and_commit_transfer", "expire_transfer", "decline_transfer", "settle_transfer",
    "claim_transfer",
}  # fmt: skip
"""Accepted in the scenarios of transfers; `link` and the carrying in every pair that is made."""
BY_MEMBERS = {"propose_change", "vote_on_change", "close_proposal"}
"""Signed by members of the nodes, not by a party's user: `test_governance.py` has the examples."""
ROLES_NEEDED = {
    **dict.fromkeys(
        ("propose_party", "approve_party", "issue_receipt", "reject_receipt"),
        frozenset({"administrator"}),
    ),
    **dict.fromkeys(
        ("place_hold", "lift_hold"), frozenset({"administrator", "regulator", "warehouse"})
    ),
    "report_receipt": frozenset({"warehouse"}),
    "deposit_cash": frozenset({"bank"}),
    **logistics.ROLES_NEEDED,
    **values.ROLES_NEEDED,
    **applications.ROLES_NEEDED,
    **authority.ROLES_NEEDED,
    **exits.ROLES_NEEDED,
}


@pytest.fixture
def pair() -> Pair:
    made = furnished()
    authority.prepare(made)
    logistics.prepare(made)
    made.report("receipt-draft", "alice")
    made.hold("lot", "lot-old", "1")
    assert made.business.do("operator", propose_party=party(party_id="waiting")) is None
    papers.prepared(made)
    exits.prepare(made)
    applications.prepare(made)
    made.carry()
    listed.prepare(made)
    return made


def side_of(pair: Pair, chain: str) -> Side:
    return pair.business if chain == "bizchain" else pair.asset


def each_signed() -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("chain", "kind", "what"), SIGNED, ids=[kind for _, kind, _ in SIGNED]
    )


def run(pair: Pair, chain: str, kind: str, sender: str | Author, operation: Any) -> Reason | None:
    return side_of(pair, chain).do(sender, **{kind: operation})


def test_every_operation_of_a_chain_has_one_rule_and_an_accepted_example() -> None:
    for side, examples in zip(furnished().sides, (BUSINESS, ASSET), strict=True):
        named = {field.name for field in side.chain.operation_type.DESCRIPTOR.fields}
        assert side.chain.rules.keys() == named
        assert named == examples.keys() | IN_TRANSFERS | BY_MEMBERS
        for name, rule in side.chain.rules.items():
            field = side.chain.operation_type.DESCRIPTOR.fields_by_name[name]
            assert field.message_type is rule.payload.DESCRIPTOR


@each_signed()
def test_the_example_is_accepted(pair: Pair, chain: str, kind: str, what: Any) -> None:
    assert run(pair, chain, kind, *what) is None


@each_signed()
def test_a_stranger_is_refused(pair: Pair, chain: str, kind: str, what: Any) -> None:
    """A key of nobody, a key of another party, a party there is not, one not yet or no more."""
    sender, operation = what
    pair.close("second-bank")
    pair.carry()
    own = cast.author(sender)
    assert own is not None
    strangers = [
        Author(own.party_id, cast.key_of("nobody")),
        Author(own.party_id, cast.key_of("bob:maker" if own.party_id != "bob" else "x")),
        Author("nobody", own.key),
        Author("waiting", cast.key_of("waiting")),
        Author("second-bank", cast.key_of("second-bank:maker")),
    ]
    for stranger in strangers:
        refused = run(pair, chain, kind, stranger, operation)
        assert refused is CommonReason.SIGNER_UNKNOWN, stranger


@each_signed()
def test_a_changed_body_or_a_missing_signature_is_refused(
    pair: Pair, chain: str, kind: str, what: Any
) -> None:
    sender, operation = what
    side = side_of(pair, chain)
    raw = side.compose(sender, **{kind: operation}).raw
    assert reason(side.submit(raw[:-1] + bytes([raw[-1] ^ 1]))) is CommonReason.BAD_SIGNATURE
    assert run(pair, chain, kind, "", operation) is CommonReason.UNSIGNED


@pytest.mark.parametrize("kind", ROLES_NEEDED)
def test_a_party_without_the_role_is_refused(pair: Pair, kind: str) -> None:
    """Whatever other roles it has."""
    _, operation = BUSINESS[kind]
    strangers = [name for name, roles in cast.ROLES.items() if not {*roles} & ROLES_NEEDED[kind]]
    assert len(strangers) >= 4
    for sender in strangers:
        refused = run(pair, "bizchain", kind, sender, operation)
        assert refused is CommonReason.PERMISSION_DENIED, sender


def test_a_role_ends_at_its_moment() -> None:
    pair = furnished()
    books = pair.business
    until = books.now + 10_000
    ending = cast.party("second-bank", "bank", until_unix_ms=until)
    books.ledger.state.put(PARTY, PARTY.key("second-bank"), ending)
    operation = cash(pb.DepositCash, party="alice")
    assert books.do("second-bank", deposit_cash=operation, at=until - 1) is None
    refused = books.do("second-bank", deposit_cash=operation, at=until)
    assert refused is CommonReason.PERMISSION_DENIED


LONG = "x" * 65
TEXT = "x" * 201
AMOUNTS = (0, -1, -(2**63))
WRONG_PARTIES: list[dict[str, Any]] = [
            {"party_id": "a/b"}, {"party_id": "x" * 41}, {"name": ""}, {"name": TEXT},
            {"legal_entity_identifier": "5493001KJTIIGC8Y1R13"}, {"roles": []},
            {"roles": [pb.RoleGrant(role="king", until_unix_ms=9)]},
            {"roles": [pb.RoleGrant(role="buyer", until_unix_ms=0)]},
            {"roles": [pb.RoleGrant(role="buyer", until_unix_ms=9)] * 2},
            {"users": []}, {"users": [pb.User(user_id="one", public_key=bytes(31))]},
            {"users": [pb.User(user_id="one", public_key=bytes([n]) * 32) for n in (1, 2)]},
]  # fmt: skip
WRONG: list[tuple[str, str, str, Any, Reason]] = [
    *(
        ("bizchain", kind, *(sender, cash(make, amount=amount, **party_field)),
         CommonReason.AMOUNT_OUT_OF_RANGE)
        for amount in AMOUNTS
        for kind, sender, make, party_field in (
            ("deposit_cash", "bank", pb.DepositCash, {"party": "alice"}),
            ("withdraw_cash", "alice", pb.WithdrawCash, {"bank": "bank"}),
            ("pay_cash", "alice", pb.PayCash, {"payee": "bob"}),
        )
    ),
    *(
        ("bizchain", "report_receipt", "warehouse", report(quantity=amount),
         CommonReason.AMOUNT_OUT_OF_RANGE)
        for amount in AMOUNTS
    ),
    *(
        ("assetchain", "move_title", "alice",
         MoveTitle(lot_id="lot-alice", receiver="bob", quantity=amount),
         CommonReason.AMOUNT_OUT_OF_RANGE)
        for amount in AMOUNTS
    ),
    ("bizchain", "deposit_cash", "bank", cash(pb.DepositCash, party="alice", amount=AMOUNT_MAX),
     CommonReason.AMOUNT_OUT_OF_RANGE),
    *(
        ("bizchain", kind, sender, cash(make, currency=currency, **field),
         CommonReason.UNKNOWN_CURRENCY)
        for currency in ("", "eur", "XAU", "EURO")
        for kind, sender, make, field in (
            ("deposit_cash", "bank", pb.DepositCash, {"party": "alice"}),
            ("withdraw_cash", "alice", pb.WithdrawCash, {"bank": "bank"}),
            ("pay_cash", "alice", pb.PayCash, {"payee": "bob"}),
        )
    ),
    *(
        ("bizchain", "report_receipt", "warehouse", report(unit=unit), CommonReason.UNKNOWN_UNIT)
        for unit in ("TNE", "", "grm")
    ),
    *(
        ("bizchain", "report_receipt", "warehouse", report(owner=owner), CommonReason.NOT_FOUND)
        for owner in ("nobody", "")
    ),
    *(
        ("bizchain", "report_receipt", "warehouse", report(**field), CommonReason.INVALID_ARGUMENT)
        for field in (
            {"receipt_id": ""}, {"receipt_id": LONG}, {"receipt_id": "a/b"},
            {"receipt_id": "UPPER"}, {"goods_code": "72"}, {"goods_code": "7208390000x"},
            {"quality": ""}, {"quality": TEXT}, {"place": ""}, {"place": TEXT},
            {"document_commitments": [bytes(31)]}, {"document_commitments": [bytes(32)] * 17},
        )
    ),
    *(
        ("bizchain", "record_document", "alice", document(**field), CommonReason.INVALID_ARGUMENT)
        for field in (
            {"document_id": "a/b"}, {"document_id": LONG}, {"kind": ""}, {"kind": "In voice"},
            {"commitment": b""}, {"commitment": bytes(33)}, {"sealed_key_data": b""},
            {"sealed_key_data": bytes(32 * 1024 + 1)}, {"sealed_content_key": b""},
            {"sealed_content_key": bytes(1025)}, {"subject": TEXT},
        )
    ),
    *(
        ("bizchain", "propose_party", "operator", party(**field), CommonReason.INVALID_ARGUMENT)
        for field in WRONG_PARTIES
    ),
    *(
        ("bizchain", "place_hold", "regulator", hold(**field), CommonReason.INVALID_ARGUMENT)
        for field in (
            {"subject_kind": "planet"}, {"subject_id": ""}, {"subject_id": "a/b"},
            {"subject_id": LONG}, {"case_id": ""}, {"case_id": TEXT}, {"ground": TEXT},
        )
    ),
    ("bizchain", "reject_receipt", "operator",
     pb.RejectReceipt(receipt_id="receipt-draft"), CommonReason.INVALID_ARGUMENT),
    ("bizchain", "pay_cash", "alice", cash(pb.PayCash, payee="bob", reference=TEXT),
     CommonReason.INVALID_ARGUMENT),
    ("assetchain", "move_title", "alice",
     MoveTitle(lot_id="lot-alice", receiver="bob", quantity=1, reference=TEXT),
     CommonReason.INVALID_ARGUMENT),
    *(
        ("bizchain", kind, sender, operation, CommonReason.NOT_FOUND)
        for kind, sender, operation in (
            ("approve_party", "operator", pb.ApproveParty(party_id="nobody")),
            ("issue_receipt", "operator", pb.IssueReceipt(receipt_id="nothing")),
            ("cancel_receipt", "alice", pb.CancelReceipt(receipt_id="nothing")),
            ("pay_cash", "alice", cash(pb.PayCash, payee="nobody")),
            ("deposit_cash", "bank", cash(pb.DepositCash, party="nobody")),
            ("withdraw_cash", "alice", cash(pb.WithdrawCash, bank="nobody")),
            ("lift_hold", "operator",
             pb.LiftHold(subject_kind="lot", subject_id="lot-old", case_id="1")),
        )
    ),
    ("assetchain", "move_title", "alice",
     MoveTitle(lot_id="nothing", receiver="bob", quantity=1), CommonReason.NOT_FOUND),
    ("assetchain", "move_title", "alice",
     MoveTitle(lot_id="lot-alice", receiver="nobody", quantity=1), CommonReason.NOT_FOUND),
    *papers.WRONG,
]  # fmt: skip


def test_what_is_out_of_range_unknown_or_too_long_is_refused(pair: Pair) -> None:
    """One pair for all: what is refused leaves it as it was."""
    roots = [side.ledger.header.state_root for side in pair.sides]
    for chain, kind, sender, operation, expected in WRONG:
        assert run(pair, chain, kind, sender, operation) is expected, (kind, operation)
    assert [side.ledger.header.state_root for side in pair.sides] == roots


def test_one_who_is_held_starts_nothing(pair: Pair) -> None:
    for kind in ("withdraw_cash", "pay_cash"):
        sender, operation = BUSINESS[kind]
        twin = pair.twin()
        twin.hold("party", sender)
        assert run(twin, "bizchain", kind, sender, operation) is TransferReason.SUBJECT_HELD
    for kind, subject in (("party", "carol"), ("receipt", "receipt-carol")):
        twin = pair.twin()
        twin.hold(kind, subject)
        refused = run(twin, "bizchain", "cancel_receipt", *BUSINESS["cancel_receipt"])
        assert refused is TransferReason.SUBJECT_HELD
    for kind, subject in (("party", "alice"), ("receipt", "receipt-alice"), ("lot", "lot-alice")):
        twin = pair.twin()
        twin.hold(kind, subject)
        twin.carry()
        refused = run(twin, "assetchain", "move_title", *ASSET["move_title"])
        assert refused is TransferReason.SUBJECT_HELD


def test_a_check_that_writes_stops_the_node(pair: Pair) -> None:
    state = pair.business.ledger.state
    state.writable = False
    with pytest.raises(InvariantBroken):
        state.put(PARTY, PARTY.key("alice"), cast.party("alice", "buyer"))
    with pytest.raises(InvariantBroken):
        state.delete(PARTY, PARTY.key("alice"))


# --- tables of states ---------------------------------------------------------------------------

S, A = TransferState, Action
POSSIBLE = {
    Role.FOLLOWER: """
        NONE reserve RESERVED; RESERVED settle_commit SETTLED;
        RESERVED settle_abort RELEASED; NONE settle_abort RELEASED""",
    Role.DECIDER: """
        NONE reserve RESERVED; RESERVED commit COMMITTED; NONE reserve_and_commit COMMITTED;
        RESERVED expire ABORTED; NONE expire ABORTED; RESERVED decline ABORTED;
        NONE decline ABORTED""",
}


def possible() -> Iterator[tuple[tuple[str, TransferState, Action], TransferState]]:
    for role, text in POSSIBLE.items():
        for line in text.split(";"):
            before, action, after = line.split()
            yield (role, S[before], A(action)), S[after]


def test_a_transfer_can_do_what_its_table_holds_and_nothing_else() -> None:
    """Every role, state and action: eleven steps are possible, and no state has two ways out."""
    expected = dict(possible())
    assert expected == dict(TRANSITIONS)
    for role, state, action in product(POSSIBLE, S, A):
        if (role, state, action) in expected:
            assert next_state(role, state, action) is expected[role, state, action]
        else:
            with pytest.raises(Refused) as refused:
                next_state(role, state, action)
            assert refused.value.reason is TransferReason.TRANSFER_DECIDED


@pytest.mark.parametrize("stands", list(ReceiptState))
@pytest.mark.parametrize("step", ["issue", "reject", "cancel"])
def test_a_receipt_can_do_what_its_table_holds_and_nothing_else(
    stands: ReceiptState, step: str
) -> None:
    pair = furnished()
    ways: dict[ReceiptState, tuple[str, ...]] = {
        ReceiptState.DRAFT: (), ReceiptState.ISSUED: ("issue",), ReceiptState.TOKENISED: ("issue",),
        ReceiptState.REJECTED: ("reject",), ReceiptState.CANCELLED: ("issue", "cancel"),
        ReceiptState.RELEASING: (), ReceiptState.DELIVERED: (), ReceiptState.SUPERSEDED: (),
    }  # fmt: skip
    pair.report("receipt-one", "alice")

    def do(step: str) -> Reason | None:
        operations: dict[str, tuple[str, Any]] = {
            "issue": ("operator", pb.IssueReceipt(receipt_id="receipt-one")),
            "reject": ("operator", pb.RejectReceipt(receipt_id="receipt-one", ground="x")),
            "cancel": ("alice", pb.CancelReceipt(receipt_id="receipt-one")),
        }
        sender, operation = operations[step]
        return pair.business.do(sender, **{f"{step}_receipt": operation})

    for way in ways[stands]:
        assert do(way) is None
    if stands is ReceiptState.TOKENISED:
        pair.complete(pair.issue("receipt-one", "lot-one"))
    if stands in ROOTED_STATES - {ReceiptState.TOKENISED}:
        logistics.change_receipt(pair, "receipt-one", state=stands.value)
    reached = RECEIPT_TRANSITIONS.get((stands, step))
    assert (do(step) is None) == (reached is not None)
    assert pair.receipt_of("receipt-one").state == (reached or stands)


def test_a_party_is_proposed_approved_closed_and_nothing_else() -> None:
    """Each step once, in this order; a closed party never comes back."""
    pair = furnished()

    def closing(made: Pair) -> Reason | None:
        refused = authority.begin(made, "close", party="newcomer")
        return refused or authority.approve(made)

    approval = pb.ApproveParty(party_id="newcomer")
    steps: dict[str, Callable[[Pair], Reason | None]] = {
        "propose_party": lambda made: made.business.do("operator", propose_party=party()),
        "approve_party": lambda made: made.business.do("operator:checker", approve_party=approval),
        "close": closing,
    }
    for chosen in (None, *steps):
        for kind, step in steps.items():
            if kind != _next_party_step(chosen):
                assert step(pair.twin()) is not None
        following = _next_party_step(chosen)
        if following:
            assert steps[following](pair) is None


def _next_party_step(done: str | None) -> str | None:
    order = [None, "propose_party", "approve_party", "close", None]
    return order[order.index(done) + 1]


@pytest.mark.parametrize("members", [("bank",), ("bank", "bank"), ("bank", "nobody")])
def test_a_link_needs_more_than_half_of_the_members(members: tuple[str, ...]) -> None:
    pair = Pair.new()
    operation = pair.link_operation(pair.business, *members)
    assert pair.business.do(link=operation) is CommonReason.PERMISSION_DENIED
    pair.link()
    again = pair.business.do(link=pair.link_operation(pair.business))
    assert again is CommonReason.ALREADY_LINKED


def test_before_the_link_no_transfer_is_possible() -> None:
    pair = Pair.new()
    pair.receipt("receipt-alice", "alice")
    deal = pair.issue("receipt-alice", "lot-alice")
    assert pair.reserve(deal) is CommonReason.NOT_LINKED
    header = common_pb.ImportHeader(header=b"x", certificate=b"y")
    assert pair.asset.do(import_header=header) is CommonReason.NOT_LINKED
