"""The values of this contract, shared by both chains: `common.governance` and `versions`."""

from __future__ import annotations

from common.governance.types import TRANSITIONS, Action, Ballot, Proposal, ProposalState, Vote
from common.ledger.versions import Enactment, Latest, Version

__all__ = [
    "TRANSITIONS",
    "Action",
    "Ballot",
    "Enactment",
    "Latest",
    "Proposal",
    "ProposalState",
    "Version",
    "Vote",
]
