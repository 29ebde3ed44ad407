"""Administrators of two firms work together against a firm that only watches and objects.

They propose, approve, reject, complete, suspend, resume and wait in any order. They may take its
roles, suspend or close it; they never get a key of their own to sign for it.
"""

from __future__ import annotations

from typing import Any

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from bizchain.contracts.authority.queries import standing_of
from bizchain.contracts.authority.types import KINDS
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.errors import CommonReason
from common.ledger.compose import Author
from common.ledger.identity import PartyStatus, party_of
from tests.kit import authority, cast
from tests.kit.pair import Pair, furnished

ATTACKERS = ("operator", "operator:checker", "admin", "admin:checker")
VICTIM = "bob"
HOUR_MS = 3_600_000
KEYS = tuple(cast.key_of(f"attacker {number}").public_key for number in range(3))
KINDS_OF_THEFT = ("add_user", "recover_key", "recover_key", "replace_key", "resume", "suspend")
FOUNDED: list[Pair] = []

step = st.tuples(
    st.sampled_from(("propose", "propose", "approve", "approve", "complete", "reject", "wait")),
    st.sampled_from(ATTACKERS),
    st.integers(0, 3),
    st.sampled_from((*KINDS_OF_THEFT, *KINDS_OF_THEFT, *sorted(KINDS))),
    st.sampled_from(("maker", "checker", "third")),
    st.sampled_from(KEYS),
)
"""What is done, by whom, to which of the last changes begun; and of a new one: kind, user, key."""


def founded() -> Pair:
    """A pair with a second firm of administrators."""
    if not FOUNDED:
        FOUNDED.append(furnished())
        FOUNDED[0].join("admin", "administrator")
        FOUNDED[0].carry()
    return FOUNDED[0].twin()


def attack(pair: Pair, begun: list[str], chosen: tuple[str, str, int, str, str, bytes]) -> None:
    what, by, back, kind, user, key = chosen
    if what == "wait":
        pair.advance(40 * HOUR_MS)
    elif what == "propose":
        details = dict(authority.DETAILS[kind])
        details |= {"user_id": user} if "user_id" in details else {}
        details |= {"public_key": key} if "public_key" in details else {}
        change_id = f"change-{pair.business.height}"
        if authority.begin(pair, kind, by, change_id, **details) is None:
            begun.append(change_id)
    elif begun:
        acts: dict[str, Any] = {
            "approve": authority.approve, "complete": authority.complete,
            "reject": authority.reject,
        }  # fmt: skip
        acts[what](pair, by, begun[-1 - back % len(begun)])


def object_where_it_must(pair: Pair) -> None:
    """The victim looks once in forty hours: whatever waits, it can still stop, or has ended."""
    standing = standing_of(pair.business.ledger.state, "recovery", VICTIM)
    if standing is not None:
        party = party_of(pair.business.ledger.state, VICTIM)
        assert party is not None
        if party.status == PartyStatus.CLOSED:
            refused = authority.complete(pair, change_id=standing.change_id)
            assert refused in {BusinessReason.WRONG_STATE, BusinessReason.CHANGE_NOT_DUE}
            return
        user = party.users[-1].user_id  # the other may have been removed
        assert authority.object_to(pair, f"{VICTIM}:{user}", standing.change_id) is None


def pay(pair: Pair, author: Author) -> Any:
    operation = pb.PayCash(payee="alice", currency="EUR", amount=1)
    return pair.business.do(author, pay_cash=operation)


def begin(kind: str) -> Any:
    return ("propose", "admin", 0, kind, "maker", KEYS[0])


def approve(back: int) -> Any:
    return ("approve", "operator", back, "", "", b"")


WAIT = ("wait", "", 0, "", "", b"")


@example([begin("recover_key"), begin("suspend"), approve(1), approve(0), WAIT, WAIT])
@example([begin("recover_key"), begin("close"), approve(1), approve(0), WAIT, WAIT])
@example([begin("suspend"), approve(0), begin("recover_key"), approve(0), WAIT, WAIT])
@settings(max_examples=100, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(steps=st.lists(step, min_size=20, max_size=40))
def test_administrators_never_sign_for_a_firm_that_objects(steps: list[Any]) -> None:
    pair = founded()
    before = party_of(pair.business.ledger.state, VICTIM)
    assert before is not None
    begun: list[str] = []
    for one in steps:
        attack(pair, begun, one)
        if one[0] == "wait":
            object_where_it_must(pair)
        now = party_of(pair.business.ledger.state, VICTIM)
        assert now is not None
        assert set(now.users) <= set(before.users)
        assert now.status in {PartyStatus.ACTIVE, PartyStatus.SUSPENDED, PartyStatus.CLOSED}
        for judge in pair.business.chain.invariants.values():
            assert judge(pair.business.ledger.state) == []
    for number in range(len(KEYS)):
        thief = Author(VICTIM, cast.key_of(f"attacker {number}"))
        assert pay(pair, thief) is CommonReason.SIGNER_UNKNOWN
    pair.carry()
    for party_id in (VICTIM, "operator", "admin"):
        assert party_of(pair.asset.ledger.state, party_id) == party_of(
            pair.business.ledger.state, party_id
        )


def test_administrators_who_meet_no_objection_recover_a_key_in_good_time() -> None:
    """The attack above is not toothless: without an objection it succeeds."""
    pair = founded()
    assert authority.begin(pair, "recover_key", "admin", public_key=KEYS[0]) is None
    assert authority.approve(pair, "operator") is None
    pair.advance(80 * HOUR_MS)
    assert authority.complete(pair, "admin:checker") is None
    assert pay(pair, Author(VICTIM, cast.key_of("attacker 0"))) is None
