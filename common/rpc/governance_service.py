"""Reads of votes and versions over gRPC, each with its evidence. The same on both chains."""

from __future__ import annotations

import grpc

from common.encoding import decode_trusted
from common.governance.types import BALLOT, Ballot, standing
from common.ledger.block import Header
from common.ledger.versions import VERSION, Version
from common.rpc.reads import LedgerReads, Service
from common.v1 import governance_service_pb2 as pb
from common.v1.governance_service_pb2_grpc import (
    GovernanceServiceServicer,
    add_GovernanceServiceServicer_to_server,
)
from common.v1.ledger_service_pb2 import CertifiedHeader

__all__ = ["GOVERNANCE_SERVICE"]


class GovernanceService(GovernanceServiceServicer):
    """Votes of the members, and what they led to."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetBallot(  # noqa: N802
        self, request: pb.GetBallotRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetBallotResponse:
        """The vote on one proposal, with proof of inclusion."""
        key = BALLOT.key(request.proposal_id.hex())
        found = self._reads.require(BALLOT, key, request.min_height)
        height = _height(found.evidence.block)
        return pb.GetBallotResponse(ballot=_ballot(found.value, height), evidence=found.evidence)

    async def ListBallots(  # noqa: N802
        self, request: pb.ListBallotsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListBallotsResponse:
        """A page of votes, all at one final height."""
        page = self._reads.page(BALLOT, request.page_size, request.page_token)
        height = _height(page.block)
        return pb.ListBallotsResponse(
            ballots=[_ballot(value, height) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )

    async def ListVersions(  # noqa: N802
        self, request: pb.ListVersionsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListVersionsResponse:
        """A page of versions, all at one final height."""
        named = [request.name, b""] if request.name else [""]
        page = self._reads.page(
            VERSION,
            request.page_size,
            request.page_token,
            *([request.kind, *named] if request.kind else []),
        )
        return pb.ListVersionsResponse(
            versions=[_version(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )


def _height(block: CertifiedHeader) -> int:
    return decode_trusted(Header, block.header).height


def _ballot(ballot: Ballot, height: int) -> pb.Ballot:
    return pb.Ballot(
        proposal_id=ballot.proposal_id,
        kind=ballot.kind,
        name=ballot.name,
        proposer=ballot.proposer,
        state=standing(ballot, height),
        voters=len(ballot.voters),
        approvals=ballot.approvals,
        rejections=ballot.rejections,
        deadline_unix_ms=ballot.deadline_unix_ms,
        activation_height=ballot.activation_height,
    )


def _version(row: Version) -> pb.Version:
    return pb.Version(
        kind=row.kind,
        name=row.name,
        version=row.version,
        value=row.value,
        content_hash=row.content_hash,
        activation_height=row.activation_height,
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_GovernanceServiceServicer_to_server(GovernanceService(reads), server)


GOVERNANCE_SERVICE = Service(
    pb.DESCRIPTOR.services_by_name["GovernanceService"].full_name, _register
)
