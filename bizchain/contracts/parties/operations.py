"""Proposing, approving and rejecting parties; placing and lifting holds.

PROPOSED --approve (another user than the maker)--> ACTIVE --close--> CLOSED. How a party changes
and ends is `bizchain.contracts.authority`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from bizchain.contracts.authority.keys import CHANGE, STANDING
from bizchain.contracts.authority.queries import (
    change_of,
    check_identifier_unused,
    check_key_unused,
    signer_of,
)
from bizchain.contracts.authority.types import (
    JOIN,
    ChangeState,
    Details,
    PartyChange,
    PartyIdentifier,
    Standing,
)
from bizchain.contracts.parties.keys import PARTY
from bizchain.contracts.parties.types import (
    ACTORS,
    TRANSITIONS,
    FreezeOrder,
    Hold,
    HoldNotice,
    Joining,
    Party,
    PartyStatus,
    RoleGrant,
    User,
    approver_of,
)
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.crypto.digest import DIGEST_BYTES
from common.crypto.signing import check_public_key
from common.errors import CommonReason, Refused
from common.identifiers import is_valid
from common.ledger.chain import Context, Rule
from common.ledger.genesis import Genesis
from common.ledger.holds import apply_notice, check_notice
from common.ledger.identity import check_party, party_of
from common.ledger.state import State

__all__ = [
    "OPERATIONS",
    "checked_documents",
    "found",
    "give_up_identifiers",
    "keep_party",
    "register",
    "stepped",
]

HOLDING_AUTHORITIES = ("administrator", "regulator", "warehouse")
DOCUMENTS_MAX = 16
GROUND_CHARACTERS_MAX = 200
FURTHER_SCHEMES = ("GLN", "USCC")


# --- joining ------------------------------------------------------------------------------------


def check_propose_party(context: Context, operation: pb.ProposeParty) -> Joining:
    """The proposed party: well-formed, with an id, keys and identifiers that nobody has."""
    context.require_role(*ACTORS["propose"])
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
    identifiers = _identifiers(party, operation.identifiers)
    for one in identifiers:
        check_identifier_unused(context.state, one.scheme, one.value)
    for user in party.users:
        check_public_key(user.public_key)
        check_key_unused(context.state, user.public_key)
    application = PartyChange(
        change_id=_join_id(party.party_id),
        party_id=party.party_id,
        kind=JOIN,
        details=Details("", 0, "", b"", b"", "", ""),
        identifiers=identifiers,
        documents=checked_documents(operation.documents),
        ground="",
        state=ChangeState.PROPOSED,
        applicant="",
        maker=signer_of(context),
        checker="",
        ended_by="",
        end_ground="",
        since_unix_ms=context.time_unix_ms,
        due_unix_ms=0,
    )
    return Joining(party, application)


def apply_propose_party(context: Context, _: pb.ProposeParty, joining: Joining) -> None:
    """Keep the proposal; its keys and identifiers are nobody else's from now on."""
    party, change = joining
    context.state.put(PARTY, PARTY.key(party.party_id), party)
    register(context.state, party, change.change_id)
    for one in change.identifiers:
        key = STANDING.key(one.scheme.lower(), one.value)
        context.state.put(STANDING, key, Standing(party.party_id, change.change_id, 0))
    _keep_application(context, change)


def check_approve_party(context: Context, operation: pb.ApproveParty) -> Joining:
    """The party made active, by another user than the one who proposed it."""
    context.require_role(*ACTORS["approve"])
    party = _known(context, operation.party_id)
    context.require_role(approver_of(grant.role for grant in party.roles))
    approved = stepped(party, "approve")
    application = _application(context, party)
    checker = signer_of(context)
    if checker == application.maker:
        raise Refused(
            BusinessReason.MAKER_IS_CHECKER, "whoever proposed a party may not approve it"
        )
    return Joining(approved, replace(application, state=ChangeState.APPROVED, checker=checker))


def apply_approve_party(context: Context, _: pb.ApproveParty, joining: Joining) -> None:
    """Keep the party's new status, and tell the asset chain."""
    keep_party(context, joining.party)
    _keep_application(context, joining.change)


def check_reject_party(context: Context, operation: pb.RejectParty) -> Joining:
    """A proposed party ends before it began; its id, keys and identifiers are free again."""
    context.require_role(*ACTORS["reject"])
    party = _known(context, operation.party_id)
    if not 1 <= len(operation.ground) <= GROUND_CHARACTERS_MAX:
        raise _invalid(f"a ground has 1 to {GROUND_CHARACTERS_MAX} characters")
    rejected = replace(
        _application(context, party),
        state=ChangeState.REJECTED,
        ended_by=signer_of(context),
        end_ground=operation.ground,
    )
    return Joining(stepped(party, "reject"), rejected)


def apply_reject_party(context: Context, _: pb.RejectParty, joining: Joining) -> None:
    """Leave the application, and nothing else."""
    party, change = joining
    context.state.delete(PARTY, PARTY.key(party.party_id))
    for user in party.users:
        context.state.delete(STANDING, STANDING.key("key", user.public_key.hex()))
    _give_up(context.state, change.identifiers)
    _keep_application(context, change)


def found(state: State, genesis: Genesis) -> None:
    """Register the parties of the genesis. Raises `Refused` where two share what is one's own."""
    for party in genesis.parties:
        for user in party.users:
            check_key_unused(state, user.public_key)
        register(state, party, "")
        lei = party.legal_entity_identifier
        if lei:
            check_identifier_unused(state, "LEI", lei)
            state.put(STANDING, STANDING.key("lei", lei), Standing(party.party_id, "", 0))


def _application(context: Context, party: Party) -> PartyChange:
    application = change_of(context.state, _join_id(party.party_id))
    if application is None:  # a genesis may hold a party that was never approved
        raise Refused(CommonReason.NOT_FOUND, f"{party.party_id} has not applied")
    return application


def _keep_application(context: Context, change: PartyChange) -> None:
    context.state.put(CHANGE, CHANGE.key(change.change_id), change)
    context.emit("party-change", change.change_id, change)


def _identifiers(
    party: Party, further: Sequence[pb.PartyIdentifier]
) -> tuple[PartyIdentifier, ...]:
    """All identifiers of a new party, each with its right check digit."""
    schemes = [one.scheme for one in further]
    if len(set(schemes)) != len(schemes) or not set(schemes) <= set(FURTHER_SCHEMES):
        raise _invalid(f"further identifiers are {', '.join(FURTHER_SCHEMES)}, each once")
    for one in further:
        if not is_valid(one.scheme, one.value):
            raise _invalid(f"{one.scheme} {one.value[:40]} fails its length or check digit")
    lei = party.legal_entity_identifier
    own = [PartyIdentifier("LEI", lei)] if lei else []
    return (*own, *(PartyIdentifier(one.scheme, one.value) for one in further))


def _join_id(party_id: str) -> str:
    return f"{JOIN}-{party_id}"


# --- parts that the changes of a party share ----------------------------------------------------


def stepped(party: Party, step: str) -> Party:
    """The party after a step that its status allows. Raises `Refused(WRONG_STATE)`."""
    status = TRANSITIONS.get((party.status, step))
    if status is None:
        raise Refused(BusinessReason.WRONG_STATE, f"{party.party_id} is {party.status}: no {step}")
    return replace(party, status=status)


def keep_party(context: Context, party: Party) -> None:
    """Keep a party as it is now, and tell the asset chain."""
    context.state.put(PARTY, PARTY.key(party.party_id), party)
    context.emit("party", party.party_id, party)
    context.send("party", party)


def register(state: State, party: Party, change_id: str) -> None:
    """Keep whose the keys of a party are, for ever. Those that are known stay as they stand."""
    for user in party.users:
        key = STANDING.key("key", user.public_key.hex())
        if state.get(STANDING, key) is None:
            state.put(STANDING, key, Standing(party.party_id, change_id, 0))


def checked_documents(documents: Sequence[bytes]) -> tuple[bytes, ...]:
    """Hashes of the documents behind an application. Raises `Refused(INVALID_ARGUMENT)`."""
    if len(documents) > DOCUMENTS_MAX or any(len(one) != DIGEST_BYTES for one in documents):
        raise _invalid(f"at most {DOCUMENTS_MAX} documents, each a hash of 32 bytes")
    return tuple(documents)


def give_up_identifiers(state: State, party: Party) -> None:
    """Another firm may have what identified one that closed. Its keys stay known: none is back."""
    lei = party.legal_entity_identifier
    joined = change_of(state, _join_id(party.party_id))
    if joined is not None:
        _give_up(state, joined.identifiers)
    elif lei:
        _give_up(state, (PartyIdentifier("LEI", lei),))


def _give_up(state: State, identifiers: Sequence[PartyIdentifier]) -> None:
    for one in identifiers:
        state.delete(STANDING, STANDING.key(one.scheme.lower(), one.value))


# --- holds --------------------------------------------------------------------------------------


def check_place_hold(context: Context, operation: pb.PlaceHold) -> HoldNotice:
    """The notice of a hold placed by an authority under its own case number."""
    context.require_role(*HOLDING_AUTHORITIES)
    hold = Hold(context.sender, operation.case_id, operation.ground, context.time_unix_ms)
    notice = HoldNotice(operation.subject_kind, operation.subject_id, hold, placed=True)
    check_notice(context.state, notice)
    return notice


def check_order_freeze(context: Context, operation: pb.OrderFreeze) -> FreezeOrder:
    """A regulator's hold, whose ground begins with the law it rests on: so both chains show it."""
    context.require_role("regulator")
    if not operation.legal_basis:
        raise _invalid("a freeze order names its legal basis")
    ground = f"{operation.legal_basis}: {operation.ground}"
    hold = Hold(context.sender, operation.case_id, ground, context.time_unix_ms)
    notice = HoldNotice(operation.subject_kind, operation.subject_id, hold, placed=True)
    check_notice(context.state, notice)
    return FreezeOrder(notice, operation.legal_basis)


def apply_freeze(context: Context, _: pb.OrderFreeze, order: FreezeOrder) -> None:
    """Record the hold, and the order behind it."""
    _apply_notice(context, order.notice)
    context.emit("freeze-order", order.notice.hold.case_id, order)


def check_lift_hold(context: Context, operation: pb.LiftHold) -> HoldNotice:
    """The notice of a hold lifted by the authority that placed it."""
    context.require_role(*HOLDING_AUTHORITIES)
    hold = Hold(context.sender, operation.case_id, "", context.time_unix_ms)
    notice = HoldNotice(operation.subject_kind, operation.subject_id, hold, placed=False)
    check_notice(context.state, notice)
    return notice


def apply_hold(context: Context, _: pb.PlaceHold | pb.LiftHold, notice: HoldNotice) -> None:
    """Record the hold here, and tell the asset chain."""
    _apply_notice(context, notice)


def _apply_notice(context: Context, notice: HoldNotice) -> None:
    apply_notice(context.state, notice)
    context.emit("hold", f"{notice.subject_kind}/{notice.subject_id}", notice)
    context.send("hold", notice)


def _known(context: Context, party_id: str) -> Party:
    party = party_of(context.state, party_id)
    if party is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no party {party_id}")
    return party


def _invalid(message: str) -> Refused:
    return Refused(CommonReason.INVALID_ARGUMENT, message)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "propose_party": Rule(pb.ProposeParty, check_propose_party, apply_propose_party),
    "approve_party": Rule(pb.ApproveParty, check_approve_party, apply_approve_party),
    "reject_party": Rule(pb.RejectParty, check_reject_party, apply_reject_party),
    "place_hold": Rule(pb.PlaceHold, check_place_hold, apply_hold),
    "lift_hold": Rule(pb.LiftHold, check_lift_hold, apply_hold),
    "order_freeze": Rule(pb.OrderFreeze, check_order_freeze, apply_freeze),
}
