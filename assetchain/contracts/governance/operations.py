"""What the members of the nodes of the asset chain vote on, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assetchain.reasons import AssetReason
from common.governance.messages import enactment_rule
from common.governance.operations import governance_rules
from common.governance.subjects import Governed, Range, Reasons, is_shared
from common.ledger.chain import MessageRule, Rule

__all__ = ["GOVERNED", "MESSAGES", "OPERATIONS"]

GOVERNED = Governed(
    reasons=Reasons(
        AssetReason.NOT_A_MEMBER,
        AssetReason.NOT_GOVERNED,
        AssetReason.OUT_OF_RANGE,
        AssetReason.ALREADY_VOTED,
        AssetReason.PROPOSAL_DECIDED,
        AssetReason.PROPOSAL_EXPIRED,
        AssetReason.PROPOSAL_NOT_EXPIRED,
        AssetReason.TOO_MANY_PROPOSALS,
    ),
    parameters={"freeze_lag_max_ms": Range(15_000, 600_000)},
)
"""An idle chain makes a block every 10 s: less than 15 s of lag would refuse what is in order."""

OPERATIONS: Mapping[str, Rule[Any, Any]] = governance_rules(GOVERNED)

MESSAGES: Mapping[str, MessageRule[Any]] = {"parameter": enactment_rule(is_shared)}
