"""Reads of parties over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.parties.keys import PARTY
from bizchain.contracts.parties.types import Party
from bizchain.v1 import party_service_pb2 as pb
from bizchain.v1.party_service_pb2_grpc import (
    PartyServiceServicer,
    add_PartyServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class PartyService(PartyServiceServicer):
    """Parties of the platform."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetParty(  # noqa: N802
        self, request: pb.GetPartyRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetPartyResponse:
        """One party, with proof of inclusion."""
        key = PARTY.key(request.party_id)
        found = self._reads.require(PARTY, key, request.min_height)
        return pb.GetPartyResponse(party=_view(found.value), evidence=found.evidence)

    async def ListParties(  # noqa: N802
        self, request: pb.ListPartiesRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListPartiesResponse:
        """A page of parties, all at one final height."""
        page = self._reads.page(PARTY, request.page_size, request.page_token)
        return pb.ListPartiesResponse(
            parties=[_view(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )


def _view(party: Party) -> pb.Party:
    return pb.Party(
        party_id=party.party_id,
        name=party.name,
        legal_entity_identifier=party.legal_entity_identifier,
        status=party.status,
        roles=[grant.role for grant in party.roles],
        user_ids=[user.user_id for user in party.users],
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_PartyServiceServicer_to_server(PartyService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["PartyService"].full_name, _register)
