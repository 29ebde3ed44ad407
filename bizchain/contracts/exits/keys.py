"""Requests: `<receipt id>/<holder>`. How the fee of a leg was judged: under the transfer's id."""

from __future__ import annotations

from bizchain.contracts.exits.types import ExitRequest, ExitTerms
from common.ledger.state import Commitment, Table

__all__ = ["EXIT_REQUEST", "EXIT_TERMS"]

EXIT_REQUEST = Table(b"\x72", "exit_request", ExitRequest, Commitment.TREE)
EXIT_TERMS = Table(b"\x73", "exit_terms", ExitTerms, Commitment.DIGEST, cached=False)
