"""Reads of cases and losses over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.incidents.keys import CASE, LOSS, LOSS_WITHDRAWAL
from bizchain.contracts.incidents.types import Case, Loss, LossWithdrawal
from bizchain.v1 import incident_service_pb2 as pb
from bizchain.v1.incident_service_pb2_grpc import (
    IncidentServiceServicer,
    add_IncidentServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class IncidentService(IncidentServiceServicer):
    """Cases that rules opened on goods, and losses."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def ListIncidents(  # noqa: N802
        self, request: pb.ListIncidentsRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListIncidentsResponse:
        """A page of cases, all at one final height."""
        page = self._reads.page(
            CASE,
            request.page_size,
            request.page_token,
            *([request.receipt_id, ""] if request.receipt_id else []),
        )
        return pb.ListIncidentsResponse(
            incidents=[_incident(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )

    async def GetLoss(  # noqa: N802
        self, request: pb.GetLossRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetLossResponse:
        """The newest loss of a receipt's goods, with proof of inclusion."""
        found = self._reads.require(LOSS, LOSS.key(request.receipt_id), request.min_height)
        return pb.GetLossResponse(loss=_loss(found.value), evidence=found.evidence)

    async def GetLossWithdrawal(  # noqa: N802
        self, request: pb.GetLossWithdrawalRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetLossWithdrawalResponse:
        """That the newest loss is taken back, with proof of inclusion."""
        key = LOSS_WITHDRAWAL.key(request.receipt_id)
        found = self._reads.require(LOSS_WITHDRAWAL, key, request.min_height)
        return pb.GetLossWithdrawalResponse(
            withdrawal=_withdrawal(found.value), evidence=found.evidence
        )


def _incident(case: Case) -> pb.Incident:
    return pb.Incident(
        receipt_id=case.receipt_id,
        case_id=case.case_id,
        rule=case.rule,
        state=case.state,
        event_number=case.event_number,
        evidence_hash=case.evidence_hash,
        fired_unix_ms=case.fired_unix_ms,
        answered_by=case.answered_by,
        answer_hash=case.answer_hash,
        approved_by=[approval.party for approval in case.approvals],
        lifted_unix_ms=case.lifted_unix_ms,
    )


def _loss(loss: Loss) -> pb.Loss:
    return pb.Loss(
        receipt_id=loss.receipt_id,
        state=loss.state,
        quantity=loss.quantity,
        reported_by=loss.reported_by,
        evidence_hash=loss.evidence_hash,
        confirmed=loss.confirmed,
        impaired=loss.impaired,
    )


def _withdrawal(withdrawal: LossWithdrawal) -> pb.LossWithdrawal:
    return pb.LossWithdrawal(
        receipt_id=withdrawal.receipt_id,
        withdrawn_by=withdrawal.withdrawn_by,
        evidence_hash=withdrawal.evidence_hash,
        approved_by=[approval.party for approval in withdrawal.approvals],
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_IncidentServiceServicer_to_server(IncidentService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["IncidentService"].full_name, _register)
