"""Where grades and the policy are stored: `grade/<party id>` and `policy/in-force`."""

from __future__ import annotations

from common.ledger.grades import GRADE, IN_FORCE, POLICY

__all__ = ["GRADE", "IN_FORCE", "POLICY"]
