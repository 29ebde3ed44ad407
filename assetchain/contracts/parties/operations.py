"""Messages from the business chain: parties, holds and grants to read. No user writes any here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assetchain.contracts.listings.operations import cancel_listings_of
from assetchain.contracts.parties.keys import PARTY
from assetchain.contracts.parties.types import HoldNotice, Party, PartyStatus
from common.ledger.chain import Context, MessageRule, Rule
from common.ledger.holds import apply_notice, check_notice
from common.ledger.identity import check_party
from common.ledger.reading import READ_GRANT, ReadGrant, check_read_grant

__all__ = ["MESSAGES", "OPERATIONS"]


def check_party_message(_: Context, party: Party) -> None:
    """A party is taken as certified, once its own fields hold together."""
    check_party(party)


def apply_party_message(context: Context, party: Party) -> None:
    """Keep the party in its new status. What a closed one has on sale is taken back."""
    context.state.put(PARTY, PARTY.key(party.party_id), party)
    if party.status == PartyStatus.CLOSED:
        cancel_listings_of(context, party.party_id)


def check_hold_message(context: Context, notice: HoldNotice) -> None:
    """A hold may name a subject that does not exist here yet."""
    check_notice(context.state, notice)


def apply_hold_message(context: Context, notice: HoldNotice) -> None:
    """Record the hold, or its lifting."""
    apply_notice(context.state, notice)
    context.emit("hold", f"{notice.subject_kind}/{notice.subject_id}", notice)


def check_reading_message(_: Context, grant: ReadGrant) -> None:
    """A grant to read is taken as certified, once its own fields hold together."""
    check_read_grant(grant)


def apply_reading_message(context: Context, grant: ReadGrant) -> None:
    """Keep the grant, or forget what was revoked."""
    key = READ_GRANT.key(grant.reader, grant.party_id)
    if grant.until_unix_ms:
        context.state.put(READ_GRANT, key, grant)
    else:
        context.state.delete(READ_GRANT, key)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {}

MESSAGES: Mapping[str, MessageRule[Any]] = {
    "party": MessageRule(Party, check_party_message, apply_party_message),
    "hold": MessageRule(HoldNotice, check_hold_message, apply_hold_message),
    "reading": MessageRule(ReadGrant, check_reading_message, apply_reading_message),
}
