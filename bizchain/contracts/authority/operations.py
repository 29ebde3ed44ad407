"""Proposing, taking up, approving and ending changes; changing one's own key."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from bizchain.contracts.authority.keys import CHANGE, STANDING
from bizchain.contracts.authority.queries import (
    change_approver,
    change_of,
    check_key_unused,
    signer_of,
    standing_of,
)
from bizchain.contracts.authority.types import (
    JOIN,
    KINDS,
    TRANSITIONS,
    By,
    ChangeState,
    Details,
    Outcome,
    PartyChange,
    Standing,
    Step,
)
from bizchain.contracts.grades.keys import GRADE
from bizchain.contracts.grades.queries import grade_of, is_at_least, policy_in_force
from bizchain.contracts.grades.types import UNRATED, Grade, GradeWarning
from bizchain.contracts.parties.operations import (
    checked_documents,
    give_up_identifiers,
    keep_party,
    register,
    stepped,
)
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.crypto.digest import Tag, tagged
from common.crypto.signing import check_public_key
from common.deadline import UNIX_MS_MAX, expired
from common.errors import CommonReason, Refused
from common.ledger.chain import Context, Rule, SignatureClaim
from common.ledger.grades import check_grade
from common.ledger.identity import (
    Party,
    RoleGrant,
    User,
    active_party,
    check_identifier,
    check_party,
    party_of,
)
from common.ledger.reading import ReadGrant
from common.ledger.state import State

__all__ = ["OPERATIONS", "PROPOSAL_LIFE_MS", "RECOVERY_WAITING_MS", "possession_digest"]

DAY_MS = 24 * 3_600_000
PROPOSAL_LIFE_MS = 30 * DAY_MS
RECOVERY_WAITING_MS = 3 * DAY_MS
"""Until a policy says otherwise."""

GROUND_CHARACTERS_MAX = 200
OPEN = frozenset({ChangeState.APPLIED, ChangeState.PROPOSED, ChangeState.WAITING})


# --- beginning ----------------------------------------------------------------------------------


def check_propose_party_change(context: Context, operation: pb.ProposePartyChange) -> Outcome:
    """A well-formed change that could be in force today, begun by one who may begin its kind."""
    by = By.PARTY if context.sender == operation.party_id else By.ADMINISTRATOR
    if by is By.ADMINISTRATOR:
        context.require_role("administrator")
    check_identifier(operation.change_id, "change id", long=True)
    kind = KINDS.get(operation.kind)
    if kind is None or operation.change_id.startswith(f"{JOIN}-"):
        raise _invalid(f"changes are of kinds {', '.join(KINDS)}; their ids begin otherwise")
    if change_of(context.state, operation.change_id) is not None:
        raise Refused(BusinessReason.CHANGE_EXISTS, f"there is a change {operation.change_id}")
    if by not in kind.begun_by:
        raise Refused(BusinessReason.WRONG_APPLICANT, f"{operation.kind} is not begun by a {by}")
    if len(operation.ground) > GROUND_CHARACTERS_MAX:
        raise _invalid(f"a ground has at most {GROUND_CHARACTERS_MAX} characters")
    step = Step.APPLY if by is By.PARTY else Step.PROPOSE
    signer = signer_of(context)
    change = PartyChange(
        operation.change_id,
        operation.party_id,
        operation.kind,
        _details(context, operation),
        (),
        checked_documents(operation.documents),
        operation.ground,
        TRANSITIONS[ChangeState.NEW, step, by],
        signer if by is By.PARTY else "",
        signer if by is By.ADMINISTRATOR else "",
        "",
        "",
        "",
        context.time_unix_ms,
        0,
    )
    if by is By.PARTY:
        _check_no_other_application(context, change.party_id)
    _changed(context, change)
    return Outcome(change)


def _check_no_other_application(context: Context, party_id: str) -> None:
    """One open application of a party at a time; one that nobody took up in time is passed by."""
    standing = standing_of(context.state, "application", party_id)
    earlier = None if standing is None else change_of(context.state, standing.change_id)
    if earlier is not None and not _is_lapsed(context, earlier):
        raise Refused(BusinessReason.APPLICATION_OPEN, f"{earlier.change_id} of {party_id} is open")


def _details(context: Context, operation: pb.ProposePartyChange) -> Details:
    """The details its kind has, each well-formed, and no others."""
    wanted = KINDS[operation.kind].details
    given = {
        name for name in ("role", "until_unix_ms", "user_id", "public_key", "grade", "reader")
        if getattr(operation, name)
    }  # fmt: skip
    if given != wanted:
        raise _invalid(f"{operation.kind} has the details {', '.join(sorted(wanted)) or 'none'}")
    until = operation.until_unix_ms
    if "until_unix_ms" in wanted and not context.time_unix_ms < until <= UNIX_MS_MAX:
        raise _invalid("what is granted ends later than now, and before the year 10000")
    if "user_id" in wanted:
        check_identifier(operation.user_id, "user id")
    if "public_key" in wanted:
        check_public_key(operation.public_key)
    user = _user(context.state, operation.party_id, operation.user_id)
    replaced = user.public_key if user is not None else b""
    return Details(
        operation.role,
        until,
        operation.user_id,
        operation.public_key,
        replaced,
        operation.grade,
        operation.reader,
    )


# --- deciding -----------------------------------------------------------------------------------


def check_approve_party_change(context: Context, operation: pb.ApprovePartyChange) -> Outcome:
    """An application is taken up; a proposal comes into force, or begins to wait."""
    context.require_role("administrator", "regulator")
    change = _known(context, operation.change_id)
    _check_decides(context, change, change_approver(context.state, change))
    signer = signer_of(context)
    if change.state == ChangeState.APPLIED:
        endorsed = _moved(change, Step.ENDORSE, By.ADMINISTRATOR)
        _changed(context, change)
        _check_not_lapsed(context, change)
        return Outcome(replace(endorsed, maker=signer))
    waits = KINDS[change.kind].waits
    approved = _moved(change, Step.AWAIT if waits else Step.APPROVE, By.ADMINISTRATOR)
    _check_not_lapsed(context, change)
    if signer == change.maker:
        raise Refused(
            BusinessReason.MAKER_IS_CHECKER, "whoever proposed a change may not approve it"
        )
    party = _changed(context, change)
    if waits:
        found = policy_in_force(context.state, context.height)
        waiting = RECOVERY_WAITING_MS if found is None else found.policy.recovery_waiting_ms
        due = context.time_unix_ms + waiting
        return Outcome(replace(approved, checker=signer, due_unix_ms=due))
    return Outcome(replace(approved, checker=signer), party)


def check_complete_party_change(context: Context, operation: pb.CompletePartyChange) -> Outcome:
    """A change whose waiting time is over, and to which nobody objected, comes into force."""
    context.require_role("administrator")
    change = _known(context, operation.change_id)
    _check_decides(context, change)
    completed = _moved(change, Step.COMPLETE, By.ADMINISTRATOR)
    if not expired(context.time_unix_ms, change.due_unix_ms):
        raise Refused(BusinessReason.CHANGE_NOT_DUE, f"it waits until {change.due_unix_ms}")
    return Outcome(completed, _changed(context, change))


def check_reject_party_change(context: Context, operation: pb.RejectPartyChange) -> Outcome:
    """A change ends before it is in force: rejected, or withdrawn by the party that applied."""
    change = _known(context, operation.change_id)
    own = context.sender == change.party_id and change.applicant
    if own:
        step, by = Step.WITHDRAW, By.PARTY
    else:
        _check_decides(context, change)
        step, by = Step.REJECT, By.ADMINISTRATOR
    return Outcome(_ended(context, _moved(change, step, by), operation.ground))


def check_object_to_party_change(context: Context, operation: pb.ObjectToPartyChange) -> Outcome:
    """A key is not lost: any user of the party says so, with whatever key it has."""
    change = _known(context, operation.change_id)
    if context.sender != change.party_id:
        raise Refused(
            CommonReason.PERMISSION_DENIED, f"only users of {change.party_id} object to this"
        )
    objected = _moved(change, Step.OBJECT, By.PARTY)
    return Outcome(_ended(context, objected, operation.ground))


def apply_change(context: Context, _: object, outcome: Outcome) -> None:
    """Keep the change, and what stands by it; where it is in force, change the party."""
    change = outcome.change
    key = CHANGE.key(change.change_id)
    context.state.put(CHANGE, key, change)
    context.emit("party-change", change.change_id, change)
    if change.applicant:
        _stand(context, change, "application", change.state in OPEN)
    if KINDS[change.kind].waits:
        _stand(context, change, "recovery", change.state == ChangeState.WAITING)
    if change.state != ChangeState.APPROVED:
        return
    if change.kind in PARTY_EFFECTS:
        assert outcome.party is not None, "a change in force has made its party"
        register(context.state, outcome.party, change.change_id)
        keep_party(context, outcome.party)
        if change.kind == "close":
            give_up_identifiers(context.state, outcome.party)
    elif change.kind == "set_grade":
        _keep_grade(context, _grade_in(change))
    else:
        _keep_reading(context, change)


def _keep_reading(context: Context, change: PartyChange) -> None:
    grant = STANDING.key("reads", change.details.reader, change.party_id)
    if change.kind == "grant_reading":
        until = change.details.until_unix_ms
        context.state.put(STANDING, grant, Standing(change.party_id, change.change_id, until))
    else:
        until = 0
        context.state.delete(STANDING, grant)
    context.send("reading", ReadGrant(change.details.reader, change.party_id, until))


def _keep_grade(context: Context, grade: Grade) -> None:
    """Keep a grade, tell the asset chain, and warn where it fell below the threshold."""
    before = grade_of(context.state, grade.party_id, context.time_unix_ms)
    context.state.put(GRADE, GRADE.key(grade.party_id), grade)
    context.emit("grade", grade.party_id, grade)
    context.send("grade", grade)
    found = policy_in_force(context.state, context.height)
    threshold = "" if found is None else found.policy.warning_below
    if (
        threshold
        and not is_at_least(grade.grade, threshold)
        and (before == UNRATED or is_at_least(before, threshold))
    ):
        warning = GradeWarning(grade.party_id, before, grade.grade, threshold)
        context.emit("warning", grade.party_id, warning)


def _grade_in(change: PartyChange) -> Grade:
    details = change.details
    return Grade(change.party_id, details.grade, details.until_unix_ms, change.change_id)


def _stand(context: Context, change: PartyChange, kind: str, is_open: bool) -> None:
    """Keep or give up the one place a party has for a change of this kind."""
    key = STANDING.key(kind, change.party_id)
    if is_open:
        context.state.put(STANDING, key, Standing(change.party_id, change.change_id, 0))
        return
    standing = standing_of(context.state, kind, change.party_id)
    if standing is not None and standing.change_id == change.change_id:
        context.state.delete(STANDING, key)


def _check_decides(context: Context, change: PartyChange, role: str = "administrator") -> None:
    """Refuse whoever has not this role, or is of the firm that it is about."""
    context.require_role(role)
    if context.sender in {change.party_id, change.details.reader}:
        raise Refused(BusinessReason.OWN_FIRM, "nobody decides about their own firm")


def _moved(change: PartyChange, step: Step, by: By) -> PartyChange:
    state = TRANSITIONS.get((ChangeState(change.state), step, by))
    if state is None:
        raise Refused(
            BusinessReason.WRONG_STATE,
            f"{change.change_id} ({change.kind}) is {change.state}: no {step}",
        )
    return replace(change, state=state)


def _ended(context: Context, change: PartyChange, ground: str) -> PartyChange:
    if not 1 <= len(ground) <= GROUND_CHARACTERS_MAX:
        raise _invalid(f"a ground has 1 to {GROUND_CHARACTERS_MAX} characters")
    return replace(change, ended_by=signer_of(context), end_ground=ground)


def _is_lapsed(context: Context, change: PartyChange) -> bool:
    return expired(context.time_unix_ms, change.since_unix_ms + PROPOSAL_LIFE_MS)


def _check_not_lapsed(context: Context, change: PartyChange) -> None:
    if _is_lapsed(context, change):
        raise Refused(
            BusinessReason.CHANGE_LAPSED, f"{change.change_id} is 30 days old: begin anew"
        )


# --- what a change makes of a party -------------------------------------------------------------


def _changed(context: Context, change: PartyChange) -> Party | None:
    """The party as the change makes it now (None: it stays as it is), or why it cannot."""
    party = party_of(context.state, change.party_id)
    if party is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no party {change.party_id}")
    if party.status not in KINDS[change.kind].statuses:
        raise Refused(BusinessReason.WRONG_STATE, f"{party.party_id} is {party.status}")
    recovery = standing_of(context.state, "recovery", party.party_id)
    ties = change.kind in {"recover_key", "suspend"}
    if ties and recovery is not None and recovery.change_id != change.change_id:
        raise Refused(
            BusinessReason.RECOVERY_UNDER_WAY, f"{recovery.change_id} waits for objections"
        )
    if change.kind == "close" and party.party_id == context.parameters.fee_party:
        raise Refused(BusinessReason.OWN_FIRM, "whoever is paid the fees is not closed")
    if change.kind == "set_grade":
        check_grade(_grade_in(change))
        return None
    if change.kind not in PARTY_EFFECTS:
        _check_reading(context, change)
        return None
    changed = PARTY_EFFECTS[change.kind](party, change.details)
    if change.details.public_key:
        check_key_unused(context.state, change.details.public_key)
    check_party(changed)
    return changed


def _check_reading(context: Context, change: PartyChange) -> None:
    """A regulator reads another party; only what is granted is revoked."""
    details = change.details
    if change.kind == "revoke_reading":
        if standing_of(context.state, "reads", details.reader, change.party_id) is None:
            raise Refused(CommonReason.NOT_FOUND, f"{details.reader} has no such grant")
        return
    reader = active_party(context.state, details.reader)
    if (
        all(grant.role != "regulator" for grant in reader.roles)
        or reader.party_id == change.party_id
    ):
        raise _invalid(f"{details.reader} is no regulator of another firm")


def _role_granted(party: Party, details: Details) -> Party:
    others = [grant for grant in party.roles if grant.role != details.role]
    granted = [*others, RoleGrant(details.role, details.until_unix_ms)]
    return replace(party, roles=tuple(sorted(granted, key=lambda grant: grant.role)))


def _role_revoked(party: Party, details: Details) -> Party:
    kept = tuple(grant for grant in party.roles if grant.role != details.role)
    if len(kept) == len(party.roles):
        raise Refused(CommonReason.NOT_FOUND, f"{party.party_id} is no {details.role}")
    return replace(party, roles=kept)


def _user_added(party: Party, details: Details) -> Party:
    added = [*party.users, User(details.user_id, details.public_key)]
    return replace(party, users=tuple(sorted(added, key=lambda user: user.user_id)))


def _user_removed(party: Party, details: Details) -> Party:
    _check_current(party, details)
    kept = tuple(user for user in party.users if user.user_id != details.user_id)
    return replace(party, users=kept)


def _key_replaced(party: Party, details: Details) -> Party:
    _check_current(party, details)
    return _with_key(party, details.user_id, details.public_key)


def _with_key(party: Party, user_id: str, public_key: bytes) -> Party:
    users = tuple(
        User(user_id, public_key) if user.user_id == user_id else user for user in party.users
    )
    return replace(party, users=users)


def _check_current(party: Party, details: Details) -> None:
    """The user is there, with the key it had when the change was begun."""
    current = [user.public_key for user in party.users if user.user_id == details.user_id]
    if not current:
        raise Refused(CommonReason.NOT_FOUND, f"{party.party_id} has no user {details.user_id}")
    if current != [details.replaced_key]:
        raise Refused(
            BusinessReason.CHANGE_OUTDATED, f"{details.user_id} has another key than it had"
        )


def _taking(step: str) -> Callable[[Party, Details], Party]:
    return lambda party, _: stepped(party, step)


PARTY_EFFECTS: Mapping[str, Callable[[Party, Details], Party]] = {
    "add_user": _user_added,
    "close": _taking("close"),
    "grant_role": _role_granted,
    "recover_key": _key_replaced,
    "remove_user": _user_removed,
    "replace_key": _key_replaced,
    "resume": _taking("resume"),
    "revoke_role": _role_revoked,
    "suspend": _taking("suspend"),
}


# --- one's own key ------------------------------------------------------------------------------


def check_change_key(context: Context, operation: pb.ChangeKey) -> Party:
    """The signer's party with its new key, which the signer must have."""
    check_public_key(operation.public_key)
    check_key_unused(context.state, operation.public_key)
    digest = possession_digest(context.chain_id, operation.public_key)
    if not context.verify(operation.public_key, digest, operation.possession):
        raise Refused(CommonReason.BAD_SIGNATURE, "the new key has not signed for itself")
    _, _, user_id = signer_of(context).partition("/")
    return _with_key(active_party(context.state, context.sender), user_id, operation.public_key)


def apply_change_key(context: Context, _: pb.ChangeKey, party: Party) -> None:
    """From the next transaction on, the old key signs nothing."""
    register(context.state, party, "")
    keep_party(context, party)


def possession_digest(chain_id: bytes, public_key: bytes) -> bytes:
    """What a new key signs before it is registered: 32 bytes."""
    return tagged(Tag.KEY_POSSESSION, chain_id, public_key)


def _possession_claims(operation: pb.ChangeKey, chain_id: bytes) -> Sequence[SignatureClaim]:
    digest = possession_digest(chain_id, operation.public_key)
    return [SignatureClaim(operation.public_key, digest, operation.possession)]


# --- parts --------------------------------------------------------------------------------------


def _known(context: Context, change_id: str) -> PartyChange:
    change = change_of(context.state, change_id)
    if change is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no change {change_id}")
    if change.kind == JOIN:
        raise Refused(BusinessReason.WRONG_STATE, f"{change_id} ends with its party's proposal")
    return change


def _user(state: State, party_id: str, user_id: str) -> User | None:
    party = party_of(state, party_id)
    users = () if party is None else party.users
    return next((user for user in users if user.user_id == user_id), None)


def _invalid(message: str) -> Refused:
    return Refused(CommonReason.INVALID_ARGUMENT, message)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "propose_party_change": Rule(pb.ProposePartyChange, check_propose_party_change, apply_change),
    "approve_party_change": Rule(pb.ApprovePartyChange, check_approve_party_change, apply_change),
    "reject_party_change": Rule(pb.RejectPartyChange, check_reject_party_change, apply_change),
    "object_to_party_change": Rule(
        pb.ObjectToPartyChange, check_object_to_party_change, apply_change
    ),
    "complete_party_change": Rule(
        pb.CompletePartyChange, check_complete_party_change, apply_change
    ),
    "change_key": Rule(
        pb.ChangeKey, check_change_key, apply_change_key, signatures=_possession_claims
    ),
}
