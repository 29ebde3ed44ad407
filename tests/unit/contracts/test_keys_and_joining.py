"""Keys and identifiers are one's own: who joins, who changes a key, and who has lost one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from bizchain.chain import CHAIN
from bizchain.contracts.authority.operations import RECOVERY_WAITING_MS
from bizchain.contracts.authority.queries import change_of
from bizchain.contracts.authority.types import ChangeState
from bizchain.contracts.parties.types import FreezeOrder
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.encoding import decode
from common.errors import CommonReason, Reason, Refused, TransferReason
from common.ledger.compose import Author
from common.ledger.holds import holds_of
from common.ledger.identity import Party, party_of
from common.ledger.ledger import Ledger
from common.storage.memory import MemoryStateStore
from tests.kit import authority as a
from tests.kit import cast
from tests.kit.pair import Pair, furnished
from tests.kit.side import verify

NEW = cast.key_of("new key")


@pytest.fixture
def pair() -> Pair:
    return furnished()


def pay(pair: Pair, by: str | Author, amount: int = 1) -> Reason | None:
    operation = pb.PayCash(payee="alice", currency="EUR", amount=amount)
    return pair.business.do(by, pay_cash=operation)


def broken(pair: Pair) -> list[str]:
    state = pair.business.ledger.state
    return [found.message for judge in CHAIN.invariants.values() for found in judge(state)]


# --- one's own key ------------------------------------------------------------------------------


def test_a_changed_key_signs_at_once_and_the_old_one_no_more(pair: Pair) -> None:
    assert pair.business.do("bob", change_key=a.key_change(NEW)) is None
    pair.carry()
    assert pay(pair, "bob") is CommonReason.SIGNER_UNKNOWN
    assert pay(pair, Author("bob", NEW)) is None
    found = [party_of(side.ledger.state, "bob") for side in pair.sides]
    assert found[0] == found[1]
    assert broken(pair) == []


def test_both_keys_in_one_block_are_judged_in_its_order(pair: Pair) -> None:
    books = pair.business
    payment = pb.PayCash(payee="alice", currency="EUR", amount=1)
    raws = [
        books.compose("bob", change_key=a.key_change(NEW)).raw,
        books.compose("bob", pay_cash=payment).raw,
        books.compose(Author("bob", NEW), pay_cash=payment).raw,
    ]
    codes = [receipt.code for receipt in books.block(*raws).receipts]
    assert codes == [0, CommonReason.SIGNER_UNKNOWN.number, 0]


def test_a_key_that_its_bearer_does_not_have_is_not_registered(pair: Pair) -> None:
    """Otherwise anybody could take a key that another is about to register."""
    stolen = a.key_change(NEW, signer=cast.key_of("thief"))
    assert pair.business.do("bob", change_key=stolen) is CommonReason.BAD_SIGNATURE
    elsewhere = a.key_change(NEW)
    elsewhere.possession = bytes(64)
    assert pair.business.do("bob", change_key=elsewhere) is CommonReason.BAD_SIGNATURE


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), b"\xff" * 32])
def test_what_is_no_key_is_not_registered(pair: Pair, key: bytes) -> None:
    operation = pb.ChangeKey(public_key=key, possession=bytes(64))
    assert pair.business.do("bob", change_key=operation) is CommonReason.INVALID_ARGUMENT


def test_a_key_is_registered_once_for_ever(pair: Pair) -> None:
    """One's own, a colleague's, another party's, and one that was given up."""
    old = cast.key_of("bob:maker")
    assert pair.business.do("bob", change_key=a.key_change(NEW)) is None
    bob = Author("bob", NEW)
    for name in ("bob:maker", "bob:checker", "alice:maker", "new key"):
        operation = a.key_change(cast.key_of(name))
        assert pair.business.do(bob, change_key=operation) is BusinessReason.KEY_TAKEN
    user = [pb.User(user_id="first", public_key=old.public_key)]
    proposal = a.proposal("newcomer", users=user)
    assert pair.business.do(a.MAKER, propose_party=proposal) is BusinessReason.KEY_TAKEN
    pair.close("alice")
    operation = a.key_change(cast.key_of("alice:maker"))
    assert pair.business.do(bob, change_key=operation) is BusinessReason.KEY_TAKEN


def test_of_two_changes_to_one_key_the_second_is_refused(pair: Pair) -> None:
    assert a.begin(pair, "replace_key", by="bob") is None
    assert a.approve(pair, a.MAKER) is None
    assert pair.business.do("alice", change_key=a.key_change(NEW)) is None
    assert a.approve(pair) is BusinessReason.KEY_TAKEN


# --- a lost key ---------------------------------------------------------------------------------


def lost(pair: Pair) -> None:
    """The recovery of bob's key waits."""
    assert a.begin(pair, "recover_key") is None
    assert a.approve(pair) is None


def test_a_recovered_key_signs_after_the_waiting_time_and_not_before(pair: Pair) -> None:
    lost(pair)
    change = change_of(pair.business.ledger.state, "change-1")
    assert change is not None
    assert change.due_unix_ms == pair.business.now + RECOVERY_WAITING_MS
    operation = pb.CompletePartyChange(change_id="change-1")
    early = pair.business.do(a.MAKER, complete_party_change=operation, at=change.due_unix_ms - 1)
    assert early is BusinessReason.CHANGE_NOT_DUE
    assert pay(pair, Author("bob", NEW)) is CommonReason.SIGNER_UNKNOWN
    late = pair.business.do(a.CHECKER, complete_party_change=operation, at=change.due_unix_ms)
    assert late is None
    pair.carry()
    assert pay(pair, Author("bob", NEW)) is None
    assert pay(pair, "bob") is CommonReason.SIGNER_UNKNOWN
    assert broken(pair) == []


@pytest.mark.parametrize("by", ["bob", "bob:checker"])
def test_the_owner_objects_with_the_old_key_until_the_last_moment(pair: Pair, by: str) -> None:
    lost(pair)
    pair.advance(RECOVERY_WAITING_MS)
    assert a.object_to(pair, "alice") is CommonReason.PERMISSION_DENIED
    assert a.object_to(pair, by) is None
    assert a.complete(pair) is BusinessReason.WRONG_STATE
    assert pay(pair, "bob") is None
    assert broken(pair) == []


def test_a_key_that_was_changed_is_not_recovered(pair: Pair) -> None:
    """Who can change it has not lost it."""
    lost(pair)
    assert pair.business.do("bob", change_key=a.key_change(cast.key_of("bob again"))) is None
    a.wait(pair)
    assert a.complete(pair) is BusinessReason.CHANGE_OUTDATED
    assert a.reject(pair) is None


def test_a_firm_that_could_not_object_is_not_recovered_nor_suspended_meanwhile(pair: Pair) -> None:
    assert a.begin(pair, "suspend", change_id="change-before") is None
    lost(pair)
    assert a.approve(pair, change_id="change-before") is BusinessReason.RECOVERY_UNDER_WAY
    other = {"change_id": "change-2", "user_id": "checker"}
    assert a.begin(pair, "recover_key", **other) is BusinessReason.RECOVERY_UNDER_WAY
    assert a.object_to(pair) is None
    assert a.approve(pair, change_id="change-before") is None
    assert a.begin(pair, "recover_key", change_id="change-3") is BusinessReason.WRONG_STATE


def test_a_closed_firm_recovers_nothing(pair: Pair) -> None:
    lost(pair)
    pair.close("bob")
    a.wait(pair)
    assert a.complete(pair) is BusinessReason.WRONG_STATE
    assert a.reject(pair) is None
    assert broken(pair) == []


# --- joining ------------------------------------------------------------------------------------


def one(scheme: str, value: str) -> pb.PartyIdentifier:
    return pb.PartyIdentifier(scheme=scheme, value=value)


def join(pair: Pair, party_id: str, **fields: Any) -> Reason | None:
    return pair.business.do(a.MAKER, propose_party=a.proposal(party_id, **fields))


IDENTIFIED: list[dict[str, Any]] = [
    {"legal_entity_identifier": a.LEI},
    {"identifiers": [one("USCC", a.USCC)]},
    {"identifiers": [one("GLN", a.GLN)]},
]


@pytest.mark.parametrize("fields", IDENTIFIED)
def test_an_identifier_is_one_firms_until_it_is_rejected_or_closed(
    pair: Pair, fields: dict[str, Any]
) -> None:
    assert join(pair, "first-firm", **fields) is None
    assert join(pair, "second-firm", **fields) is BusinessReason.IDENTIFIER_TAKEN
    rejection = pb.RejectParty(party_id="first-firm", ground="a wrong name")
    assert pair.business.do(a.CHECKER, reject_party=rejection) is None
    assert join(pair, "second-firm", **fields) is None
    approval = pb.ApproveParty(party_id="second-firm")
    assert pair.business.do(a.CHECKER, approve_party=approval) is None
    assert join(pair, "first-firm", **fields) is BusinessReason.IDENTIFIER_TAKEN
    pair.close("second-firm")
    assert join(pair, "first-firm", **fields) is None
    assert broken(pair) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"identifiers": [one("USCC", "91110000600037341M")]},
        {"identifiers": [one("GLN", "4012345000008")]},
        {"identifiers": [one("GLN", a.GLN), one("GLN", a.GLN)]},
        {"identifiers": [one("LEI", a.LEI)]},
        {"identifiers": [one("IBAN", "DE89370400440532013000")]},
        {"legal_entity_identifier": "5493001KJTIIGC8Y1R13"},
        {"documents": [bytes(31)]},
        {"documents": [bytes(32)] * 17},
        {"users": [pb.User(user_id="first", public_key=bytes(32))]},
    ],
)
def test_an_application_with_a_slip_is_refused(pair: Pair, fields: dict[str, Any]) -> None:
    assert join(pair, "newcomer", **fields) is CommonReason.INVALID_ARGUMENT


def test_an_application_stays_on_record_with_its_people(pair: Pair) -> None:
    documents = [bytes([7]) * 32]
    assert join(pair, "newcomer", identifiers=[one("USCC", a.USCC)], documents=documents) is None
    approval = pb.ApproveParty(party_id="newcomer")
    assert pair.business.do(a.CHECKER, approve_party=approval) is None
    change = change_of(pair.business.ledger.state, "join-newcomer")
    assert change is not None
    assert (change.maker, change.checker) == ("operator/maker", "operator/checker")
    assert (change.state, change.documents) == (ChangeState.APPROVED, tuple(documents))
    assert [(one.scheme, one.value) for one in change.identifiers] == [("USCC", a.USCC)]


def test_a_rejected_firm_leaves_its_keys_and_may_apply_again(pair: Pair) -> None:
    for _ in range(2):
        assert join(pair, "newcomer") is None
        for ground, expected in (("", CommonReason.INVALID_ARGUMENT), ("no", None)):
            rejection = pb.RejectParty(party_id="newcomer", ground=ground)
            assert pair.business.do(a.MAKER, reject_party=rejection) is expected
        assert party_of(pair.business.ledger.state, "newcomer") is None
        assert broken(pair) == []


def doubled(**shared: Any) -> tuple[Party, Party]:
    first, second = cast.party("first", "buyer"), cast.party("second", "buyer")
    return replace(first, **shared), replace(second, **shared)


@pytest.mark.parametrize(
    ("parties", "expected"),
    [
        (doubled(users=cast.party("first", "buyer").users), BusinessReason.KEY_TAKEN),
        (doubled(legal_entity_identifier=a.LEI), BusinessReason.IDENTIFIER_TAKEN),
    ],
)
def test_a_genesis_shares_neither_keys_nor_identifiers(
    parties: tuple[Party, Party], expected: Reason
) -> None:
    genesis = replace(cast.genesis("bizchain"), parties=parties)
    with pytest.raises(Refused) as refused:
        Ledger.open(CHAIN, genesis, MemoryStateStore(), verify)
    assert refused.value.reason is expected


# --- freeze orders ------------------------------------------------------------------------------


def test_a_freeze_order_shows_its_legal_basis_on_both_chains_and_is_lifted_like_a_hold(
    pair: Pair,
) -> None:
    subject = {"subject_kind": "party", "subject_id": "bob", "case_id": "42"}
    order = pb.OrderFreeze(**subject, legal_basis="Act 7, section 3", ground="an inquiry")
    assert pair.business.do("regulator", order_freeze=order) is None
    [event] = pair.business.events(pair.business.height, "freeze-order")
    assert decode(FreezeOrder, event.payload).legal_basis == "Act 7, section 3"
    pair.carry()
    for side in pair.sides:
        [hold] = holds_of(side.ledger.state, "party", "bob")
        assert hold.ground == "Act 7, section 3: an inquiry"
    assert pay(pair, "bob") is TransferReason.SUBJECT_HELD
    pair.lift("party", "bob", "42")
    assert pay(pair, "bob") is None


@pytest.mark.parametrize(
    "changed", [{"legal_basis": ""}, {"legal_basis": "x" * 200}, {"subject_id": "a/b"}]
)
def test_a_freeze_order_without_a_basis_or_a_subject_is_refused(
    pair: Pair, changed: dict[str, Any]
) -> None:
    order = pb.OrderFreeze(**{**a.FREEZE, "legal_basis": "Act 7", **changed})
    assert pair.business.do("regulator", order_freeze=order) is CommonReason.INVALID_ARGUMENT
