"""What must always hold of votes on the asset chain, and of what it was told."""

from __future__ import annotations

from collections.abc import Mapping

from common.governance.invariants import governance_invariants
from common.governance.subjects import is_shared
from common.ledger.chain import Invariant

__all__ = ["INVARIANTS"]

INVARIANTS: Mapping[str, Invariant] = governance_invariants(is_shared)
