"""What must always hold of grades and of the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assetchain.contracts.grades.keys import GRADE
from common.errors import Refused
from common.ledger.chain import Invariant, Violation
from common.ledger.grades import check_grade, policies_can_be_judged_by
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]


def grades_are_well_formed(state: Reader) -> Sequence[Violation]:
    """B12: every grade is one that could have been sent, under its own key."""
    broken: list[Violation] = []
    for key, grade in state.scan(GRADE):
        try:
            check_grade(grade)
        except Refused as refused:
            broken.append(Violation("B12", f"grade of {grade.party_id}: {refused.message}"))
        if key != GRADE.key(grade.party_id):
            broken.append(Violation("B12", f"the grade of {grade.party_id} is under another id"))
    return broken


INVARIANTS: Mapping[str, Invariant] = {
    "grades are well-formed": grades_are_well_formed,
    "policies can be judged by": policies_can_be_judged_by,
}
