"""Changes of parties: two people of other firms decide, and nobody alone does anything."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.authority.keys import CHANGE, STANDING
from bizchain.contracts.authority.operations import PROPOSAL_LIFE_MS
from bizchain.contracts.authority.queries import change_of, may_read, standing_of
from bizchain.contracts.authority.types import (
    KINDS,
    TRANSITIONS,
    By,
    ChangeState,
    Standing,
    Step,
)
from bizchain.contracts.cash.queries import cash_of
from bizchain.contracts.parties.types import TRANSITIONS as PARTY_TRANSITIONS
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.errors import CommonReason, Reason
from common.ledger.compose import Author
from common.ledger.identity import PARTY, Party, PartyStatus, party_of
from common.ledger.state import Table
from tests.kit import authority as a
from tests.kit import cast
from tests.kit.pair import Pair, furnished

OWN = frozenset({"add_user", "replace_key"})


@pytest.fixture
def pair() -> Pair:
    return furnished()


def bob(pair: Pair, *, on_asset: bool = False) -> Party:
    side = pair.asset if on_asset else pair.business
    found = party_of(side.ledger.state, "bob")
    assert found is not None
    return found


def broken(pair: Pair) -> list[str]:
    """What the invariants of both chains find."""
    return [
        violation.message
        for side in pair.sides
        for judge in side.chain.invariants.values()
        for violation in judge(side.ledger.state)
    ]


def pay(pair: Pair, by: str | Author, to: str = "alice") -> Reason | None:
    operation = pb.PayCash(payee=to, currency="EUR", amount=1)
    return pair.business.do(by, pay_cash=operation)


# --- the table ----------------------------------------------------------------------------------


C = ChangeState
PLAIN, ASKED, SLOW = (False, False), (False, True), (True, False)
"""(waits, applied): proposed by an administrator, applied for by the party, one that waits."""

REACHED: list[tuple[ChangeState, tuple[bool, bool]]] = [
    (C.NEW, PLAIN), (C.APPLIED, ASKED), (C.WITHDRAWN, ASKED), (C.WAITING, SLOW),
    (C.OBJECTED, SLOW),
    *product((C.PROPOSED, C.APPROVED, C.REJECTED), (PLAIN, ASKED, SLOW)),
]  # fmt: skip
"""No other pair can be."""


def reach(pair: Pair, state: ChangeState, *, waits: bool, applied: bool) -> None:
    """Bring change-1 into a state."""
    if state is C.NEW:
        return
    kind = "recover_key" if waits else "revoke_role"
    assert a.begin(pair, kind, by="bob" if applied else a.MAKER) is None
    if applied and state in {C.PROPOSED, C.APPROVED}:
        assert a.approve(pair, a.MAKER) is None
    ways: dict[ChangeState, list[Any]] = {
        C.WAITING: [a.approve, a.wait],
        C.APPROVED: [a.approve, a.wait, a.complete] if waits else [a.approve],
        C.REJECTED: [a.reject],
        C.WITHDRAWN: [lambda made: a.reject(made, by="bob")],
        C.OBJECTED: [a.approve, a.object_to],
    }
    for way in ways.get(state, []):
        assert way(pair) is None
    assert a.state_of(pair) == state


@pytest.mark.parametrize(("state", "kind"), REACHED)
def test_a_change_can_do_what_its_table_holds_and_nothing_else(
    pair: Pair, state: ChangeState, kind: tuple[bool, bool]
) -> None:
    """Every operation, by an administrator and by the party, on a change in every state."""
    waits, applied = kind
    reach(pair, state, waits=waits, applied=applied)
    approving = Step.AWAIT if waits else Step.APPROVE
    for operation, by in product((a.approve, a.complete, a.reject, a.object_to), By):
        steps = {
            a.approve: Step.ENDORSE if state is ChangeState.APPLIED else approving,
            a.complete: Step.COMPLETE,
            a.reject: Step.WITHDRAW if by is By.PARTY else Step.REJECT,
            a.object_to: Step.OBJECT,
        }
        expected = TRANSITIONS.get((state, steps[operation], by))
        if steps[operation] is Step.WITHDRAW and not applied:
            expected = None
        twin = pair.twin()
        refused = operation(twin, "bob" if by is By.PARTY else a.CHECKER)
        assert (refused is None) == (expected is not None), (operation, by, refused)
        assert a.state_of(twin) == (expected or state)
        assert broken(twin) == []


def test_every_step_of_the_table_is_by_one_side_and_leads_one_way() -> None:
    assert {step for _, step, _ in TRANSITIONS} == set(Step)
    assert len({(state, step) for state, step, _ in TRANSITIONS}) == len(TRANSITIONS)
    ended = set(ChangeState) - {state for state, _, _ in TRANSITIONS}
    assert ended == {
        ChangeState.APPROVED, ChangeState.REJECTED, ChangeState.WITHDRAWN, ChangeState.OBJECTED,
    }  # fmt: skip


@pytest.mark.parametrize("status", ["", *(PartyStatus.PROPOSED, PartyStatus.ACTIVE,
                                          PartyStatus.SUSPENDED, PartyStatus.CLOSED)])  # fmt: skip
def test_a_party_can_do_what_its_table_holds_and_nothing_else(pair: Pair, status: str) -> None:
    def do(made: Pair, step: str) -> Reason | None:
        who = {"party_id": "newcomer"}
        kinds: dict[str, Any] = {
            "propose": {"propose_party": a.proposal("newcomer")},
            "approve": {"approve_party": pb.ApproveParty(**who)},
            "reject": {"reject_party": pb.RejectParty(**who, ground="no")},
        }
        if step in kinds:
            by = a.CHECKER if step == "approve" else a.MAKER
            return made.business.do(by, **kinds[step])
        change_id = f"change-{step}"
        refused = a.begin(made, step, party="newcomer", change_id=change_id)
        return refused or a.approve(made, change_id=change_id)

    ways = {
        "": [], PartyStatus.PROPOSED: ["propose"], PartyStatus.ACTIVE: ["propose", "approve"],
        PartyStatus.SUSPENDED: ["propose", "approve", "suspend"],
        PartyStatus.CLOSED: ["propose", "approve", "close"],
    }  # fmt: skip
    for way in ways[status]:
        assert do(pair, way) is None
    for step in ("propose", "approve", "reject", "suspend", "resume", "close"):
        twin = pair.twin()
        expected = PARTY_TRANSITIONS.get((status, step))
        assert (do(twin, step) is None) == (expected is not None), step
        found = party_of(twin.business.ledger.state, "newcomer")
        assert ("" if found is None else found.status) == (status if expected is None else expected)
        twin.carry()
        assert broken(twin) == []


# --- two people of other firms ------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"resume", "revoke_reading"}))
def test_no_change_is_in_force_before_two_people_of_other_firms_signed(
    pair: Pair, kind: str
) -> None:
    before = bob(pair)
    by = "bob" if kind in OWN else a.MAKER
    assert a.begin(pair, kind, by=by) is None
    if kind in OWN:
        assert a.approve(pair, a.MAKER) is None
    assert bob(pair) == before
    assert a.approve(pair, a.MAKER) is BusinessReason.MAKER_IS_CHECKER
    assert a.approve(pair, "alice") is CommonReason.PERMISSION_DENIED
    assert a.approve(pair) is None
    assert (bob(pair) == before) == (kind in {"grant_reading", "recover_key", "set_grade"})
    assert broken(pair) == []


def test_a_maker_with_a_new_key_is_still_the_maker(pair: Pair) -> None:
    """Who signs is a user, not a key: otherwise one person could be both."""
    assert a.begin(pair, "suspend") is None
    assert pair.business.do(a.MAKER, propose_party=a.proposal("newcomer")) is None
    assert pair.business.do(a.MAKER, change_key=a.key_change(cast.key_of("other"))) is None
    again = Author("operator", cast.key_of("other"))
    for operation in (
        {"approve_party_change": pb.ApprovePartyChange(change_id="change-1")},
        {"approve_party": pb.ApproveParty(party_id="newcomer")},
    ):
        assert pair.business.do(again, **operation) is BusinessReason.MAKER_IS_CHECKER


def second_firm(pair: Pair) -> None:
    """Another firm of administrators: `admin`."""
    pair.join("admin", "administrator")
    pair.carry()


def test_nobody_decides_about_their_own_firm(pair: Pair) -> None:
    second_firm(pair)
    assert a.begin(pair, "grant_role", by="operator", party="operator") is None
    for decide in (a.approve, a.complete):
        assert decide(pair, "operator:checker") is BusinessReason.OWN_FIRM
    assert a.state_of(pair) == ChangeState.APPLIED
    assert a.approve(pair, "admin") is None
    assert a.approve(pair, "operator:checker") is BusinessReason.OWN_FIRM
    assert a.approve(pair, "admin:checker") is None


def test_a_regulator_with_other_roles_does_not_grant_itself_reading(pair: Pair) -> None:
    pair.join("watch", "administrator", "regulator")
    assert a.begin(pair, "grant_reading", reader="watch") is None
    assert a.approve(pair, "watch") is BusinessReason.OWN_FIRM


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("by", list(By))
def test_a_kind_is_begun_by_those_its_table_names(pair: Pair, kind: str, by: By) -> None:
    """Two administrators can neither add a user to a firm nor give one another key at once."""
    if kind == "resume":
        a.make(pair, "suspend", change_id="change-0")
    if kind == "revoke_reading":
        a.make(pair, "grant_reading", change_id="change-0")
    refused = a.begin(pair, kind, by="bob" if by is By.PARTY else a.MAKER)
    expected = None if by in KINDS[kind].begun_by else BusinessReason.WRONG_APPLICANT
    if kind == "resume" and by is By.PARTY:
        assert refused is CommonReason.SIGNER_UNKNOWN
    else:
        assert refused is expected


def test_a_regulator_is_made_by_a_regulator_and_by_no_office(pair: Pair) -> None:
    """It judges what the office says in others' places: the genesis names the first."""
    proposed = a.proposal(
        "puppet", roles=[pb.RoleGrant(role="regulator", until_unix_ms=a.FOREVER_UNIX_MS)]
    )
    assert pair.business.do(a.MAKER, propose_party=proposed) is None
    approval = pb.ApproveParty(party_id="puppet")
    assert pair.business.do(a.CHECKER, approve_party=approval) is CommonReason.PERMISSION_DENIED
    assert pair.business.do("regulator", approve_party=approval) is None
    assert a.begin(pair, "grant_role", role="regulator") is None
    assert a.approve(pair, a.CHECKER) is CommonReason.PERMISSION_DENIED
    assert a.approve(pair, "regulator") is None
    later: dict[str, Any] = {"role": "regulator", "until_unix_ms": a.FOREVER_UNIX_MS + 1}
    assert a.begin(pair, "grant_role", change_id="longer", **later) is None
    assert a.approve(pair, a.CHECKER, "longer") is None
    assert a.begin(pair, "grant_role", change_id="other", role="carrier") is None
    assert a.approve(pair, "regulator", "other") is CommonReason.PERMISSION_DENIED
    assert a.approve(pair, a.CHECKER, "other") is None
    newcomer = pb.ApproveParty(party_id="newcomer")
    assert pair.business.do(a.MAKER, propose_party=a.proposal("newcomer")) is None
    assert pair.business.do("regulator", approve_party=newcomer) is CommonReason.PERMISSION_DENIED


def test_a_regulator_needs_no_grant_to_read_itself(pair: Pair) -> None:
    refused = a.begin(pair, "grant_reading", party="regulator")
    assert refused is CommonReason.INVALID_ARGUMENT


@pytest.mark.parametrize("decide", [a.approve, a.complete, a.reject, a.object_to])
def test_an_application_to_join_is_decided_with_its_party_alone(pair: Pair, decide: Any) -> None:
    assert pair.business.do(a.MAKER, propose_party=a.proposal("newcomer")) is None
    assert decide(pair, a.CHECKER, change_id="join-newcomer") is BusinessReason.WRONG_STATE


def test_a_stranger_applies_for_nobody(pair: Pair) -> None:
    assert a.begin(pair, "grant_role", by="alice") is CommonReason.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("kind", "changed", "expected"),
    [
        ("grant_role", {"role": "king"}, CommonReason.INVALID_ARGUMENT),
        ("grant_role", {"role": ""}, CommonReason.INVALID_ARGUMENT),
        ("grant_role", {"user_id": "third"}, CommonReason.INVALID_ARGUMENT),
        ("grant_role", {"until_unix_ms": cast.START_UNIX_MS}, CommonReason.INVALID_ARGUMENT),
        ("grant_role", {"until_unix_ms": 2**62}, CommonReason.INVALID_ARGUMENT),
        ("grant_role", {"party": "nobody"}, CommonReason.NOT_FOUND),
        ("grant_role", {"change_id": "join-bob"}, CommonReason.INVALID_ARGUMENT),
        ("grant_role", {"change_id": "a/b"}, CommonReason.INVALID_ARGUMENT),
        ("grant_role", {"ground": "x" * 201}, CommonReason.INVALID_ARGUMENT),
        ("grant_role", {"documents": [bytes(31)]}, CommonReason.INVALID_ARGUMENT),
        ("grant_role", {"documents": [bytes(32)] * 17}, CommonReason.INVALID_ARGUMENT),
        ("marry", {}, CommonReason.INVALID_ARGUMENT),
        ("revoke_role", {"role": "carrier"}, CommonReason.NOT_FOUND),
        ("recover_key", {"user_id": "third"}, CommonReason.NOT_FOUND),
        ("recover_key", {"public_key": bytes(32)}, CommonReason.INVALID_ARGUMENT),
        ("recover_key", {"public_key": b"\xff" * 32}, CommonReason.INVALID_ARGUMENT),
        ("remove_user", {"user_id": "third"}, CommonReason.NOT_FOUND),
        ("resume", {}, BusinessReason.WRONG_STATE),
        ("set_grade", {"grade": "Z"}, CommonReason.INVALID_ARGUMENT),
        ("set_grade", {"grade": "UNRATED"}, CommonReason.INVALID_ARGUMENT),
        ("grant_reading", {"reader": "alice"}, CommonReason.INVALID_ARGUMENT),
        ("grant_reading", {"reader": "nobody"}, CommonReason.NOT_FOUND),
        ("revoke_reading", {}, CommonReason.NOT_FOUND),
    ],
)  # fmt: skip
def test_a_change_that_makes_no_sense_is_refused_when_it_is_begun(
    pair: Pair, kind: str, changed: dict[str, Any], expected: Reason
) -> None:
    assert a.begin(pair, kind, **changed) is expected


def test_the_last_role_and_the_last_user_stay(pair: Pair) -> None:
    """A party without them is closed or suspended, not emptied."""
    a.make(pair, "revoke_role")
    a.make(pair, "remove_user", change_id="change-2")
    last = {"role": "supplier", "change_id": "change-3"}
    assert a.begin(pair, "revoke_role", **last) is CommonReason.INVALID_ARGUMENT
    last = {"user_id": cast.MAKER, "change_id": "change-4"}
    assert a.begin(pair, "remove_user", **last) is CommonReason.INVALID_ARGUMENT


def test_a_party_has_a_hundred_users_at_most(pair: Pair) -> None:
    full = [pb.User(user_id=f"u-{n}", public_key=cast.key_of(f"u{n}").public_key)
            for n in range(100)]  # fmt: skip
    crowd = a.proposal("crowd", users=full)
    assert pair.business.do(a.MAKER, propose_party=crowd) is None
    assert pair.business.do(a.CHECKER, approve_party=pb.ApproveParty(party_id="crowd")) is None
    operation = a.change("add_user", "crowd", user_id="u-100")
    author = Author("crowd", cast.key_of("u0"))
    refused = pair.business.do(author, propose_party_change=operation)
    assert refused is CommonReason.INVALID_ARGUMENT


def test_an_approval_is_judged_by_the_party_as_it_is_now(pair: Pair) -> None:
    assert a.begin(pair, "revoke_role") is None
    a.make(pair, "revoke_role", change_id="change-2")
    assert a.approve(pair) is CommonReason.NOT_FOUND


def test_an_application_is_taken_up_only_where_it_still_makes_sense(pair: Pair) -> None:
    assert a.begin(pair, "revoke_role", by="bob") is None
    a.make(pair, "revoke_role", change_id="change-2")
    assert a.approve(pair, a.MAKER) is CommonReason.NOT_FOUND
    assert a.state_of(pair) == ChangeState.APPLIED


def test_an_application_that_nobody_takes_up_makes_room_for_another(pair: Pair) -> None:
    assert a.begin(pair, "add_user", by="bob") is None
    pair.advance(PROPOSAL_LIFE_MS)
    assert a.begin(pair, "revoke_role", by="bob", change_id="change-2") is None
    assert a.approve(pair, a.MAKER) is BusinessReason.CHANGE_LAPSED
    assert a.reject(pair) is None
    standing = standing_of(pair.business.ledger.state, "application", "bob")
    assert standing == Standing("bob", "change-2", 0)
    assert broken(pair) == []


def test_an_end_has_its_ground(pair: Pair) -> None:
    assert a.begin(pair, "suspend") is None
    for ground in ("", "x" * 201):
        operation = pb.RejectPartyChange(change_id="change-1", ground=ground)
        refused = pair.business.do(a.MAKER, reject_party_change=operation)
        assert refused is CommonReason.INVALID_ARGUMENT
    operation = pb.RejectPartyChange(change_id="join-bob", ground="no")
    assert pair.business.do(a.MAKER, reject_party_change=operation) is CommonReason.NOT_FOUND


# --- roles, suspension, reading -----------------------------------------------------------------


def test_a_role_is_granted_renewed_and_revoked_and_the_asset_chain_knows(pair: Pair) -> None:
    for number, until in enumerate((cast.START_UNIX_MS * 2, cast.START_UNIX_MS * 3)):
        a.make(pair, "grant_role", change_id=f"change-{number}", until_unix_ms=until)
        assert [one.until_unix_ms for one in bob(pair).roles if one.role == "carrier"] == [until]
    a.make(pair, "revoke_role", change_id="change-2", role="carrier")
    pair.carry()
    assert [one.role for one in bob(pair).roles] == ["buyer", "supplier"]
    assert bob(pair, on_asset=True) == bob(pair)


def test_a_granted_role_ends_at_its_moment(pair: Pair) -> None:
    until = pair.business.now + 60_000
    a.make(pair, "grant_role", role="bank", until_unix_ms=until)
    operation = pb.DepositCash(party="alice", currency="EUR", amount=1)
    assert pair.business.do("bob", deposit_cash=operation, at=until - 1) is None
    refused = pair.business.do("bob", deposit_cash=operation, at=until)
    assert refused is CommonReason.PERMISSION_DENIED


def test_a_suspended_party_signs_nothing_on_either_chain_until_it_is_resumed(pair: Pair) -> None:
    move = MoveTitle(lot_id="lot-bob", receiver="alice", quantity=1)
    a.make(pair, "suspend")
    pair.carry()
    deal = pair.trade("bob", "alice", lot_id="lot-alice")
    assert pay(pair, "bob") is CommonReason.SIGNER_UNKNOWN
    assert pair.asset.do("bob", move_title=move) is CommonReason.SIGNER_UNKNOWN
    assert pair.reserve(deal) is CommonReason.SIGNER_UNKNOWN
    a.make(pair, "resume", change_id="change-2")
    pair.carry()
    assert pay(pair, "bob") is None
    assert pair.asset.do("bob", move_title=move) is None
    assert broken(pair) == []


def test_a_suspended_party_is_paid_and_its_decided_trades_settle(pair: Pair) -> None:
    deal = pair.trade("alice", "bob", lot_id="lot-bob", amount=1_000)
    assert pair.reserve(deal) is None
    pair.carry()
    assert pair.decide(deal) is None
    a.make(pair, "suspend")
    pair.carry()
    before = cash_of(pair.business.ledger.state, "bob", "EUR").available
    assert pair.settle(deal) is None
    assert pay(pair, "alice", "bob") is None
    deposit = pb.DepositCash(party="bob", currency="EUR", amount=4)
    assert pair.business.do("bank", deposit_cash=deposit) is None
    assert cash_of(pair.business.ledger.state, "bob", "EUR").available == before + 995 + 1 + 4
    assert broken(pair) == []


def test_a_suspended_party_can_be_closed_and_is_paid_no_more(pair: Pair) -> None:
    a.make(pair, "suspend")
    pair.close("bob")
    assert pay(pair, "alice", "bob") is CommonReason.NOT_FOUND


def test_a_regulator_reads_what_is_granted_for_as_long_as_it_is(pair: Pair) -> None:
    state = pair.business.ledger.state
    until = pair.business.now + 60_000
    a.make(pair, "grant_reading", until_unix_ms=until)
    assert may_read(state, "regulator", "bob", until - 1)
    assert not may_read(state, "regulator", "bob", until)
    assert not may_read(state, "regulator", "alice", until - 1)
    assert may_read(state, "alice", "alice", until)
    a.make(pair, "revoke_reading", change_id="change-2")
    assert not may_read(state, "regulator", "bob", until - 1)
    assert broken(pair) == []


# --- what stands by changes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"checker": "operator/maker"}, {"checker": ""}, {"maker": ""}, {"maker": "bob/maker"},
        {"checker": "bob/checker"}, {"applicant": "alice/maker"}, {"state": "DONE"},
        {"state": ""}, {"state": "WAITING"}, {"state": "REJECTED"}, {"kind": "marry"},
        {"change_id": "change-9"}, {"due_unix_ms": 5}, {"ended_by": "operator/maker"},
    ],
    ids=str,
)  # fmt: skip
def test_a_change_that_was_not_decided_so_is_found(pair: Pair, fields: dict[str, Any]) -> None:
    a.make(pair, "grant_role")
    state = pair.business.ledger.state
    change = change_of(state, "change-1")
    assert change is not None
    assert broken(pair) == []
    state.put(CHANGE, CHANGE.key("change-1"), replace(change, **fields))
    assert broken(pair)


def test_a_key_or_a_place_that_stands_under_another_is_found(pair: Pair) -> None:
    state = pair.business.ledger.state
    other = replace(bob(pair), users=cast.party("alice", "buyer").users)
    forged: list[tuple[Table[Any], bytes, Any]] = [
        (PARTY, PARTY.key("bob"), other),
        (PARTY, PARTY.key("bob"), replace(bob(pair), legal_entity_identifier=a.LEI)),
        (STANDING, STANDING.key("uscc", a.USCC), Standing("nobody", "", 0)),
        (STANDING, STANDING.key("recovery", "bob"), Standing("bob", "change-1", 0)),
        (STANDING, STANDING.key("application", "bob"), Standing("bob", "", 0)),
    ]
    for table, key, value in forged:
        before = state.get(table, key)
        state.put(table, key, value)
        assert broken(pair), key
        if before is None:
            state.delete(table, key)
        else:
            state.put(table, key, before)
    assert broken(pair) == []
