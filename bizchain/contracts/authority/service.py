"""Reads of changes and of grants to read over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.authority.keys import CHANGE, STANDING
from bizchain.contracts.authority.types import PartyChange, Standing
from bizchain.v1 import authority_service_pb2 as pb
from bizchain.v1.authority_service_pb2_grpc import (
    AuthorityServiceServicer,
    add_AuthorityServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class AuthorityService(AuthorityServiceServicer):
    """Changes of parties, and what stands by them."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetChange(  # noqa: N802
        self, request: pb.GetChangeRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetChangeResponse:
        """One change, with proof of inclusion."""
        key = CHANGE.key(request.change_id)
        found = self._reads.require(CHANGE, key, request.min_height)
        return pb.GetChangeResponse(change=_view(found.value), evidence=found.evidence)

    async def ListChanges(  # noqa: N802
        self, request: pb.ListChangesRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListChangesResponse:
        """A page of changes, all at one final height."""
        page = self._reads.page(CHANGE, request.page_size, request.page_token)
        return pb.ListChangesResponse(
            changes=[_view(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )

    async def ListReadGrants(  # noqa: N802
        self, request: pb.ListReadGrantsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListReadGrantsResponse:
        """A page of grants to read, all at one final height."""
        parts = ["reads", *([request.reader] if request.reader else []), ""]
        page = self._reads.page(STANDING, request.page_size, request.page_token, *parts)
        return pb.ListReadGrantsResponse(
            grants=[_grant(key, value) for key, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )


def _view(change: PartyChange) -> pb.Change:
    return pb.Change(
        change_id=change.change_id,
        party_id=change.party_id,
        kind=change.kind,
        state=change.state,
        applicant=change.applicant,
        maker=change.maker,
        checker=change.checker,
        ended_by=change.ended_by,
        since_unix_ms=change.since_unix_ms,
        due_unix_ms=change.due_unix_ms,
    )


def _grant(key: bytes, standing: Standing) -> pb.ReadGrant:
    _, reader, _ = key[1:].decode().split("/")
    return pb.ReadGrant(
        reader=reader,
        party_id=standing.party_id,
        until_unix_ms=standing.until_unix_ms,
        change_id=standing.change_id,
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_AuthorityServiceServicer_to_server(AuthorityService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["AuthorityService"].full_name, _register)
