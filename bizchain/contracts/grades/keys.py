"""Where grades are stored: `grade/<party id>`. The policy is a voted version, with the others."""

from __future__ import annotations

from common.ledger.grades import GRADE

__all__ = ["GRADE"]
