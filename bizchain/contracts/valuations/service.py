"""Reads of valuations over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.valuations.keys import VALUATION
from bizchain.contracts.valuations.types import Valuation, valuation_hash
from bizchain.v1 import valuation_service_pb2 as pb
from bizchain.v1.valuation_service_pb2_grpc import (
    ValuationServiceServicer,
    add_ValuationServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class ValuationService(ValuationServiceServicer):
    """What goods are worth."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetValuation(  # noqa: N802
        self, request: pb.GetValuationRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetValuationResponse:
        """The newest valuation of a receipt, with proof of inclusion."""
        found = self._reads.require(
            VALUATION, VALUATION.key(request.receipt_id), request.min_height
        )
        return pb.GetValuationResponse(valuation=_valuation(found.value), evidence=found.evidence)


def _valuation(valuation: Valuation) -> pb.Valuation:
    return pb.Valuation(
        receipt_id=valuation.receipt_id,
        number=valuation.number,
        appraiser=valuation.appraiser,
        amount=valuation.amount,
        currency=valuation.currency,
        method=valuation.method,
        source=valuation.source,
        valued_unix_ms=valuation.valued_unix_ms,
        valid_until_unix_ms=valuation.valid_until_unix_ms,
        evidence_hash=valuation.evidence_hash,
        valuation_hash=valuation_hash(valuation),
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_ValuationServiceServicer_to_server(ValuationService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["ValuationService"].full_name, _register)
