"""Where grades and policies are stored.

grade/<party id>
policy/in-force            policy/version/<ten digits>
"""

from __future__ import annotations

from common.ledger.grades import GRADE, IN_FORCE, POLICY, version_key

__all__ = ["GRADE", "IN_FORCE", "POLICY", "version_key"]
