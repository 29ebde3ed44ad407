"""Reads of votes over gRPC: the service is the same on both chains."""

from __future__ import annotations

from common.rpc.governance_service import GOVERNANCE_SERVICE

__all__ = ["SERVICE"]

SERVICE = GOVERNANCE_SERVICE
