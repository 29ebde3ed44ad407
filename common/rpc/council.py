"""Governance, for the typed clients of both chains: proposing, voting, and what is in force.

    bank = Voter("bank", load_signing_key(path))
    proposal_id, outcome = await books.propose_change(
        bank, "parameter", "deadline_min_ms", value=5_000, deadline_unix_ms=deadline)
    await books.vote_on_change(core, proposal_id, approve=True)
    found = await books.version_in_force("parameter", "deadline_min_ms")

Operations carry the signatures of members and have no sender: the client needs no author.
"""

from __future__ import annotations

from typing import NamedTuple

from common.crypto.digest import DIGEST_BYTES
from common.governance.signing import Voter, signed_proposal, signed_vote
from common.governance.types import (
    BALLOT,
    PROPOSAL,
    PROPOSAL_VERSION,
    Ballot,
    Proposal,
    proposal_id_of,
)
from common.ledger.versions import LATEST, VERSION, Version, version_key
from common.rpc.client import Found
from common.rpc.typed import CALL_SECONDS, PAGE_ROWS, Row, TypedClient
from common.rpc.verifier import Outcome
from common.v1 import governance_service_pb2 as pb
from common.v1.governance_pb2 import CloseProposal
from common.v1.governance_service_pb2_grpc import GovernanceServiceStub

__all__ = ["CouncilClient", "FoundVersion"]


class FoundVersion(NamedTuple):
    """The version in force in the block after `height`, proven. None is that of the genesis."""

    version: Version | None
    height: int


class CouncilClient(TypedClient):
    """What a typed client can do with the votes of its chain."""

    async def propose_change(
        self,
        voter: Voter,
        kind: str,
        name: str,
        *,
        deadline_unix_ms: int,
        value: int = 0,
        content: bytes = b"",
        activation_height: int = 0,
        ground: str = "",
    ) -> tuple[bytes, Outcome]:
        """By a member of a node: put a change to the vote. Returns the proposal's id too."""
        proposal = Proposal(
            PROPOSAL_VERSION,
            kind,
            name,
            value,
            content,
            activation_height,
            deadline_unix_ms,
            voter.member,
            ground,
            self._ports.random_bytes(DIGEST_BYTES),
        )
        chain_id = self.ledger.chain_id
        operation = signed_proposal(chain_id, proposal, voter)
        outcome = await self.act_unsigned(propose_change=operation)
        return proposal_id_of(chain_id, proposal), outcome

    async def vote_on_change(self, voter: Voter, proposal_id: bytes, *, approve: bool) -> Outcome:
        """By a member of the set at proposal time: its one vote."""
        operation = signed_vote(proposal_id, voter, approve=approve)
        return await self.act_unsigned(vote_on_change=operation)

    async def close_proposal(self, proposal_id: bytes) -> Outcome:
        """By anybody: record that a proposal was not decided in time."""
        return await self.act_unsigned(close_proposal=CloseProposal(proposal_id=proposal_id))

    async def proposal(self, proposal_id: bytes) -> Found[Proposal]:
        """What was put to the vote. Raises `Refused(NOT_FOUND)`."""
        what = f"proposal {proposal_id.hex()}"
        return await self.get(PROPOSAL, PROPOSAL.key(proposal_id.hex()), what)

    async def ballot(self, proposal_id: bytes) -> Found[Ballot]:
        """The vote on a proposal. Raises `Refused(NOT_FOUND)`."""
        what = f"proposal {proposal_id.hex()}"
        return await self.get(BALLOT, BALLOT.key(proposal_id.hex()), what)

    async def ballots(self) -> list[Row[Ballot]]:
        """All votes, in order of the proposals' ids."""
        return await self.rows(
            BALLOT,
            lambda node, token: GovernanceServiceStub(node.channel).ListBallots(
                pb.ListBallotsRequest(page_size=PAGE_ROWS, page_token=token), timeout=CALL_SECONDS
            ),
        )

    async def versions(self, kind: str) -> list[Row[Version]]:
        """All versions of a kind but the genesis's, by name and height of activation."""
        return await self.rows(
            VERSION,
            lambda node, token: GovernanceServiceStub(node.channel).ListVersions(
                pb.ListVersionsRequest(kind=kind, page_size=PAGE_ROWS, page_token=token),
                timeout=CALL_SECONDS,
            ),
            kind,
            "",
        )

    async def version_in_force(self, kind: str, name: str) -> FoundVersion:
        """What the next block is judged by, as far as the newest final one says."""
        found = await self.ledger.get(LATEST, LATEST.key(kind, name))
        height = found.block.height
        begins = found.value.activation_height if found.value else 0
        while begins:
            key = version_key(kind, name, begins)
            row = (await self.get(VERSION, key, f"version of {kind}/{name} from {begins}")).value
            assert row is not None, "a found version has a value"
            if begins <= height + 1:
                return FoundVersion(row, height)
            begins = row.previous_height
        return FoundVersion(None, height)
