"""Members who vote: a linked pair whose nodes belong to different members, and what these sign.

council = Council.new()                             # four members, one node of each on each chain
change = council.proposal("parameter", "deadline_min_ms", value=5_000)
assert council.propose(change) is None
assert council.vote(change, "bank", approve=True) is None
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from msgspec.structs import replace

from assetchain.chain import CHAIN as ASSET_CHAIN
from bizchain.chain import CHAIN as BUSINESS_CHAIN
from common.crypto.signing import sign
from common.encoding import encode
from common.errors import Reason
from common.governance.types import (
    PROPOSAL_VERSION,
    Ballot,
    Proposal,
    ballot_of,
    proposal_digest,
    proposal_id_of,
    vote_digest,
)
from common.ledger.certificate import NodeSet
from common.ledger.genesis import Genesis, Member
from common.raft.quorum import certificate_quorum
from common.storage.memory import MemoryStateStore
from common.v1.governance_pb2 import CloseProposal, ProposeChange, VoteOnChange
from common.v1.transfer_pb2 import PartySignature
from tests.kit import cast
from tests.kit.pair import Pair
from tests.kit.side import Side

MEMBERS = ("bank", "core", "logistics", "warehouse")
VOTING_MS = 600_000


def genesis_of(chain: str, members: Sequence[str] = MEMBERS) -> Genesis:
    """A genesis with one node for each member (and one more member, who runs none)."""
    genesis = cast.genesis(chain)
    template = genesis.node_set.nodes[0]
    nodes = tuple(
        replace(
            template,
            node_id=f"{member}-1",
            member=member,
            public_key=cast.node_key(chain, f"{member}-1").public_key,
        )
        for member in sorted(members)
    )
    enrolled = tuple(
        Member(member, member.title(), cast.key_of(f"member/{member}").public_key)
        for member in sorted({*members, "observer"})
    )
    node_set = NodeSet(0, nodes, certificate_quorum(len(nodes)))
    return replace(genesis, node_set=node_set, members=enrolled)


class Council:
    """A pair, and what members do on one side of it (the business books by default)."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self._salts = 0

    @classmethod
    def new(cls, members: Sequence[str] = MEMBERS) -> Council:
        """A linked pair of chains with these members."""
        return cls(_linked(tuple(members)).twin())

    @property
    def books(self) -> Side:
        return self.pair.business

    def proposal(
        self, kind: str, name: str, *, side: Side | None = None, **changed: Any
    ) -> Proposal:
        """A proposal of the bank's that would be taken."""
        self._salts += 1
        fields: dict[str, Any] = {
            "version": PROPOSAL_VERSION,
            "kind": kind,
            "name": name,
            "value": 0,
            "content": b"",
            "activation_height": 0,
            "deadline_unix_ms": (side or self.books).now + VOTING_MS,
            "proposer": "bank",
            "ground": "we agreed",
            "salt": self._salts.to_bytes(32, "big"),
        }
        return Proposal(**{**fields, **changed})

    def propose_operation(self, proposal: Proposal, side: Side | None = None) -> ProposeChange:
        proposal_id = proposal_id_of((side or self.books).chain_id, proposal)
        signature = member_signature(proposal.proposer, proposal_digest(proposal_id))
        return ProposeChange(proposal=encode(proposal), signature=signature)

    def vote_operation(
        self, proposal: Proposal, member: str, *, approve: bool, side: Side | None = None
    ) -> VoteOnChange:
        proposal_id = proposal_id_of((side or self.books).chain_id, proposal)
        digest = vote_digest(proposal_id, member, approve=approve)
        return VoteOnChange(
            proposal_id=proposal_id, approve=approve, signature=member_signature(member, digest)
        )

    def propose(self, proposal: Proposal, side: Side | None = None) -> Reason | None:
        side = side or self.books
        return side.do(propose_change=self.propose_operation(proposal, side))

    def vote(
        self,
        proposal: Proposal,
        member: str,
        *,
        approve: bool,
        side: Side | None = None,
        at: int | None = None,
    ) -> Reason | None:
        side = side or self.books
        operation = self.vote_operation(proposal, member, approve=approve, side=side)
        return side.do(vote_on_change=operation, at=at)

    def close(
        self, proposal: Proposal, side: Side | None = None, at: int | None = None
    ) -> Reason | None:
        side = side or self.books
        operation = CloseProposal(proposal_id=proposal_id_of(side.chain_id, proposal))
        return side.do(close_proposal=operation, at=at)

    def ballot(self, proposal: Proposal, side: Side | None = None) -> Ballot:
        side = side or self.books
        found = ballot_of(side.ledger.state, proposal_id_of(side.chain_id, proposal))
        assert found is not None
        return found

    def decide(
        self, kind: str, name: str, *, side: Side | None = None, **changed: Any
    ) -> tuple[Proposal, Ballot]:
        """Propose a change, and let as many members vote for it as make it pass."""
        change = self.proposal(kind, name, side=side, **changed)
        assert self.propose(change, side) is None
        voters = self.ballot(change, side).voters
        for member in voters[: len(voters) // 2 + 1]:
            assert self.vote(change, member, approve=True, side=side) is None
        return change, self.ballot(change, side)


def check_invariants(side: Side) -> None:
    """Every invariant of a chain holds."""
    for name, invariant in side.chain.invariants.items():
        assert not invariant(side.ledger.state), name


def member_signature(member: str, digest: bytes) -> PartySignature:
    """A member's signature, as operations carry it."""
    key = cast.key_of(f"member/{member}")
    return PartySignature(party=member, public_key=key.public_key, signature=sign(key, digest))


@cache
def _linked(members: tuple[str, ...]) -> Pair:
    sides = [
        Side(chain, genesis_of(chain.name, members), MemoryStateStore())
        for chain in (BUSINESS_CHAIN, ASSET_CHAIN)
    ]
    pair = Pair(sides[0], sides[1])
    enrolled = [member.member_id for member in sides[0].genesis.members]
    for side in pair.sides:
        assert side.do(link=pair.link_operation(side, *enrolled)) is None
    pair.carry()
    return pair
