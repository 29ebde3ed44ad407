"""The values of this contract, shared by both chains: `common.ledger.identity` and `holds`."""

from __future__ import annotations

from common.ledger.holds import Hold, HoldNotice, Holds
from common.ledger.identity import Party, PartyStatus, RoleGrant, User

__all__ = ["Hold", "HoldNotice", "Holds", "Party", "PartyStatus", "RoleGrant", "User"]
