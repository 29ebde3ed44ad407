"""What must always hold of grades and policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bizchain.contracts.authority.queries import change_of
from bizchain.contracts.authority.types import ChangeState
from bizchain.contracts.grades.keys import GRADE
from common.errors import Refused
from common.ledger.chain import Invariant, Violation
from common.ledger.grades import check_grade, policies_can_be_judged_by
from common.ledger.identity import party_of
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]


def grades_are_of_parties(state: Reader) -> Sequence[Violation]:
    """B12: every grade is one there is, of a party there is."""
    broken: list[Violation] = []
    for key, grade in state.scan(GRADE):
        try:
            check_grade(grade)
        except Refused as refused:
            broken.append(Violation("B12", f"grade of {grade.party_id}: {refused.message}"))
        if key != GRADE.key(grade.party_id) or party_of(state, grade.party_id) is None:
            broken.append(Violation("B12", f"the grade of {grade.party_id} is of no such party"))
    return broken


def grades_were_set_by_two(state: Reader) -> Sequence[Violation]:
    """B12: every grade is what the change it names set, which two people signed."""
    broken: list[Violation] = []
    for _, grade in state.scan(GRADE):
        change = change_of(state, grade.change_id)
        if (
            change is None
            or change.state != ChangeState.APPROVED
            or (change.kind, change.party_id) != ("set_grade", grade.party_id)
            or (change.details.grade, change.details.until_unix_ms)
            != (grade.grade, grade.until_unix_ms)
        ):
            message = f"the grade of {grade.party_id} is {grade.grade}, and nobody set that"
            broken.append(Violation("B12", message))
    return broken


INVARIANTS: Mapping[str, Invariant] = {
    "grades are of parties": grades_are_of_parties,
    "grades were set by two": grades_were_set_by_two,
    "policies can be judged by": policies_can_be_judged_by,
}
