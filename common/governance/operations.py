"""Proposing a change, voting on it, and closing what was not decided in time.

The operations have no sender: members' signatures justify them. A repeat of what is done already is
"already done" (code 0), and this is judged before any deadline.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from msgspec.structs import replace

from common.crypto.digest import DIGEST_BYTES
from common.deadline import expired
from common.encoding import decode
from common.errors import CommonReason, Refused
from common.governance.subjects import CONTENT_BYTES_MAX, Governed
from common.governance.types import (
    PROPOSAL,
    PROPOSAL_VERSION,
    TRANSITIONS,
    Action,
    Ballot,
    Proposal,
    ProposalState,
    Vote,
    ballot_of,
    next_action,
    open_proposals_of,
    proposal_digest,
    proposal_id_of,
    vote_digest,
    write,
)
from common.ledger.chain import Context, Rule, SignatureClaim
from common.ledger.versions import Enactment, enact, latest_of
from common.v1 import governance_pb2 as pb
from common.v1.transfer_pb2 import PartySignature

__all__ = ["governance_rules"]

PROPOSAL_BYTES_MAX = CONTENT_BYTES_MAX + 1024
GROUND_CHARACTERS_MAX = 200
OPEN_PROPOSALS_MAX = 16
"""Proposals of one member that may be OPEN at once."""
VOTING_MIN_MS = 60_000
VOTING_MAX_MS = 30 * 24 * 3_600_000
ACTIVATION_BLOCKS_MAX = 100_000
"""How far ahead of the proposal a height of activation may be named."""


class Opening(NamedTuple):
    """A checked proposal and the ballot it begins with."""

    proposal: Proposal
    ballot: Ballot


class Count(NamedTuple):
    """A ballot, and what led to it."""

    action: Action
    ballot: Ballot


# --- proposing ----------------------------------------------------------------------------------


def check_propose(
    governed: Governed, context: Context, operation: pb.ProposeChange
) -> Opening | None:
    """By a member of an existing node: a change this chain can be governed by, in good time."""
    if len(operation.proposal) > PROPOSAL_BYTES_MAX:
        raise Refused(CommonReason.TOO_LARGE, "the proposal is larger than any can be")
    proposal = decode(Proposal, operation.proposal)
    proposal_id = proposal_id_of(context.chain_id, proposal)
    if ballot_of(context.state, proposal_id) is not None:
        return None
    voters = tuple(sorted({node.member for node in context.node_set.nodes}))
    _check_member(governed, voters, operation.signature)
    if operation.signature.party != proposal.proposer:
        raise Refused(governed.reasons.not_a_member, "a member proposes in its own name")
    _check_signed(context, operation.signature, proposal_digest(proposal_id))
    _check_form(context, proposal)
    governed.check(proposal)
    if open_proposals_of(context.state, proposal.proposer) >= OPEN_PROPOSALS_MAX:
        raise Refused(
            governed.reasons.too_many_proposals,
            f"{OPEN_PROPOSALS_MAX} proposals of {proposal.proposer} are open",
        )
    ballot = Ballot(
        proposal_id,
        proposal.kind,
        proposal.name,
        proposal.proposer,
        proposal.deadline_unix_ms,
        TRANSITIONS[ProposalState.NONE, Action.PROPOSE].value,
        voters,
        (),
        context.height,
        0,
        0,
        0,
    )
    return Opening(proposal, ballot)


def apply_propose(context: Context, _: pb.ProposeChange, opening: Opening | None) -> None:
    """Open the vote."""
    if opening is None:
        return
    proposal, ballot = opening
    context.state.put(PROPOSAL, PROPOSAL.key(ballot.proposal_id.hex()), proposal)
    _write(context, ballot, Action.PROPOSE)


def _check_form(context: Context, proposal: Proposal) -> None:
    if proposal.version != PROPOSAL_VERSION or len(proposal.salt) != DIGEST_BYTES:
        raise _invalid("a proposal is of a known version, and its salt has 32 bytes")
    if len(proposal.ground) > GROUND_CHARACTERS_MAX:
        raise _invalid(f"a ground has at most {GROUND_CHARACTERS_MAX} characters")
    ahead = proposal.deadline_unix_ms - context.time_unix_ms
    if not VOTING_MIN_MS <= ahead <= VOTING_MAX_MS:
        raise _invalid(f"votes take {VOTING_MIN_MS} to {VOTING_MAX_MS} ms, {ahead} are left")
    if not 0 <= proposal.activation_height <= context.height + ACTIVATION_BLOCKS_MAX:
        raise _invalid(f"it begins at most {ACTIVATION_BLOCKS_MAX} blocks from now")


# --- voting -------------------------------------------------------------------------------------


def check_vote(governed: Governed, context: Context, operation: pb.VoteOnChange) -> Count | None:
    """By a member of the set at proposal time: one vote, in time, on what is still open."""
    ballot = _known(context, operation.proposal_id)
    member = operation.signature.party
    for vote in ballot.votes:
        if vote.member == member:
            if vote.approve == operation.approve:
                return None
            raise Refused(governed.reasons.already_voted, f"{member} voted; a vote is not changed")
    _check_member(governed, ballot.voters, operation.signature)
    if ballot.state != ProposalState.OPEN:
        raise Refused(governed.reasons.proposal_decided, f"the proposal is {ballot.state}")
    if expired(context.time_unix_ms, ballot.deadline_unix_ms):
        raise Refused(
            governed.reasons.proposal_expired, f"the deadline was {ballot.deadline_unix_ms}"
        )
    digest = vote_digest(ballot.proposal_id, member, approve=operation.approve)
    _check_signed(context, operation.signature, digest)
    votes = (*ballot.votes, Vote(member, operation.approve, context.height))
    counted = replace(ballot, votes=tuple(sorted(votes, key=lambda vote: vote.member)))
    action = next_action(counted)
    decided = 0 if action is Action.VOTE else context.height
    state = TRANSITIONS[ProposalState.OPEN, action].value
    return Count(action, replace(counted, state=state, decided_height=decided))


def apply_vote(
    governed: Governed, context: Context, _: pb.VoteOnChange, count: Count | None
) -> None:
    """Count the vote. What passed is given its version and its height, and told to the other chain
    where that one judges by it too.
    """
    if count is None:
        return
    action, ballot = count
    if action is Action.ACCEPT:
        proposal = context.state.get(PROPOSAL, PROPOSAL.key(ballot.proposal_id.hex()))
        assert proposal is not None, "a ballot is of a proposal"
        enactment = Enactment(
            ballot.kind,
            ballot.name,
            latest_of(context.state, ballot.kind, ballot.name).version + 1,
            proposal.value,
            proposal.content,
            ballot.proposal_id,
        )
        row = enact(context, enactment, proposal.activation_height)
        ballot = replace(ballot, version=row.version, activation_height=row.activation_height)
        if governed.is_carried(ballot.kind, ballot.name):
            context.send("parameter", enactment)
    _write(context, ballot, action)


# --- closing ------------------------------------------------------------------------------------


def check_close(governed: Governed, context: Context, operation: pb.CloseProposal) -> Count | None:
    """By anybody: the deadline of an open proposal has passed."""
    ballot = _known(context, operation.proposal_id)
    if ballot.state == ProposalState.EXPIRED:
        return None
    if ballot.state != ProposalState.OPEN:
        raise Refused(governed.reasons.proposal_decided, f"the proposal is {ballot.state}")
    if not expired(context.time_unix_ms, ballot.deadline_unix_ms):
        raise Refused(
            governed.reasons.proposal_not_expired,
            f"the deadline is {ballot.deadline_unix_ms} (block time)",
        )
    state = TRANSITIONS[ProposalState.OPEN, Action.EXPIRE].value
    return Count(Action.EXPIRE, replace(ballot, state=state, decided_height=context.height))


def apply_close(context: Context, _: pb.CloseProposal, count: Count | None) -> None:
    """Write the outcome."""
    if count is not None:
        _write(context, count.ballot, count.action)


# --- parts --------------------------------------------------------------------------------------


def _known(context: Context, proposal_id: bytes) -> Ballot:
    ballot = ballot_of(context.state, proposal_id)
    if ballot is None:
        raise Refused(CommonReason.NOT_FOUND, "this chain knows no such proposal")
    return ballot


def _check_member(governed: Governed, voters: tuple[str, ...], claim: PartySignature) -> None:
    if claim.party not in voters:
        raise Refused(
            governed.reasons.not_a_member, f"{claim.party!r} runs none of the nodes that vote"
        )


def _check_signed(context: Context, claim: PartySignature, message: bytes) -> None:
    """The signature is that of the key the genesis names for the member."""
    members = {member.member_id: member.public_key for member in context.members}
    if members.get(claim.party) != claim.public_key or not context.verify(
        claim.public_key, message, claim.signature
    ):
        raise Refused(CommonReason.BAD_SIGNATURE, f"this is not the signature of {claim.party}")


def _write(context: Context, ballot: Ballot, action: Action) -> None:
    write(context.state, ballot, action)
    context.emit("ballot", ballot.proposal_id.hex(), ballot)


def _invalid(message: str) -> Refused:
    return Refused(CommonReason.INVALID_ARGUMENT, message)


# --- the table ----------------------------------------------------------------------------------


def _proposal_claims(operation: pb.ProposeChange, chain_id: bytes) -> list[SignatureClaim]:
    if len(operation.proposal) > PROPOSAL_BYTES_MAX:
        return []
    try:
        proposal_id = proposal_id_of(chain_id, decode(Proposal, operation.proposal))
    except Refused:
        return []
    return [_claim(operation.signature, proposal_digest(proposal_id))]


def _vote_claims(operation: pb.VoteOnChange, _: bytes) -> list[SignatureClaim]:
    digest = vote_digest(
        operation.proposal_id, operation.signature.party, approve=operation.approve
    )
    return [_claim(operation.signature, digest)]


def _claim(signature: PartySignature, message: bytes) -> SignatureClaim:
    return SignatureClaim(signature.public_key, message, signature.signature)


def governance_rules(governed: Governed) -> dict[str, Rule[Any, Any]]:
    """The rules of governance on one chain, by the name of the operation's field."""
    return {
        "propose_change": Rule(
            pb.ProposeChange,
            partial(check_propose, governed),
            apply_propose,
            signed=False,
            signatures=_proposal_claims,
        ),
        "vote_on_change": Rule(
            pb.VoteOnChange,
            partial(check_vote, governed),
            partial(apply_vote, governed),
            signed=False,
            signatures=_vote_claims,
        ),
        "close_proposal": Rule(
            pb.CloseProposal, partial(check_close, governed), apply_close, signed=False
        ),
    }
