"""The values of the authority contract: changes of parties, and what stands by them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NamedTuple

from common.encoding import Canonical
from common.ledger.identity import Party, PartyStatus

__all__ = [
    "JOIN",
    "KINDS",
    "TRANSITIONS",
    "By",
    "ChangeKind",
    "ChangeState",
    "Details",
    "PartyChange",
    "PartyIdentifier",
    "Standing",
    "Step",
]


class ChangeState(enum.StrEnum):
    """What a change awaits, or what became of it. NEW is no record."""

    NEW = ""
    APPLIED = "APPLIED"
    PROPOSED = "PROPOSED"
    WAITING = "WAITING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    OBJECTED = "OBJECTED"


class Step(enum.StrEnum):
    """What is done to a change."""

    APPLY = "apply"
    PROPOSE = "propose"
    ENDORSE = "endorse"
    APPROVE = "approve"
    AWAIT = "await"
    COMPLETE = "complete"
    REJECT = "reject"
    WITHDRAW = "withdraw"
    OBJECT = "object"


class By(enum.StrEnum):
    """Who does it: a user of the party that changes, or an administrator of another firm."""

    PARTY = "party"
    ADMINISTRATOR = "administrator"


_C, _S = ChangeState, Step

TRANSITIONS: Mapping[tuple[ChangeState, Step, By], ChangeState] = {
    (_C.NEW, _S.APPLY, By.PARTY): _C.APPLIED,
    (_C.NEW, _S.PROPOSE, By.ADMINISTRATOR): _C.PROPOSED,
    (_C.APPLIED, _S.ENDORSE, By.ADMINISTRATOR): _C.PROPOSED,
    (_C.PROPOSED, _S.APPROVE, By.ADMINISTRATOR): _C.APPROVED,
    (_C.PROPOSED, _S.AWAIT, By.ADMINISTRATOR): _C.WAITING,
    (_C.WAITING, _S.COMPLETE, By.ADMINISTRATOR): _C.APPROVED,
    (_C.WAITING, _S.OBJECT, By.PARTY): _C.OBJECTED,
    (_C.APPLIED, _S.REJECT, By.ADMINISTRATOR): _C.REJECTED,
    (_C.PROPOSED, _S.REJECT, By.ADMINISTRATOR): _C.REJECTED,
    (_C.WAITING, _S.REJECT, By.ADMINISTRATOR): _C.REJECTED,
    (_C.APPLIED, _S.WITHDRAW, By.PARTY): _C.WITHDRAWN,
    (_C.PROPOSED, _S.WITHDRAW, By.PARTY): _C.WITHDRAWN,
}
"""(state, step, who) -> state. Nothing else is possible."""


class ChangeKind(NamedTuple):
    """A kind of change: the details it has, who may begin it, whether it waits, and which statuses
    of the party it is for.
    """

    details: frozenset[str]
    begun_by: frozenset[By]
    statuses: frozenset[str] = frozenset({PartyStatus.ACTIVE, PartyStatus.SUSPENDED})
    waits: bool = False


_PARTY = frozenset({By.PARTY})
_ADMINISTRATOR = frozenset({By.ADMINISTRATOR})
_BOTH = _PARTY | _ADMINISTRATOR
_ACTIVE = frozenset({PartyStatus.ACTIVE})
_KEY = frozenset({"user_id", "public_key"})

KINDS: Mapping[str, ChangeKind] = {
    "add_user": ChangeKind(_KEY, _PARTY),
    "close": ChangeKind(frozenset(), _ADMINISTRATOR),
    "grant_reading": ChangeKind(frozenset({"reader", "until_unix_ms"}), _ADMINISTRATOR),
    "grant_role": ChangeKind(frozenset({"role", "until_unix_ms"}), _BOTH),
    "recover_key": ChangeKind(_KEY, _ADMINISTRATOR, _ACTIVE, waits=True),
    "remove_user": ChangeKind(frozenset({"user_id"}), _BOTH),
    "replace_key": ChangeKind(_KEY, _PARTY),
    "resume": ChangeKind(frozenset(), _ADMINISTRATOR, frozenset({PartyStatus.SUSPENDED})),
    "revoke_reading": ChangeKind(frozenset({"reader"}), _ADMINISTRATOR),
    "revoke_role": ChangeKind(frozenset({"role"}), _BOTH),
    "set_grade": ChangeKind(frozenset({"grade", "until_unix_ms"}), _ADMINISTRATOR),
    "suspend": ChangeKind(frozenset(), _ADMINISTRATOR, _ACTIVE),
}
"""Everything about a party that can change once it is approved, its end too."""

JOIN = "join"
"""The kind of the record that `propose_party` begins and `approve_party` or `reject_party` ends."""


class PartyIdentifier(Canonical, frozen=True):
    """An identifier of an organisation: a scheme of `common.identifiers`, and its text."""

    scheme: str
    value: str


class Details(Canonical, frozen=True):
    """What a change changes. Fields that its kind does not have are empty.

    `replaced_key` is the user's key when the change was begun: with another key it is outdated.
    """

    role: str
    until_unix_ms: int
    user_id: str
    public_key: bytes
    replaced_key: bytes
    grade: str
    reader: str


class PartyChange(Canonical, frozen=True):
    """A change of a party, or (JOIN) the application of a new one.

    `applicant`, `maker`, `checker` and `ended_by` are users as `party/user`, empty where nobody
    was; `identifiers` are those of a JOIN. `due_unix_ms` is 0, or the end of the waiting time.
    """

    change_id: str
    party_id: str
    kind: str
    details: Details
    identifiers: tuple[PartyIdentifier, ...]
    documents: tuple[bytes, ...]
    ground: str
    state: str
    applicant: str
    maker: str
    checker: str
    ended_by: str
    end_ground: str
    since_unix_ms: int
    due_unix_ms: int


class Standing(Canonical, frozen=True):
    """Which party something belongs to, and the change it stands by (empty: the genesis).

    `until_unix_ms` is 0 where it has no end.
    """

    party_id: str
    change_id: str
    until_unix_ms: int


class Outcome(NamedTuple):
    """A checked step: the change as it becomes, and the party where the step changes it."""

    change: PartyChange
    party: Party | None = None
