"""Reads of grades and of the policy."""

from __future__ import annotations

from common.ledger.grades import grade_of, is_at_least, policy_in_force

__all__ = ["grade_of", "is_at_least", "policy_in_force"]
