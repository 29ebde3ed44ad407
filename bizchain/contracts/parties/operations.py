"""Proposing, approving and closing parties; placing and lifting holds.

PROPOSED --approve (another user than the maker)--> ACTIVE --close--> CLOSED.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from bizchain.contracts.parties.keys import PARTY
from bizchain.contracts.parties.types import (
    Hold,
    HoldNotice,
    Party,
    PartyStatus,
    RoleGrant,
    User,
)
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.errors import CommonReason, Refused
from common.ledger.chain import Context, Rule
from common.ledger.holds import apply_notice, check_notice
from common.ledger.identity import check_party, party_of

__all__ = ["OPERATIONS"]

HOLDING_AUTHORITIES = ("administrator", "regulator", "warehouse")


def check_propose_party(context: Context, operation: pb.ProposeParty) -> Party:
    """The proposed party: well-formed, with an id nobody has."""
    context.require_role("administrator")
    party = Party(
        operation.party_id,
        operation.name,
        operation.legal_entity_identifier,
        PartyStatus.PROPOSED,
        tuple(RoleGrant(grant.role, grant.until_unix_ms) for grant in operation.roles),
        tuple(User(user.user_id, user.public_key) for user in operation.users),
        context.public_key,
    )
    check_party(party)
    if party_of(context.state, party.party_id) is not None:
        raise Refused(BusinessReason.PARTY_EXISTS, f"there is a party {party.party_id}")
    return party


def apply_propose_party(context: Context, _: pb.ProposeParty, party: Party) -> None:
    """Keep the proposal."""
    context.state.put(PARTY, PARTY.key(party.party_id), party)


def check_approve_party(context: Context, operation: pb.ApproveParty) -> Party:
    """The party made active, by another user than the one who proposed it."""
    context.require_role("administrator")
    party = _known(context, operation.party_id)
    if party.status != PartyStatus.PROPOSED:
        raise Refused(BusinessReason.WRONG_STATE, f"{party.party_id} is {party.status}")
    if party.proposed_by == context.public_key:
        raise Refused(
            BusinessReason.MAKER_IS_CHECKER, "whoever proposed a party may not approve it"
        )
    if any(user.public_key == context.public_key for user in party.users):
        raise Refused(BusinessReason.OWN_FIRM, "nobody approves their own firm")
    return replace(party, status=PartyStatus.ACTIVE)


def check_close_party(context: Context, operation: pb.CloseParty) -> Party:
    """The party made closed."""
    context.require_role("administrator")
    party = _known(context, operation.party_id)
    if party.status != PartyStatus.ACTIVE:
        raise Refused(BusinessReason.WRONG_STATE, f"{party.party_id} is {party.status}")
    if party.party_id in {context.sender, context.parameters.fee_party}:
        raise Refused(BusinessReason.OWN_FIRM, "the platform's own parties are not closed")
    return replace(party, status=PartyStatus.CLOSED)


def apply_party(context: Context, _: pb.ApproveParty | pb.CloseParty, party: Party) -> None:
    """Keep the party's new status, and tell the asset chain."""
    context.state.put(PARTY, PARTY.key(party.party_id), party)
    context.emit("party", party.party_id, party)
    context.send("party", party)


def check_place_hold(context: Context, operation: pb.PlaceHold) -> HoldNotice:
    """The notice of a hold placed by an authority under its own case number."""
    context.require_role(*HOLDING_AUTHORITIES)
    hold = Hold(context.sender, operation.case_id, operation.ground, context.time_unix_ms)
    notice = HoldNotice(operation.subject_kind, operation.subject_id, hold, placed=True)
    check_notice(context.state, notice)
    return notice


def check_lift_hold(context: Context, operation: pb.LiftHold) -> HoldNotice:
    """The notice of a hold lifted by the authority that placed it."""
    context.require_role(*HOLDING_AUTHORITIES)
    hold = Hold(context.sender, operation.case_id, "", context.time_unix_ms)
    notice = HoldNotice(operation.subject_kind, operation.subject_id, hold, placed=False)
    check_notice(context.state, notice)
    return notice


def apply_hold(context: Context, _: pb.PlaceHold | pb.LiftHold, notice: HoldNotice) -> None:
    """Record the hold here, and tell the asset chain."""
    apply_notice(context.state, notice)
    context.emit("hold", f"{notice.subject_kind}/{notice.subject_id}", notice)
    context.send("hold", notice)


def _known(context: Context, party_id: str) -> Party:
    party = party_of(context.state, party_id)
    if party is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no party {party_id}")
    return party


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "propose_party": Rule(pb.ProposeParty, check_propose_party, apply_propose_party),
    "approve_party": Rule(pb.ApproveParty, check_approve_party, apply_party),
    "close_party": Rule(pb.CloseParty, check_close_party, apply_party),
    "place_hold": Rule(pb.PlaceHold, check_place_hold, apply_hold),
    "lift_hold": Rule(pb.LiftHold, check_lift_hold, apply_hold),
}
