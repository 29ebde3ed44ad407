"""Messages from the business chain: grades. No user can write one here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assetchain.contracts.grades.keys import GRADE
from assetchain.contracts.grades.types import Grade
from assetchain.reasons import AssetReason
from common.ledger.chain import Context, MessageRule, Rule
from common.ledger.grades import check_grade, check_permitted

__all__ = ["MESSAGES", "OPERATIONS", "permit"]


def check_grade_message(_: Context, grade: Grade) -> None:
    """A grade is taken as certified, once its own fields hold together."""
    check_grade(grade)


def apply_grade_message(context: Context, grade: Grade) -> None:
    """From the next transaction on the party is judged by it."""
    context.state.put(GRADE, GRADE.key(grade.party_id), grade)


def permit(context: Context, party_id: str, kind: str) -> None:
    """The judgement of every signed operation and every consent. Raises GRADE_TOO_LOW."""
    check_permitted(context, party_id, kind, AssetReason.GRADE_TOO_LOW)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {}

MESSAGES: Mapping[str, MessageRule[Any]] = {
    "grade": MessageRule(Grade, check_grade_message, apply_grade_message),
}
