"""Reads of changes and of what stands by them."""

from __future__ import annotations

from bizchain.contracts.authority.keys import CHANGE, STANDING
from bizchain.contracts.authority.types import ChangeState, PartyChange, Standing
from bizchain.contracts.parties.types import approver_of
from bizchain.reasons import BusinessReason
from common.deadline import expired
from common.errors import CommonReason, Refused
from common.ledger.chain import Context
from common.ledger.identity import party_of
from common.ledger.state import Reader

__all__ = [
    "change_approver",
    "change_of",
    "check_identifier_unused",
    "check_key_unused",
    "may_read",
    "signer_of",
    "standing_of",
]


def change_of(state: Reader, change_id: str) -> PartyChange | None:
    """A change in any state, or None."""
    return state.get(CHANGE, CHANGE.key(change_id))


def standing_of(state: Reader, kind: str, *parts: str) -> Standing | None:
    """What stands under `kind/parts...`, or None."""
    return state.get(STANDING, STANDING.key(kind, *parts))


def may_read(state: Reader, reader: str, party_id: str, time_unix_ms: int) -> bool:
    """Whether a regulator's grant to read this party is in force. Everybody may read their own."""
    if reader == party_id:
        return True
    grant = standing_of(state, "reads", reader, party_id)
    return grant is not None and not expired(time_unix_ms, grant.until_unix_ms)


def change_approver(state: Reader, change: PartyChange) -> str:
    """The role that approves a change: a regulator's where a firm that never was one becomes one.

    An office may lengthen the time of one, also of one whose time is over: else nobody could renew
    the last. What was revoked is as if it had never been.
    """
    if change.kind != "grant_role" or change.state != ChangeState.PROPOSED:
        return "administrator"
    party = party_of(state, change.party_id)
    had = [] if party is None else [grant.role for grant in party.roles]
    return "administrator" if change.details.role in had else approver_of([change.details.role])


def check_key_unused(state: Reader, public_key: bytes) -> None:
    """Refuse a key that is, or ever was, a user's: not even its own user registers it again."""
    if standing_of(state, "key", public_key.hex()) is not None:
        raise Refused(BusinessReason.KEY_TAKEN, "the key is registered, or once was")


def check_identifier_unused(state: Reader, scheme: str, value: str) -> None:
    """Refuse an identifier of another party that is not closed."""
    standing = standing_of(state, scheme.lower(), value)
    if standing is not None:
        raise Refused(
            BusinessReason.IDENTIFIER_TAKEN, f"{scheme} {value} is that of {standing.party_id}"
        )


def signer_of(context: Context) -> str:
    """The verified signer as `party/user`."""
    party = party_of(context.state, context.sender)
    users = () if party is None else party.users
    for user in users:
        if user.public_key == context.public_key:
            return f"{context.sender}/{user.user_id}"
    raise Refused(CommonReason.SIGNER_UNKNOWN, f"the key is no user's of {context.sender}")
