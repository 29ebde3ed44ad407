"""Messages from the business chain: grades and policies. No user can write either here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assetchain.contracts.grades.keys import GRADE, IN_FORCE, POLICY
from assetchain.contracts.grades.types import Grade, Policy
from assetchain.reasons import AssetReason
from common.ledger.chain import Context, MessageRule, Rule
from common.ledger.grades import check_grade, check_permitted, check_policy

__all__ = ["MESSAGES", "OPERATIONS", "permit"]


def check_grade_message(_: Context, grade: Grade) -> None:
    """A grade is taken as certified, once its own fields hold together."""
    check_grade(grade)


def apply_grade_message(context: Context, grade: Grade) -> None:
    """From the next transaction on the party is judged by it."""
    context.state.put(GRADE, GRADE.key(grade.party_id), grade)


def check_policy_message(_: Context, policy: Policy) -> None:
    """A policy is taken as certified, once its own fields hold together."""
    check_policy(policy)


def apply_policy_message(context: Context, policy: Policy) -> None:
    """From the next transaction on it is in force here too."""
    context.state.put(POLICY, IN_FORCE, policy)


def permit(context: Context, party_id: str, kind: str) -> None:
    """The judgement of every signed operation and every consent. Raises GRADE_TOO_LOW."""
    check_permitted(context.state, party_id, kind, context.time_unix_ms, AssetReason.GRADE_TOO_LOW)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {}

MESSAGES: Mapping[str, MessageRule[Any]] = {
    "grade": MessageRule(Grade, check_grade_message, apply_grade_message),
    "policy": MessageRule(Policy, check_policy_message, apply_policy_message),
}
