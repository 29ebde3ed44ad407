"""Changes of parties, for the tests: what begins, decides and ends them, and an example of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from assetchain.reasons import AssetReason
from assetchain.v1.operation_pb2 import MoveTitle
from bizchain.contracts.authority.operations import (
    PROPOSAL_LIFE_MS,
    RECOVERY_WAITING_MS,
    possession_digest,
)
from bizchain.contracts.authority.queries import change_of
from bizchain.reasons import BusinessReason as Reasons
from bizchain.v1 import operation_pb2 as pb
from common.crypto.signing import SigningKey, sign
from common.encoding import encode
from common.errors import Reason
from common.ledger.genesis import chain_id_of
from common.ledger.grades import (
    CREDIT_PERMISSIONS,
    POLICY_FORMAT,
    POLICY_TABLE,
    Policy,
    PolicyRow,
)
from common.ledger.versions import latest_of
from tests.kit import cast
from tests.kit.council import Council
from tests.kit.pair import Pair

MAKER, CHECKER = "operator", "operator:checker"
LEI = "5493001KJTIIGC8Y1R12"
USCC = "91110000600037341L"
GLN = "4012345000009"
NEW_KEY = cast.key_of("new key").public_key
FOREVER_UNIX_MS = cast.START_UNIX_MS * 2
DETAILS: dict[str, dict[str, Any]] = {
    "add_user": {"user_id": "third", "public_key": NEW_KEY},
    "close": {},
    "grant_reading": {"reader": "regulator", "until_unix_ms": FOREVER_UNIX_MS},
    "grant_role": {"role": "carrier", "until_unix_ms": FOREVER_UNIX_MS},
    "recover_key": {"user_id": cast.MAKER, "public_key": NEW_KEY},
    "remove_user": {"user_id": cast.CHECKER},
    "replace_key": {"user_id": cast.MAKER, "public_key": NEW_KEY},
    "resume": {},
    "revoke_reading": {"reader": "regulator"},
    "revoke_role": {"role": "buyer"},
    "set_grade": {"grade": "BBB", "until_unix_ms": FOREVER_UNIX_MS},
    "suspend": {},
}
"""Details of each kind that would be accepted of bob."""


def change(kind: str, party: str = "bob", change_id: str = "change-1", **changed: Any) -> Any:
    """What begins a change, with the details of its kind."""
    fields = {"ground": "as agreed", **DETAILS.get(kind, {}), **changed}
    return pb.ProposePartyChange(change_id=change_id, party_id=party, kind=kind, **fields)


def begin(
    pair: Pair, kind: str, by: str = MAKER, change_id: str = "change-1", **changed: Any
) -> Reason | None:
    operation = change(kind, change_id=change_id, **changed)
    return pair.business.do(by, propose_party_change=operation)


def approve(pair: Pair, by: str = CHECKER, change_id: str = "change-1") -> Reason | None:
    return pair.business.do(by, approve_party_change=pb.ApprovePartyChange(change_id=change_id))


def complete(pair: Pair, by: str = MAKER, change_id: str = "change-1") -> Reason | None:
    return pair.business.do(by, complete_party_change=pb.CompletePartyChange(change_id=change_id))


def reject(pair: Pair, by: str = MAKER, change_id: str = "change-1") -> Reason | None:
    operation = pb.RejectPartyChange(change_id=change_id, ground="not so")
    return pair.business.do(by, reject_party_change=operation)


def object_to(pair: Pair, by: str = "bob", change_id: str = "change-1") -> Reason | None:
    operation = pb.ObjectToPartyChange(change_id=change_id, ground="I have it")
    return pair.business.do(by, object_to_party_change=operation)


def make(pair: Pair, kind: str, **changed: Any) -> None:
    """A change of bob that is in force at once, by whoever may begin it."""
    own = kind in {"add_user", "replace_key"}
    assert begin(pair, kind, changed.get("party", "bob") if own else MAKER, **changed) is None
    for checker in (MAKER, CHECKER)[not own :]:
        assert approve(pair, checker, changed.get("change_id", "change-1")) is None


def wait(pair: Pair) -> None:
    """Let the waiting time of a recovery pass."""
    pair.advance(RECOVERY_WAITING_MS)
    pair.carry()


def state_of(pair: Pair, change_id: str = "change-1") -> str:
    found = change_of(pair.business.ledger.state, change_id)
    return "" if found is None else found.state


def key_change(key: SigningKey, signer: SigningKey | None = None) -> pb.ChangeKey:
    """A change to this key, with the new key's own signature (or another's)."""
    digest = possession_digest(chain_id_of(cast.genesis("bizchain")), key.public_key)
    return pb.ChangeKey(public_key=key.public_key, possession=sign(signer or key, digest))


def proposal(party_id: str, **changed: Any) -> pb.ProposeParty:
    """A party that joins with a key of its own."""
    fields: dict[str, Any] = {
        "party_id": party_id, "name": party_id.title(), "legal_entity_identifier": "",
        "roles": [pb.RoleGrant(role="buyer", until_unix_ms=FOREVER_UNIX_MS)],
        "users": [pb.User(user_id="first", public_key=cast.key_of(party_id).public_key)],
    }  # fmt: skip
    return pb.ProposeParty(**{**fields, **changed})


def policy(rows: dict[str, tuple[str, ...]], /, **changed: Any) -> Policy:
    """A policy: grade -> kinds."""
    named = tuple(PolicyRow(grade, tuple(sorted(kinds))) for grade, kinds in rows.items())
    fields: dict[str, Any] = {
        "format": POLICY_FORMAT,
        "rows": named,
        "warning_below": "",
        "recovery_waiting_ms": RECOVERY_WAITING_MS,
    }
    return Policy(**{**fields, **changed})


def in_force(pair: Pair, version: int, rows: dict[str, tuple[str, ...]], **changed: Any) -> None:
    """Vote a policy into force on both chains, as often as makes it this version."""
    council = Council(pair)
    proposer = pair.business.genesis.node_set.nodes[0].member
    content = encode(policy(rows, **changed))
    known = latest_of(pair.business.ledger.state, POLICY_TABLE, CREDIT_PERMISSIONS).version
    for _ in range(known, version):
        council.decide(POLICY_TABLE, CREDIT_PERMISSIONS, content=content, proposer=proposer)
        pair.carry()


def grade(pair: Pair, party: str, letters: str, until: int = FOREVER_UNIX_MS) -> None:
    """Set a party's grade on both chains."""
    change_id = f"grade-{pair.business.height}"
    make(pair, "set_grade", party=party, change_id=change_id, grade=letters, until_unix_ms=until)
    pair.carry()


def prepare(pair: Pair) -> None:
    """Leave changes that wait for each operation, so that its example is accepted."""
    for party, change_id in (("bob", "change-lost"), ("carol", "change-over")):
        key = cast.key_of(change_id).public_key
        assert begin(pair, "recover_key", change_id=change_id, party=party, public_key=key) is None
        assert approve(pair, change_id=change_id) is None
    wait(pair)
    assert begin(pair, "suspend", change_id="change-waiting", party="warehouse") is None


FREEZE = {"subject_kind": "lot", "subject_id": "lot-x", "case_id": "1", "ground": "why"}
EXAMPLES: dict[str, tuple[str, Any]] = {
    "propose_party_change": ("operator", change("suspend", "second-bank", "change-new")),
    "approve_party_change": ("operator:checker", pb.ApprovePartyChange(change_id="change-waiting")),
    "reject_party_change": (
        "operator",
        pb.RejectPartyChange(change_id="change-waiting", ground="no"),
    ),
    "object_to_party_change": ("bob", pb.ObjectToPartyChange(change_id="change-lost", ground="no")),
    "complete_party_change": ("operator", pb.CompletePartyChange(change_id="change-over")),
    "change_key": ("alice", key_change(cast.key_of("new key"))),
    "reject_party": ("operator", pb.RejectParty(party_id="waiting", ground="no")),
    "order_freeze": ("regulator", pb.OrderFreeze(legal_basis="Act 7", **FREEZE)),
}
"""Each operation, and a sender who may."""

ROLES_NEEDED = {
    **dict.fromkeys(
        (
            "approve_party_change",
            "reject_party_change",
            "complete_party_change",
            "reject_party",
        ),
        frozenset({"administrator"}),
    ),
    "order_freeze": frozenset({"regulator"}),
}
"""Of `propose_party_change` too, but a party applies for changes of its own."""


# --- refusals -----------------------------------------------------------------------------------


def _taken_identifier(pair: Pair) -> Reason | None:
    own = [pb.PartyIdentifier(scheme="USCC", value=USCC)]
    for party_id, expected in (("first-firm", None), ("second-firm", Reasons.IDENTIFIER_TAKEN)):
        operation = proposal(party_id, identifiers=own)
        assert pair.business.do(MAKER, propose_party=operation) is expected
    return Reasons.IDENTIFIER_TAKEN


def _taken_key(pair: Pair) -> Reason | None:
    operation = key_change(cast.key_of("bob:maker"))
    return pair.business.do("alice", change_key=operation)


def _taken_id(pair: Pair) -> Reason | None:
    begin(pair, "suspend")
    return begin(pair, "revoke_role")


def _lapsed(pair: Pair) -> Reason | None:
    begin(pair, "suspend")
    pair.advance(PROPOSAL_LIFE_MS)
    return approve(pair)


def _not_due(pair: Pair) -> Reason | None:
    begin(pair, "recover_key")
    approve(pair)
    pair.advance(RECOVERY_WAITING_MS - 2_000)
    return complete(pair)


def _outdated(pair: Pair) -> Reason | None:
    begin(pair, "recover_key")
    approve(pair)
    assert pair.business.do("bob", change_key=key_change(cast.key_of("bob again"))) is None
    wait(pair)
    return complete(pair)


def _under_way(pair: Pair) -> Reason | None:
    begin(pair, "recover_key")
    approve(pair)
    return begin(pair, "suspend", change_id="change-2")


def _application_open(pair: Pair) -> Reason | None:
    assert begin(pair, "revoke_role", by="bob") is None
    return begin(pair, "add_user", by="bob", change_id="change-2")


def _too_low(pair: Pair) -> Reason | None:
    in_force(pair, 1, {"AAA": ("pay_cash",)})
    payment = pb.PayCash(payee="alice", currency="EUR", amount=1)
    return pair.business.do("bob", pay_cash=payment)


def _too_low_on_asset(pair: Pair) -> Reason | None:
    in_force(pair, 1, {"AAA": ("move_title",)})
    move = MoveTitle(lot_id="lot-bob", receiver="alice", quantity=1)
    return pair.asset.do("bob", move_title=move)


REFUSALS: dict[Reason, Callable[[Pair], Reason | None]] = {
    Reasons.IDENTIFIER_TAKEN: _taken_identifier,
    Reasons.KEY_TAKEN: _taken_key,
    Reasons.CHANGE_EXISTS: _taken_id,
    Reasons.CHANGE_LAPSED: _lapsed,
    Reasons.CHANGE_NOT_DUE: _not_due,
    Reasons.CHANGE_OUTDATED: _outdated,
    Reasons.WRONG_APPLICANT: lambda pair: begin(pair, "add_user"),
    Reasons.RECOVERY_UNDER_WAY: _under_way,
    Reasons.APPLICATION_OPEN: _application_open,
    Reasons.GRADE_TOO_LOW: _too_low,
    AssetReason.GRADE_TOO_LOW: _too_low_on_asset,
}
"""Each reason of this contract, and how it is met. The last operation is the refused one."""
