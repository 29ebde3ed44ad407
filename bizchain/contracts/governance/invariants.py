"""What must always hold of votes on the business books."""

from __future__ import annotations

from collections.abc import Mapping

from common.governance.invariants import governance_invariants
from common.ledger.chain import Invariant

__all__ = ["INVARIANTS"]

INVARIANTS: Mapping[str, Invariant] = governance_invariants(lambda _kind, _name: False)
