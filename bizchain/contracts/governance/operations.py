"""What the members of the nodes of the business books vote on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bizchain.contracts.cash.queries import check_fee_schedule
from bizchain.contracts.cash.types import FEE_SCHEDULE
from bizchain.contracts.grades.operations import check_policy_table
from bizchain.contracts.logistics.types import WATCH_RANGES
from bizchain.reasons import BusinessReason
from common.governance.operations import governance_rules
from common.governance.subjects import (
    PUBLICATIONS,
    SHARED_PARAMETERS,
    Governed,
    Reasons,
    is_shared,
)
from common.ledger.chain import Rule
from common.ledger.grades import POLICY_TABLE

__all__ = ["GOVERNED", "OPERATIONS"]

GOVERNED = Governed(
    reasons=Reasons(
        BusinessReason.NOT_A_MEMBER,
        BusinessReason.NOT_GOVERNED,
        BusinessReason.OUT_OF_RANGE,
        BusinessReason.ALREADY_VOTED,
        BusinessReason.PROPOSAL_DECIDED,
        BusinessReason.PROPOSAL_EXPIRED,
        BusinessReason.PROPOSAL_NOT_EXPIRED,
        BusinessReason.TOO_MANY_PROPOSALS,
    ),
    parameters={**SHARED_PARAMETERS, **WATCH_RANGES},
    contents={
        **PUBLICATIONS,
        FEE_SCHEDULE: check_fee_schedule,
        POLICY_TABLE: check_policy_table,
    },
    is_carried=is_shared,
)

OPERATIONS: Mapping[str, Rule[Any, Any]] = governance_rules(GOVERNED)
