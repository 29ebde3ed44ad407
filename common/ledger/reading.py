"""Who may read what: rows and events that are private, whom they concern, and grants to read.

A chain declares in one `ReadRules` which of its tables and events are private, and whom a row or an
event concerns. What is not declared is public. A `Sight` is what one party may see:

- a party sees what concerns it;
- an administrator, active and with the role in force, sees everything;
- a regulator, likewise, sees besides what concerns a party it has a grant for;
- a name that is no party's sees what is public.

    sight = Sight(RULES, state, "acme", time_unix_ms)
    sight.sees_row(CASH.key("acme", "EUR"), value_bytes)

A row that is not there is judged by its key alone: nobody learns from a refusal whether another has
an account. The business chain keeps the grants; the asset chain holds copies that arrive by
certified messages (`reading`; one that has ended at time 0 is revoked).

Nodes judge their callers by this; no block depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from common.deadline import UNIX_MS_MAX, expired
from common.encoding import Canonical, decode_trusted
from common.errors import CommonReason, Refused
from common.ledger.block import Event
from common.ledger.identity import Party, PartyStatus, check_identifier, party_of
from common.ledger.state import Commitment, Reader, Table, tables

__all__ = [
    "READ_GRANT",
    "Concern",
    "MayRead",
    "PrivateEvent",
    "ReadGrant",
    "ReadRules",
    "Sight",
    "check_read_grant",
    "has_copied_grant",
    "in_fields",
    "in_key",
    "together",
]

ADMINISTRATOR = "administrator"
REGULATOR = "regulator"


class ReadGrant(Canonical, frozen=True):
    """Message `reading`: a regulator may read a party until a moment of block time; 0: no more."""

    reader: str
    party_id: str
    until_unix_ms: int


READ_GRANT = Table(b"\x7a", "read_grant", ReadGrant, Commitment.TREE)
"""The asset chain's copies: `read_grant/<reader>/<party id>`."""

Concern = Callable[[Reader, bytes, Any], Iterable[str]]
"""Whom a row concerns, by its full key and its value, or None where there is no row.

The key may be whatever a caller asked for.
"""

MayRead = Callable[[Reader, str, str, int], bool]
"""Whether a reader has a grant in force for a party, at a moment of block time."""


class PrivateEvent(NamedTuple):
    """The type of an event's payload, and whom it concerns: parties, by state and payload."""

    payload: type[Canonical]
    concerns: Callable[[Reader, Any], Iterable[str]]


def grants_nothing(_: Reader, __: str, ___: str, ____: int) -> bool:
    """A chain without grants."""
    return False


@dataclass(frozen=True, kw_only=True)
class ReadRules:
    """What is private on a chain. `public_rows` and `public_events` are declared to be public."""

    rows: Mapping[Table[Any], Concern] = field(default_factory=dict)
    events: Mapping[str, PrivateEvent] = field(default_factory=dict)
    may_read: MayRead = grants_nothing
    public_rows: frozenset[Table[Any]] = frozenset()
    public_events: frozenset[str] = frozenset()


class Sight:
    """What one caller may see, by the state and at the moment it is made. Short-lived."""

    def __init__(self, rules: ReadRules, state: Reader, name: str, time_unix_ms: int) -> None:
        party = party_of(state, name)
        roles = _roles_in_force(party, time_unix_ms)
        self.party_id = "" if party is None else name
        self.is_all = ADMINISTRATOR in roles
        self._rules = rules
        self._state = state
        self._time_unix_ms = time_unix_ms
        self._regulates = REGULATOR in roles
        self._granted: dict[str, bool] = {}

    def sees_row(self, key: bytes, raw: bytes | None) -> bool:
        """Whether the row under a full key, or that there is none, may be shown."""
        table = tables().get(key[:1])
        concern = None if table is None else self._rules.rows.get(table)
        if self.is_all or table is None or concern is None:
            return True
        value = None if raw is None else decode_trusted(table.kind, raw)
        return self.sees_any(concern(self._state, key, value))

    def sees_event(self, event: Event) -> bool:
        """Whether an event may be shown."""
        private = self._rules.events.get(event.kind)
        if self.is_all or private is None:
            return True
        payload = decode_trusted(private.payload, event.payload)
        return self.sees_any(private.concerns(self._state, payload))

    def sees_any(self, parties: Iterable[str]) -> bool:
        """Whether what concerns these parties may be shown."""
        return self.is_all or (self.party_id != "" and any(map(self._reads, parties)))

    def refusal(self, what: str) -> Refused:
        """Why this is not shown, and what would be missing to see it."""
        if not self.party_id:
            message = f"{what} is private, and the certificate names no party of this chain"
        else:
            message = (
                f"{what} is shown to those it concerns, to administrators and to regulators with a"
                f" grant to read them (grant_reading): {self.party_id} has none in force"
            )
        return Refused(CommonReason.PERMISSION_DENIED, message)

    def _reads(self, party_id: str) -> bool:
        if party_id == self.party_id:
            return True
        if not self._regulates:
            return False
        known = self._granted.get(party_id)
        if known is None:
            may_read = self._rules.may_read
            known = may_read(self._state, self.party_id, party_id, self._time_unix_ms)
            self._granted[party_id] = known
        return known


def in_key(*places: int) -> Concern:
    """The parties that stand at these places of a row's key."""

    def concerns(_: Reader, key: bytes, __: Any) -> Iterable[str]:
        parts = key[1:].decode(errors="replace").split("/")
        return [parts[place] for place in places if place < len(parts)]

    return concerns


def in_fields(*names: str) -> Concern:
    """The parties in these fields of a row's value."""

    def concerns(_: Reader, __: bytes, value: Any) -> Iterable[str]:
        return [] if value is None else [getattr(value, name) for name in names]

    return concerns


def together(*concerns: Concern) -> Concern:
    """All whom any of these finds concerned."""

    def all_of(state: Reader, key: bytes, value: Any) -> Iterable[str]:
        return [party for concern in concerns for party in concern(state, key, value)]

    return all_of


def check_read_grant(grant: ReadGrant) -> None:
    """Refuse a grant that does not hold together. Raises `Refused(INVALID_ARGUMENT)`."""
    check_identifier(grant.reader, "reader")
    check_identifier(grant.party_id, "party id")
    if not 0 <= grant.until_unix_ms <= UNIX_MS_MAX or grant.reader == grant.party_id:
        message = "a grant is for another party, until before the year 10000"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)


def has_copied_grant(state: Reader, reader: str, party_id: str, time_unix_ms: int) -> bool:
    """Whether a copied grant is in force."""
    grant = state.get(READ_GRANT, READ_GRANT.key(reader, party_id))
    return grant is not None and not expired(time_unix_ms, grant.until_unix_ms)


def _roles_in_force(party: Party | None, time_unix_ms: int) -> frozenset[str]:
    if party is None or party.status != PartyStatus.ACTIVE:
        return frozenset()
    return frozenset(
        [grant.role for grant in party.roles if not expired(time_unix_ms, grant.until_unix_ms)]
    )
