"""What must always hold of grades and of the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from assetchain.contracts.grades.keys import GRADE, IN_FORCE, POLICY
from common.errors import Refused
from common.ledger.chain import Invariant, Violation
from common.ledger.grades import check_grade, check_policy
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]


def grades_are_well_formed(state: Reader) -> Sequence[Violation]:
    """B12: every grade and the policy are ones that could have been sent, under their own keys."""
    broken: list[Violation] = []
    for key, grade in state.scan(GRADE):
        try:
            check_grade(grade)
        except Refused as refused:
            broken.append(Violation("B12", f"grade of {grade.party_id}: {refused.message}"))
        if key != GRADE.key(grade.party_id):
            broken.append(Violation("B12", f"the grade of {grade.party_id} is under another id"))
    for key, policy in state.scan(POLICY):
        try:
            check_policy(policy)
        except Refused as refused:
            broken.append(Violation("B12", f"policy {policy.version}: {refused.message}"))
        if key != IN_FORCE or not policy.checker:
            broken.append(Violation("B12", f"policy {policy.version} is not in force"))
    return broken


INVARIANTS: Mapping[str, Invariant] = {"grades are well-formed": grades_are_well_formed}
