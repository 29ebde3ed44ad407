"""The values of this contract, shared by both chains: `common.ledger.grades`."""

from __future__ import annotations

from common.ledger.grades import Grade, Policy

__all__ = ["Grade", "Policy"]
