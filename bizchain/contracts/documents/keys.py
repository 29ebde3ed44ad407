"""Where documents are stored: `document/<owner>/<document id>`."""

from __future__ import annotations

from bizchain.contracts.documents.types import Document
from common.ledger.state import Commitment, Table

__all__ = ["DOCUMENT"]

DOCUMENT = Table(b"\x24", "document", Document, Commitment.TREE)
