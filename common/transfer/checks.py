"""What the rules of the cross-ledger commit share: each refuses one thing, or opens one."""

from __future__ import annotations

from collections.abc import Sequence

from common.deadline import expired
from common.encoding import Canonical, decode
from common.errors import CommonReason, Refused, TransferReason
from common.ledger import lightclient
from common.ledger.block import EventKind
from common.ledger.chain import Context, LegRules
from common.ledger.identity import signer_roles
from common.ledger.versions import parameter_in_force
from common.transfer.machine import (
    HASH_LOCK,
    RECORD_VERSION,
    Action,
    Role,
    TransferRecord,
    TransferRow,
    TransferState,
    next_state,
    record_of,
)
from common.transfer.terms import (
    SALT_BYTES,
    Terms,
    consent_digest,
    expire_digest,
    leg_hash,
)
from common.v1 import transfer_pb2 as pb

__all__ = [
    "CONSENTS_MAX",
    "check_deadline_fits",
    "check_expire_entitled",
    "check_not_expired",
    "check_signed",
    "checked_leg",
    "follower_facts",
    "known",
    "leg_owners",
    "own_leg",
    "own_role",
    "proven_record",
    "reached",
]

LEG_BYTES_MAX = 2 * 1024
CONSENTS_MAX = 8


def own_role(context: Context, terms: Terms) -> str:
    """This chain's role in the terms, which must be the one its flow gives it."""
    rules = context.chain.legs.get(terms.flow)
    if rules is None:
        raise Refused(TransferReason.FLOW_UNKNOWN, f"flow {terms.flow!r} is unknown here")
    peer = lightclient.require_peer(context.state)
    pair = (terms.follower_chain, terms.decider_chain)
    own = (
        (context.chain_id, peer.chain_id)
        if rules.role == Role.FOLLOWER
        else (peer.chain_id, context.chain_id)
    )
    if pair != own:
        raise Refused(
            TransferReason.TERMS_OF_ANOTHER_CHAIN,
            f"in flow {terms.flow} this chain is the {rules.role} of its linked pair",
        )
    if terms.mode not in rules.modes:
        raise Refused(TransferReason.MODE_MISMATCH, f"flow {terms.flow} has no mode {terms.mode}")
    return rules.role


def checked_leg(
    context: Context,
    terms: Terms,
    transfer_id: bytes,
    opening: pb.LegOpening,
    consents: Sequence[pb.PartySignature],
    facts: bytes,
) -> tuple[Canonical, LegRules[Canonical]]:
    """The own leg, opened, consented to, free to move."""
    flow = context.chain.legs[terms.flow]
    own_hash = terms.follower_leg_hash if flow.role == Role.FOLLOWER else terms.decider_leg_hash
    leg, rules = _opened(flow, opening, own_hash)
    owners = rules.owners(leg)
    _check_consents(context, transfer_id, owners, consents)
    for owner in owners:
        context.chain.permit(context, owner, terms.flow)
        used = context.state.get(HASH_LOCK, HASH_LOCK.key(owner, terms.hash_lock))
        if used is not None:
            raise Refused(TransferReason.HASH_LOCK_USED, f"{owner} has used this hash lock before")
    lightclient.check_fresh(context)
    rules.check(context, leg, facts)
    rules.check_unheld(context, leg)
    return leg, rules


def _opened(
    flow: LegRules[Canonical], opening: pb.LegOpening, own_hash: bytes
) -> tuple[Canonical, LegRules[Canonical]]:
    if len(opening.leg) > LEG_BYTES_MAX or len(opening.salt) != SALT_BYTES:
        raise Refused(TransferReason.LEG_MISMATCH, "a leg is short and its salt has 32 bytes")
    if leg_hash(opening.leg, opening.salt) != own_hash:
        raise Refused(TransferReason.LEG_MISMATCH, "the opening does not match the terms' leg hash")
    return flow.read(opening.leg)


def _check_consents(
    context: Context,
    transfer_id: bytes,
    owners: tuple[str, ...],
    consents: Sequence[pb.PartySignature],
) -> None:
    if len(consents) > CONSENTS_MAX:
        raise Refused(TransferReason.CONSENT_MISSING, f"at most {CONSENTS_MAX} consents")
    given = {consent.party: consent for consent in consents}
    for owner in owners:
        consent = given.get(owner)
        if consent is None:
            raise Refused(TransferReason.CONSENT_MISSING, f"{owner} has not consented")
        check_signed(context, consent, consent_digest(transfer_id, owner))


def check_signed(context: Context, claim: pb.PartySignature, message: bytes) -> None:
    """Refuse a signature that is not one of an active user of its party over `message`."""
    signer_roles(context.state, claim.party, claim.public_key, context.time_unix_ms)
    if not context.verify(claim.public_key, message, claim.signature):
        raise Refused(
            TransferReason.CONSENT_MISSING, f"the signature of {claim.party} does not verify"
        )


def follower_facts(
    context: Context, terms: Terms, transfer_id: bytes, proof: pb.EventProof
) -> bytes:
    """What the follower publishes of its leg, once it is proven RESERVED for this id."""
    theirs = proven_record(context, proof)
    named = (theirs.transfer_id, theirs.role, theirs.state, theirs.flow)
    if named != (transfer_id, Role.FOLLOWER, TransferState.RESERVED, terms.flow):
        raise Refused(TransferReason.PROOF_MISMATCH, "no reservation of this transfer is proven")
    return theirs.facts


def proven_record(context: Context, proof: pb.EventProof) -> TransferRecord:
    """The transfer record of the other chain that `proof` proves."""
    event = lightclient.proven_event(context, proof)
    if event.kind != EventKind.TRANSFER:
        raise Refused(CommonReason.BAD_PROOF, "the leaf is not a transfer record")
    record = decode(TransferRecord, event.payload)
    if record.version != RECORD_VERSION:
        raise Refused(CommonReason.BAD_PROOF, f"record version {record.version} is unknown")
    return record


def check_deadline_fits(context: Context, terms: Terms) -> None:
    """Refuse a deadline nearer or farther than the parameters in force allow, from block time."""
    ahead = terms.deadline_unix_ms - context.time_unix_ms
    least = parameter_in_force(context, "deadline_min_ms")
    greatest = parameter_in_force(context, "deadline_max_ms")
    if ahead < least:
        raise Refused(
            TransferReason.DEADLINE_TOO_NEAR,
            f"the deadline is {ahead} ms ahead, {least} needed",
        )
    if ahead > greatest:
        raise Refused(
            TransferReason.DEADLINE_TOO_FAR,
            f"the deadline is {ahead} ms ahead, {greatest} at most",
        )


def check_not_expired(context: Context, terms: Terms) -> None:
    """Refuse from the deadline on."""
    if expired(context.time_unix_ms, terms.deadline_unix_ms):
        raise Refused(TransferReason.TRANSFER_EXPIRED, f"the deadline was {terms.deadline_unix_ms}")


def check_expire_entitled(
    context: Context, terms: Terms, transfer_id: bytes, operation: pb.ExpireTransfer
) -> None:
    """With no record here, not anyone may write the tombstone of an id."""
    if operation.HasField("proof"):
        follower_facts(context, terms, transfer_id, operation.proof)
        return
    if operation.party.party != terms.secret_holder:
        raise Refused(
            TransferReason.CONSENT_MISSING,
            "a proof of the follower's reservation, or the secret holder's signature, is needed",
        )
    check_signed(context, operation.party, expire_digest(transfer_id, terms.secret_holder))


def leg_owners(
    context: Context, terms: Terms, row: TransferRow | None, operation: pb.DeclineTransfer
) -> tuple[str, ...]:
    """The owners of the decider's leg, as far as a record or an opening shows them."""
    flow = context.chain.legs[terms.flow]
    if row is not None:
        leg, rules = flow.read(row.leg)
    elif operation.HasField("opening"):
        leg, rules = _opened(flow, operation.opening, terms.decider_leg_hash)
    else:
        return ()
    return rules.owners(leg)


def known(context: Context, transfer_id: bytes) -> TransferRow:
    """The row of a transfer this chain has heard of."""
    row = record_of(context.state, transfer_id)
    if row is None:
        raise Refused(TransferReason.TRANSFER_UNKNOWN, "this chain knows no such transfer")
    return row


def reached(role: str, row: TransferRow | None, action: Action) -> TransferState:
    """Where `action` leads from the row's state; None is no record."""
    state = TransferState.NONE if row is None else TransferState(row.record.state)
    return next_state(role, state, action)


def own_leg(context: Context, row: TransferRow) -> tuple[Canonical, LegRules[Canonical]]:
    """This chain's leg of a reserved transfer, and its rules."""
    return context.chain.legs[row.record.flow].read(row.leg)
