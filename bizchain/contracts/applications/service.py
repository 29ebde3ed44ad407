"""Reads of applications over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.applications.keys import APPLICATION
from bizchain.contracts.applications.types import AssetApplication
from bizchain.v1 import application_service_pb2 as pb
from bizchain.v1.application_service_pb2_grpc import (
    ApplicationServiceServicer,
    add_ApplicationServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class ApplicationService(ApplicationServiceServicer):
    """What receipts are to become lots."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetApplication(  # noqa: N802
        self, request: pb.GetApplicationRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetApplicationResponse:
        """The newest application of a receipt, with proof of inclusion."""
        found = self._reads.require(
            APPLICATION, APPLICATION.key(request.receipt_id), request.min_height
        )
        return pb.GetApplicationResponse(
            application=_application(found.value), evidence=found.evidence
        )


def _application(application: AssetApplication) -> pb.Application:
    return pb.Application(
        receipt_id=application.receipt_id,
        number=application.number,
        applicant=application.applicant,
        warehouse=application.warehouse,
        state=application.state,
        applied_unix_ms=application.applied_unix_ms,
        until_unix_ms=application.until_unix_ms,
        valuation_hash=application.valuation_hash,
        maker=application.maker,
        checker=application.checker,
        ground=application.ground,
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_ApplicationServiceServicer_to_server(ApplicationService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["ApplicationService"].full_name, _register)
