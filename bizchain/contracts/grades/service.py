"""Reads of grades over gRPC, each with its evidence."""

from __future__ import annotations

import grpc

from bizchain.contracts.grades.keys import GRADE
from bizchain.contracts.grades.types import Grade
from bizchain.v1 import grade_service_pb2 as pb
from bizchain.v1.grade_service_pb2_grpc import (
    GradeServiceServicer,
    add_GradeServiceServicer_to_server,
)
from common.rpc.reads import LedgerReads, Service

__all__ = ["SERVICE"]


class GradeService(GradeServiceServicer):
    """Credit grades."""

    def __init__(self, reads: LedgerReads) -> None:
        self._reads = reads

    async def GetGrade(  # noqa: N802
        self, request: pb.GetGradeRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.GetGradeResponse:
        """The grade of a party, with proof of inclusion."""
        key = GRADE.key(request.party_id)
        found = self._reads.require(GRADE, key, request.min_height)
        return pb.GetGradeResponse(grade=_grade(found.value), evidence=found.evidence)

    async def ListGrades(  # noqa: N802
        self, request: pb.ListGradesRequest, _: grpc.aio.ServicerContext[object, object]
    ) -> pb.ListGradesResponse:
        """A page of grades, all at one final height."""
        page = self._reads.page(GRADE, request.page_size, request.page_token)
        return pb.ListGradesResponse(
            grades=[_grade(value) for _, value in page.rows],
            entries=page.entries,
            block=page.block,
            next_page_token=page.next_page_token,
        )


def _grade(grade: Grade) -> pb.Grade:
    return pb.Grade(
        party_id=grade.party_id,
        grade=grade.grade,
        until_unix_ms=grade.until_unix_ms,
        change_id=grade.change_id,
    )


def _register(server: grpc.aio.Server, reads: LedgerReads) -> None:
    add_GradeServiceServicer_to_server(GradeService(reads), server)


SERVICE = Service(pb.DESCRIPTOR.services_by_name["GradeService"].full_name, _register)
