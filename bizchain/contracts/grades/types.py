"""The values of this contract, shared by both chains: `common.ledger.grades`."""

from __future__ import annotations

from common.encoding import Canonical
from common.ledger.grades import GRADES, UNRATED, Grade, Policy, PolicyInForce, PolicyRow

__all__ = ["GRADES", "UNRATED", "Grade", "GradeWarning", "Policy", "PolicyInForce", "PolicyRow"]


class GradeWarning(Canonical, frozen=True):
    """Event `warning`: a party's grade fell below the threshold of the policy in force."""

    party_id: str
    before: str
    after: str
    warning_below: str
