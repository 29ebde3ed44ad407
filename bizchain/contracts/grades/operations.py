"""Versions of the policy, by a maker and another checker; and the judgement by grade."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from bizchain.contracts.authority.operations import OPERATIONS as AUTHORITY_OPERATIONS
from bizchain.contracts.authority.queries import signer_of
from bizchain.contracts.grades.keys import IN_FORCE, POLICY, version_key
from bizchain.contracts.grades.types import Policy, PolicyRow
from bizchain.contracts.parties.operations import OPERATIONS as PARTY_OPERATIONS
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.errors import CommonReason, Refused
from common.ledger.chain import Context, Rule
from common.ledger.grades import check_permitted, check_policy, policy_in_force

__all__ = ["NEVER_GRADED", "OPERATIONS", "permit"]


def check_propose_policy(context: Context, operation: pb.ProposePolicy) -> Policy:
    """A new version, above that in force, which leaves the platform governable."""
    context.require_role("administrator")
    policy = Policy(
        operation.version,
        tuple(PolicyRow(row.grade, tuple(row.kinds)) for row in operation.rows),
        operation.warning_below,
        operation.recovery_waiting_ms,
        signer_of(context),
        "",
    )
    check_policy(policy)
    named = {kind for row in policy.rows for kind in row.kinds}
    if not NEVER_GRADED.isdisjoint(named):
        raise Refused(
            CommonReason.INVALID_ARGUMENT,
            f"{', '.join(sorted(NEVER_GRADED & named))} is not subject to a grade",
        )
    _check_newer(context, policy.version)
    if context.state.get(POLICY, version_key(policy.version)) is not None:
        raise Refused(BusinessReason.POLICY_EXISTS, f"there is a version {policy.version}")
    return policy


def apply_propose_policy(context: Context, _: pb.ProposePolicy, policy: Policy) -> None:
    """Keep the proposed version."""
    context.state.put(POLICY, version_key(policy.version), policy)


def check_approve_policy(context: Context, operation: pb.ApprovePolicy) -> Policy:
    """A proposed version, approved by another user than its maker."""
    context.require_role("administrator")
    _check_newer(context, operation.version)
    policy = context.state.get(POLICY, version_key(operation.version))
    if policy is None:
        raise Refused(CommonReason.NOT_FOUND, f"there is no version {operation.version}")
    checker = signer_of(context)
    if checker == policy.maker:
        raise Refused(
            BusinessReason.MAKER_IS_CHECKER, "whoever proposed a policy may not approve it"
        )
    return replace(policy, checker=checker)


def apply_approve_policy(context: Context, _: pb.ApprovePolicy, policy: Policy) -> None:
    """From the next transaction on it is in force here; the asset chain is told."""
    context.state.put(POLICY, version_key(policy.version), policy)
    context.state.put(POLICY, IN_FORCE, policy)
    context.emit("policy", str(policy.version), policy)
    context.send("policy", policy)


def _check_newer(context: Context, version: int) -> None:
    policy = policy_in_force(context.state)
    if policy is not None and version <= policy.version:
        raise Refused(BusinessReason.POLICY_OUTDATED, f"version {policy.version} is in force")


def permit(context: Context, party_id: str, kind: str) -> None:
    """The judgement of every signed operation and every consent. Raises GRADE_TOO_LOW."""
    check_permitted(
        context.state, party_id, kind, context.time_unix_ms, BusinessReason.GRADE_TOO_LOW
    )


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "propose_policy": Rule(pb.ProposePolicy, check_propose_policy, apply_propose_policy),
    "approve_policy": Rule(pb.ApprovePolicy, check_approve_policy, apply_approve_policy),
}

OFFICE_ABOUT_GOODS = (
    "approve_counter_report",
    "reject_counter_report",
    "confirm_loss",
    "approve_exit",
    "reject_exit",
    "propose_application",
    "approve_application",
    "reject_application",
)
NEVER_GRADED = frozenset(
    {
        "claim_transfer",
        *PARTY_OPERATIONS,
        *AUTHORITY_OPERATIONS,
        *OFFICE_ABOUT_GOODS,
        *OPERATIONS,
    }
)
"""What no policy may name: how the platform is governed, and what a party only receives."""
