"""What a policy may say here, and the judgement by grade. The policy itself is voted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bizchain.contracts.authority.operations import OPERATIONS as AUTHORITY_OPERATIONS
from bizchain.contracts.logistics.types import CUSTODY_ROLES
from bizchain.contracts.parties.operations import OPERATIONS as PARTY_OPERATIONS
from bizchain.reasons import BusinessReason
from common.errors import CommonReason, Refused
from common.ledger.chain import Context, Rule
from common.ledger.grades import check_permitted, check_policy

__all__ = ["NEVER_GRADED", "OPERATIONS", "check_policy_table", "permit"]


def check_policy_table(name: str, content: bytes) -> None:
    """Refuse a content that is no policy, or that would leave the platform ungovernable."""
    policy = check_policy(name, content)
    named = {kind for row in policy.rows for kind in row.kinds}
    if not NEVER_GRADED.isdisjoint(named):
        raise Refused(
            CommonReason.INVALID_ARGUMENT,
            f"{', '.join(sorted(NEVER_GRADED & named))} is not subject to a grade",
        )


def permit(context: Context, party_id: str, kind: str) -> None:
    """The judgement of every signed operation and every consent. Raises GRADE_TOO_LOW.

    An administrator who keeps no goods posts only what it counts for a warehouse that is gone: that
    is of the office, as its answer is, and no business of its own.
    """
    if kind == "post_event" and context.roles.isdisjoint(CUSTODY_ROLES):
        return
    check_permitted(context, party_id, kind, BusinessReason.GRADE_TOO_LOW)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {}

OFFICE_ABOUT_GOODS = (
    "counter_report",
    "approve_counter_report",
    "reject_counter_report",
    "confirm_loss",
    "approve_loss_withdrawal",
    "reject_loss_withdrawal",
    "approve_exit",
    "reject_exit",
    "propose_application",
    "approve_application",
    "reject_application",
)
RETREATS = (
    "cancel_listing",
    "close_listing",
    "withdraw_application",
    "withdraw_exit",
    "withdraw_loss",
    "decline_handover",
    "decline_delivery",
)
NEVER_GRADED = frozenset(
    {
        "claim_transfer",
        *PARTY_OPERATIONS,
        *AUTHORITY_OPERATIONS,
        *OFFICE_ABOUT_GOODS,
        *RETREATS,
    }
)
"""What no policy may name, of either chain: how the platform is governed, what a party only
receives, and how it takes back what it offered or asked for, or declines what it is offered."""
