"""The rules of the cross-ledger commit, the same on both chains.

Two ways to lose value are closed on purpose. A follower obeys only a proof of the decider's record,
never a preimage and never its own clock. And every deadline is judged by the decider alone, with
`expired`.

But for `claim_transfer`, these operations have no sender: consents, proofs and secrets inside them
justify them, so any relay can carry them, any number of times. A repeat of what is done already is
"already done" (code 0), and this is judged before any deadline.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from common.deadline import expired
from common.encoding import Canonical, encode
from common.errors import Refused, TransferReason
from common.ledger import lightclient
from common.ledger.block import EventKind
from common.ledger.chain import Context, LegRules, Phase, Rule, SignatureClaim
from common.ledger.inbox import apply_messages, check_messages
from common.transfer import pots
from common.transfer.checks import (
    CONSENTS_MAX,
    check_deadline_fits,
    check_expire_entitled,
    check_not_expired,
    check_signed,
    checked_leg,
    follower_facts,
    known,
    leg_owners,
    own_leg,
    own_role,
    proven_record,
    reached,
)
from common.transfer.machine import (
    HASH_LOCK,
    RECORD_VERSION,
    Action,
    HashLockUse,
    Outcome,
    Role,
    TransferRecord,
    TransferRow,
    TransferState,
    outcome_of,
    record_of,
    write,
)
from common.transfer.terms import (
    Mode,
    Terms,
    consent_digest,
    decline_digest,
    opens_lock,
    read_terms,
    transfer_id_of,
)
from common.v1 import transfer_pb2 as pb

__all__ = ["common_rules"]


class Step(NamedTuple):
    """A checked step of a transfer: what will be written, and what the leg will do.

    `facts` are the follower's, `hash_lock` is set where the step uses it up.
    """

    action: Action
    row: TransferRow
    leg: Canonical | None
    rules: LegRules[Canonical] | None
    facts: bytes = b""
    hash_lock: bytes = b""


# --- reserving ----------------------------------------------------------------------------------


def check_reserve(context: Context, operation: pb.ReserveTransfer) -> Step | None:
    """Follower, or decider in two-step mode: a new id, consent, free value, a fitting deadline."""
    terms = read_terms(operation.terms)
    role = own_role(context, terms)
    if role == Role.DECIDER and terms.mode != Mode.TWO_STEP:
        raise Refused(TransferReason.MODE_MISMATCH, "the decider of an express transfer commits it")
    transfer_id = transfer_id_of(terms)
    row = record_of(context.state, transfer_id)
    if row is not None and row.record.state not in {TransferState.RELEASED, TransferState.ABORTED}:
        return None
    reached(role, row, Action.RESERVE)
    if role == Role.FOLLOWER:
        check_deadline_fits(context, terms)
        facts = b""
    else:
        check_not_expired(context, terms)
        facts = follower_facts(context, terms, transfer_id, operation.proof)
    leg, rules = checked_leg(
        context, terms, transfer_id, operation.opening, operation.consents, facts
    )
    record = _record(terms, transfer_id, role, TransferState.RESERVED)
    return _step(context, Action.RESERVE, terms, record, leg, rules, facts)


def apply_reserve(context: Context, _: pb.ReserveTransfer, step: Step | None) -> None:
    """Move the value to escrow; publish the follower's facts."""
    if step is None:
        return
    assert step.leg is not None
    assert step.rules is not None
    transfer_id = step.row.record.transfer_id
    _use_hash_lock(context, step)
    facts = step.rules.reserve(context, transfer_id, step.leg)
    if step.row.record.role == Role.DECIDER:
        step.rules.keep(context, step.leg, step.facts)
    record = replace(step.row.record, facts=facts)
    _write(context, replace(step.row, record=record), step.action)


# --- deciding -----------------------------------------------------------------------------------


def check_commit(context: Context, operation: pb.CommitTransfer) -> Step | None:
    """Decider, two-step: a RESERVED transfer, neither expired nor held by now, and its secret."""
    row = known(context, operation.transfer_id)
    if row.record.state == TransferState.COMMITTED:
        return None
    state = reached(Role.DECIDER, row, Action.COMMIT)
    terms = read_terms(row.terms)
    if own_role(context, terms) != Role.DECIDER:
        raise Refused(TransferReason.NOT_THE_DECIDER, "this chain follows; it obeys a proof only")
    check_not_expired(context, terms)
    if not opens_lock(operation.secret, terms.hash_lock):
        raise Refused(TransferReason.SECRET_MISMATCH, "the secret does not open the hash lock")
    leg, rules = own_leg(context, row)
    lightclient.check_fresh(context)
    rules.check_unheld(context, leg)
    record = replace(row.record, state=state.value, secret=operation.secret)
    return Step(Action.COMMIT, replace(row, record=record, height=context.height), leg, rules)


def apply_commit(context: Context, _: pb.CommitTransfer, step: Step | None) -> None:
    """Decide COMMIT: the decider's leg settles in the same step."""
    if step is not None:
        _finish(context, step, settled=True)


def check_reserve_and_commit(
    context: Context, operation: pb.ReserveAndCommitTransfer
) -> Step | None:
    """Decider, express: everything `reserve` and `commit` ask, at once."""
    terms = read_terms(operation.terms)
    if own_role(context, terms) != Role.DECIDER:
        raise Refused(TransferReason.NOT_THE_DECIDER, "this chain follows; it reserves")
    if terms.mode != Mode.EXPRESS:
        raise Refused(TransferReason.MODE_MISMATCH, "a two-step transfer is reserved first")
    transfer_id = transfer_id_of(terms)
    row = record_of(context.state, transfer_id)
    if row is not None and row.record.state == TransferState.COMMITTED:
        return None
    state = reached(Role.DECIDER, row, Action.RESERVE_AND_COMMIT)
    check_not_expired(context, terms)
    if not opens_lock(operation.secret, terms.hash_lock):
        raise Refused(TransferReason.SECRET_MISMATCH, "the secret does not open the hash lock")
    facts = follower_facts(context, terms, transfer_id, operation.proof)
    leg, rules = checked_leg(
        context, terms, transfer_id, operation.opening, operation.consents, facts
    )
    record = _record(terms, transfer_id, Role.DECIDER, state, secret=operation.secret)
    return _step(context, Action.RESERVE_AND_COMMIT, terms, record, leg, rules, facts)


def apply_reserve_and_commit(
    context: Context, _: pb.ReserveAndCommitTransfer, step: Step | None
) -> None:
    """Escrow and settle the decider's leg and decide COMMIT, in one step."""
    if step is None:
        return
    assert step.leg is not None
    assert step.rules is not None
    transfer_id = step.row.record.transfer_id
    _use_hash_lock(context, step)
    step.rules.reserve(context, transfer_id, step.leg)
    step.rules.keep(context, step.leg, step.facts)
    _finish(context, step, settled=True)


def check_expire(context: Context, operation: pb.ExpireTransfer) -> Step | None:
    """Decider: the deadline has passed and nothing was committed."""
    terms = read_terms(operation.terms)
    if own_role(context, terms) != Role.DECIDER:
        raise Refused(TransferReason.NOT_THE_DECIDER, "only the decider records an expiry")
    transfer_id = transfer_id_of(terms)
    row = record_of(context.state, transfer_id)
    if row is not None and row.record.state == TransferState.ABORTED:
        return None
    reached(Role.DECIDER, row, Action.EXPIRE)
    if not expired(context.time_unix_ms, terms.deadline_unix_ms):
        raise Refused(
            TransferReason.NOT_EXPIRED, f"the deadline is {terms.deadline_unix_ms} (block time)"
        )
    if row is None:
        check_expire_entitled(context, terms, transfer_id, operation)
    return _abort(context, terms, transfer_id, row, Action.EXPIRE, "expired")


def check_decline(context: Context, operation: pb.DeclineTransfer) -> Step | None:
    """Decider: an owner of its leg, or the secret holder, ends the transfer before COMMIT."""
    terms = read_terms(operation.terms)
    if own_role(context, terms) != Role.DECIDER:
        raise Refused(TransferReason.NOT_THE_DECIDER, "only the decider records a decline")
    transfer_id = transfer_id_of(terms)
    row = record_of(context.state, transfer_id)
    if row is not None and row.record.state == TransferState.ABORTED:
        return None
    reached(Role.DECIDER, row, Action.DECLINE)
    if not context.chain.legs[terms.flow].can_decline:
        raise Refused(TransferReason.DECLINE_NOT_ALLOWED, "a contract started this transfer")
    party = operation.party.party
    if party != terms.secret_holder and party not in leg_owners(context, terms, row, operation):
        raise Refused(
            TransferReason.DECLINE_NOT_ALLOWED, f"{party} neither owns a leg nor holds the secret"
        )
    check_signed(context, operation.party, decline_digest(transfer_id, party))
    return _abort(context, terms, transfer_id, row, Action.DECLINE, "declined")


def apply_abort(
    context: Context, _: pb.ExpireTransfer | pb.DeclineTransfer, step: Step | None
) -> None:
    """Decide ABORT: what was escrowed here goes back to its owner."""
    if step is not None:
        _finish(context, step, settled=False)


# --- obeying ------------------------------------------------------------------------------------


def check_settle(context: Context, operation: pb.SettleTransfer) -> Step | None:
    """Follower: a proof of the decider's COMMIT or ABORT. Total for a reserved transfer."""
    row = record_of(context.state, operation.transfer_id)
    if row is not None and row.record.role != Role.FOLLOWER:
        raise Refused(TransferReason.NOT_THE_FOLLOWER, "this chain decided the transfer")
    if row is not None and row.record.state != TransferState.RESERVED:
        return None
    theirs = proven_record(context, operation.proof)
    outcome = outcome_of(theirs)
    if (
        theirs.transfer_id != operation.transfer_id
        or theirs.role != Role.DECIDER
        or outcome is Outcome.NONE
    ):
        raise Refused(TransferReason.PROOF_MISMATCH, "no decision of this transfer is proven")
    if row is None:
        return _settle_unknown(context, theirs, outcome)
    committed = outcome is Outcome.COMMIT
    action = Action.SETTLE_COMMIT if committed else Action.SETTLE_ABORT
    state = reached(Role.FOLLOWER, row, action)
    leg, rules = own_leg(context, row)
    record = replace(row.record, state=state.value, reason=theirs.reason, secret=theirs.secret)
    return Step(action, replace(row, record=record, height=context.height), leg, rules)


def apply_settle(context: Context, _: pb.SettleTransfer, step: Step | None) -> None:
    """Let the leg go where the decider said: onward on COMMIT, back on ABORT."""
    if step is not None:
        _finish(context, step, settled=step.action is Action.SETTLE_COMMIT)


def _settle_unknown(context: Context, theirs: TransferRecord, outcome: Outcome) -> Step:
    if outcome is Outcome.COMMIT:
        raise Refused(
            TransferReason.TRANSFER_UNKNOWN,
            "ALARM: the decider committed a transfer this chain never reserved",
        )
    record = replace(
        theirs, role=Role.FOLLOWER, state=TransferState.RELEASED.value, facts=b"", secret=b""
    )
    row = TransferRow(record, b"", b"", context.height)
    return Step(Action.SETTLE_ABORT, row, None, None)


# --- parts ---------------------------------------------------------------------------------------


def _record(
    terms: Terms,
    transfer_id: bytes,
    role: str,
    state: TransferState,
    *,
    reason: str = "",
    secret: bytes = b"",
) -> TransferRecord:
    """The first record of a transfer here."""
    return TransferRecord(
        RECORD_VERSION,
        transfer_id,
        terms.flow,
        role,
        state.value,
        reason,
        secret,
        terms.deadline_unix_ms,
        b"",
    )


def _step(
    context: Context,
    action: Action,
    terms: Terms,
    record: TransferRecord,
    leg: Canonical,
    rules: LegRules[Canonical],
    facts: bytes,
) -> Step:
    """The step that takes a leg into escrow."""
    row = TransferRow(record, encode(terms), encode(leg), context.height)
    return Step(action, row, leg, rules, facts, terms.hash_lock)


def _abort(
    context: Context,
    terms: Terms,
    transfer_id: bytes,
    row: TransferRow | None,
    action: Action,
    reason: str,
) -> Step:
    if row is not None:
        leg, rules = own_leg(context, row)
        record = replace(row.record, state=TransferState.ABORTED.value, reason=reason)
        return Step(action, replace(row, record=record, height=context.height), leg, rules)
    record = _record(terms, transfer_id, Role.DECIDER, TransferState.ABORTED, reason=reason)
    return Step(action, TransferRow(record, encode(terms), b"", context.height), None, None)


def _use_hash_lock(context: Context, step: Step) -> None:
    assert step.leg is not None
    assert step.rules is not None
    for owner in step.rules.owners(step.leg):
        key = HASH_LOCK.key(owner, step.hash_lock)
        context.state.put(HASH_LOCK, key, HashLockUse(step.row.record.transfer_id))


def _finish(context: Context, step: Step, *, settled: bool) -> None:
    """Write a terminal record and let the leg's value go, in one step."""
    if step.leg is not None and step.rules is not None:
        move = step.rules.settle if settled else step.rules.release
        move(context, step.row.record.transfer_id, step.leg)
    _write(context, step.row, step.action)


def _write(context: Context, row: TransferRow, action: Action) -> None:
    write(context.state, row, action)
    context.emit(EventKind.TRANSFER, row.record.transfer_id.hex(), row.record)


# --- the table ----------------------------------------------------------------------------------


def _consent_claims(
    operation: pb.ReserveTransfer | pb.ReserveAndCommitTransfer, _: bytes
) -> list[SignatureClaim]:
    try:
        transfer_id = transfer_id_of(read_terms(operation.terms))
    except Refused:
        return []
    return [
        SignatureClaim(claim.public_key, consent_digest(transfer_id, claim.party), claim.signature)
        for claim in operation.consents[:CONSENTS_MAX]
    ]


def common_rules(pay_out: pots.PayOut) -> dict[str, Rule[Any, Any]]:
    """The rules both chains share, by the name of the operation's field."""

    def apply_claim(
        context: Context, operation: pb.ClaimTransfer, found: list[tuple[bytes, pots.Pot]]
    ) -> None:
        pots.apply_claim(context, operation.transfer_id, found, pay_out)

    return {
        "link": Rule(
            pb.Link,
            lightclient.check_link,
            lightclient.apply_link,
            signed=False,
            phase=Phase.IMPORT,
        ),
        "import_header": Rule(
            pb.ImportHeader,
            lightclient.check_import,
            lightclient.apply_import,
            signed=False,
            phase=Phase.IMPORT,
        ),
        "apply_messages": Rule(
            pb.ApplyMessages, check_messages, apply_messages, signed=False, phase=Phase.IMPORT
        ),
        "reserve_transfer": Rule(
            pb.ReserveTransfer,
            check_reserve,
            apply_reserve,
            signed=False,
            signatures=_consent_claims,
        ),
        "commit_transfer": Rule(pb.CommitTransfer, check_commit, apply_commit, signed=False),
        "reserve_and_commit_transfer": Rule(
            pb.ReserveAndCommitTransfer,
            check_reserve_and_commit,
            apply_reserve_and_commit,
            signed=False,
            signatures=_consent_claims,
        ),
        "expire_transfer": Rule(pb.ExpireTransfer, check_expire, apply_abort, signed=False),
        "decline_transfer": Rule(pb.DeclineTransfer, check_decline, apply_abort, signed=False),
        "settle_transfer": Rule(pb.SettleTransfer, check_settle, apply_settle, signed=False),
        "claim_transfer": Rule(pb.ClaimTransfer, pots.check_claim, apply_claim),
    }
