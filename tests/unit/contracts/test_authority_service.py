"""What a node answers about changes, grants to read and grades, each with its proof."""

from __future__ import annotations

from typing import Any

import pytest

from bizchain.contracts.authority.keys import CHANGE, STANDING
from bizchain.contracts.authority.service import AuthorityService
from bizchain.contracts.grades.keys import GRADE
from bizchain.contracts.grades.service import GradeService
from bizchain.v1 import authority_service_pb2 as pb
from bizchain.v1 import grade_service_pb2 as grade_pb
from bizchain.v1 import operation_pb2 as operations
from common.errors import CommonReason, Refused
from common.ledger.compose import Author
from common.rpc.typed import rows_in
from tests.kit.two_chains import FOREVER_UNIX_MS, LiveChain, TwoChains, at_once, author_of

NOBODY: Any = None
"""The context of a call, which no answer asks for."""

MAKER, CHECKER = author_of("platform"), author_of("platform", "second")


def change(books: LiveChain, change_id: str, party: str, kind: str, **details: Any) -> None:
    """A change in force, by maker and checker."""
    operation = operations.ProposePartyChange(
        change_id=change_id, party_id=party, kind=kind, until_unix_ms=FOREVER_UNIX_MS, **details
    )
    run(books, MAKER, "propose_party_change", operation)
    run(books, CHECKER, "approve_party_change", operations.ApprovePartyChange(change_id=change_id))


def run(books: LiveChain, author: Author, kind: str, operation: Any) -> None:
    composed = books.signed(kind, operation, author)
    assert books.run(books.time_unix_ms + 100, composed) == [None]


@pytest.fixture
def books() -> LiveChain:
    made = TwoChains().books
    change(made, "grade-buyer", "buyer", "set_grade", grade="A")
    change(made, "read-buyer", "buyer", "grant_reading", reader="regulator")
    change(made, "read-seller", "seller", "grant_reading", reader="regulator")
    return made


def test_changes_are_listed_and_shown_with_who_decided_them(books: LiveChain) -> None:
    service = AuthorityService(books.reads)
    page = at_once(service.ListChanges(pb.ListChangesRequest(), NOBODY))
    assert [one.change_id for one in page.changes] == ["grade-buyer", "read-buyer", "read-seller"]
    assert len(rows_in(page, books.verifier(), CHANGE)) == 3
    request = pb.GetChangeRequest(change_id="grade-buyer")
    shown = at_once(service.GetChange(request, NOBODY)).change
    assert (shown.kind, shown.state) == ("set_grade", "APPROVED")
    assert (shown.maker, shown.checker) == ("platform/first", "platform/second")
    with pytest.raises(Refused) as refused:
        at_once(service.GetChange(pb.GetChangeRequest(change_id="none"), NOBODY))
    assert refused.value.reason is CommonReason.NOT_FOUND


@pytest.mark.parametrize(("reader", "expected"), [("", 2), ("regulator", 2), ("regula", 0)])
def test_grants_to_read_are_listed_and_nothing_else_that_stands(
    books: LiveChain, reader: str, expected: int
) -> None:
    request = pb.ListReadGrantsRequest(reader=reader)
    page = at_once(AuthorityService(books.reads).ListReadGrants(request, NOBODY))
    assert [one.party_id for one in page.grants] == ["buyer", "seller"][:expected]
    assert {one.reader for one in page.grants} <= {"regulator"}
    prefix = STANDING.key("reads", "")
    assert len(rows_in(page, books.verifier(), STANDING, prefix)) == expected


def test_grades_are_shown(books: LiveChain) -> None:
    service = GradeService(books.reads)
    request = grade_pb.GetGradeRequest(party_id="buyer")
    assert at_once(service.GetGrade(request, NOBODY)).grade.grade == "A"
    page = at_once(service.ListGrades(grade_pb.ListGradesRequest(), NOBODY))
    assert [one.party_id for one in page.grades] == ["buyer"]
    assert len(rows_in(page, books.verifier(), GRADE)) == 1
