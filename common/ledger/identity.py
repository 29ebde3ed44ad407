"""Parties, their users and roles: who may sign what.

A party is an organisation; each of its users signs with its own Ed25519 key. A role is granted
until a moment of block time. The business chain keeps the parties; the asset chain holds a copy
that arrives by certified message. Both judge a signer with `signer_roles`.
"""

from __future__ import annotations

import re

from common.deadline import UNIX_MS_MAX, expired
from common.encoding import Canonical
from common.errors import CommonReason, Refused
from common.identifiers import is_lei
from common.ledger.state import Commitment, Reader, Table

__all__ = [
    "PARTY",
    "ROLES",
    "Party",
    "PartyStatus",
    "RoleGrant",
    "User",
    "active_party",
    "check_identifier",
    "check_party",
    "is_payable",
    "party_of",
    "payable_party",
    "signer_roles",
]

ROLES = (
    "administrator",
    "appraiser",
    "bank",
    "buyer",
    "carrier",
    "core",
    "platform",
    "regulator",
    "supplier",
    "warehouse",
)
USERS_MAX = 100
NAME_CHARACTERS_MAX = 140
PUBLIC_KEY_BYTES = 32

_PARTY_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,39}\Z")
_LONG_ID = re.compile(r"[a-z0-9][a-z0-9-]{2,63}\Z")


class PartyStatus:
    """States of a party. PROPOSED awaits its checker; CLOSED starts nothing new.

    SUSPENDED signs nothing, but is paid and has what is decided settled: it may come back.
    """

    PROPOSED = "proposed"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class RoleGrant(Canonical, frozen=True):
    """A role and the moment it ends."""

    role: str
    until_unix_ms: int


class User(Canonical, frozen=True):
    """A user of a party and the key it signs with."""

    user_id: str
    public_key: bytes


class Party(Canonical, frozen=True):
    """An organisation. `proposed_by` is the public key of the user who proposed it (the maker)."""

    party_id: str
    name: str
    legal_entity_identifier: str
    status: str
    roles: tuple[RoleGrant, ...]
    users: tuple[User, ...]
    proposed_by: bytes


PARTY = Table(b"\x01", "party", Party, Commitment.TREE)


def check_identifier(text: str, what: str, *, long: bool = False) -> None:
    """Refuse an id that is not lower-case letters, digits and hyphens (3-40, `long` 3-64)."""
    if (_LONG_ID if long else _PARTY_ID).match(text) is None:
        raise Refused(
            CommonReason.INVALID_ARGUMENT,
            f"{what}: 3 to {64 if long else 40} lower-case letters, digits and hyphens expected",
        )


def check_party(party: Party) -> None:
    """Refuse a party whose own fields do not hold together. Raises `Refused(INVALID_ARGUMENT)`."""
    check_identifier(party.party_id, "party id")
    if not 1 <= len(party.name) <= NAME_CHARACTERS_MAX:
        raise _invalid("a party's name has 1 to 140 characters")
    identifier = party.legal_entity_identifier
    if identifier and not is_lei(identifier):
        raise _invalid("the legal entity identifier fails its check digits (ISO 17442)")
    roles = [grant.role for grant in party.roles]
    if not roles or len(set(roles)) != len(roles) or not set(roles) <= set(ROLES):
        raise _invalid("roles are known ones, at least one, each once")
    if any(not 0 < grant.until_unix_ms <= UNIX_MS_MAX for grant in party.roles):
        raise _invalid("a role ends at a time before the year 10000")
    keys = {user.public_key for user in party.users}
    names = {user.user_id for user in party.users}
    if not 1 <= len(party.users) <= USERS_MAX or not len(keys) == len(names) == len(party.users):
        raise _invalid("a party has 1 to 100 users, each with an id and a key of its own")
    if any(len(key) != PUBLIC_KEY_BYTES for key in keys):
        raise _invalid("a user's key has 32 bytes")
    for user in party.users:
        check_identifier(user.user_id, "user id")


def party_of(state: Reader, party_id: str) -> Party | None:
    """The party with this id, in any status, or None."""
    return state.get(PARTY, PARTY.key(party_id))


def active_party(state: Reader, party_id: str) -> Party:
    """The party with this id. Raises `Refused(NOT_FOUND)` unless it is active."""
    party = party_of(state, party_id)
    if party is None or party.status != PartyStatus.ACTIVE:
        raise Refused(CommonReason.NOT_FOUND, f"there is no active party {party_id}")
    return party


def is_payable(party: Party | None) -> bool:
    """Whether value can be credited to this party: it is active, or suspended for a time."""
    return party is not None and party.status in {PartyStatus.ACTIVE, PartyStatus.SUSPENDED}


def payable_party(state: Reader, party_id: str) -> Party:
    """The party with this id. Raises `Refused(NOT_FOUND)` unless it can be paid."""
    party = party_of(state, party_id)
    if party is None or not is_payable(party):
        raise Refused(CommonReason.NOT_FOUND, f"there is no party {party_id} that can be paid")
    return party


def signer_roles(
    state: Reader, party_id: str, public_key: bytes, time_unix_ms: int
) -> frozenset[str]:
    """The roles in force of a user of an active party.

    Raises `Refused(SIGNER_UNKNOWN)` where the party is not active or the key is none of its users'.
    """
    party = party_of(state, party_id)
    if (
        party is None
        or party.status != PartyStatus.ACTIVE
        or public_key not in [user.public_key for user in party.users]
    ):
        raise Refused(CommonReason.SIGNER_UNKNOWN, f"the key is no user's of an active {party_id}")
    return frozenset(
        [grant.role for grant in party.roles if not expired(time_unix_ms, grant.until_unix_ms)]
    )


def _invalid(message: str) -> Refused:
    return Refused(CommonReason.INVALID_ARGUMENT, message)
