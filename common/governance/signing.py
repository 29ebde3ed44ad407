"""How a member signs a proposal and a vote."""

from __future__ import annotations

from typing import NamedTuple

from common.crypto.signing import SigningKey, sign
from common.encoding import encode
from common.governance.types import Proposal, proposal_digest, proposal_id_of, vote_digest
from common.v1.governance_pb2 import ProposeChange, VoteOnChange
from common.v1.transfer_pb2 import PartySignature

__all__ = ["Voter", "signed_proposal", "signed_vote"]


class Voter(NamedTuple):
    """A member, and the key the genesis names for it."""

    member: str
    key: SigningKey


def signed_proposal(chain_id: bytes, proposal: Proposal, voter: Voter) -> ProposeChange:
    """The operation that puts a change to the vote on a chain."""
    digest = proposal_digest(proposal_id_of(chain_id, proposal))
    return ProposeChange(proposal=encode(proposal), signature=_signature(voter, digest))


def signed_vote(proposal_id: bytes, voter: Voter, *, approve: bool) -> VoteOnChange:
    """The operation that votes. The id binds the chain."""
    digest = vote_digest(proposal_id, voter.member, approve=approve)
    return VoteOnChange(
        proposal_id=proposal_id, approve=approve, signature=_signature(voter, digest)
    )


def _signature(voter: Voter, digest: bytes) -> PartySignature:
    return PartySignature(
        party=voter.member,
        public_key=voter.key.public_key,
        signature=sign(voter.key, digest),
    )
