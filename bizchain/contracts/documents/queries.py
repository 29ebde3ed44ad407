"""Reads of documents."""

from __future__ import annotations

from bizchain.contracts.documents.keys import DOCUMENT
from bizchain.contracts.documents.types import Document
from common.ledger.state import Reader

__all__ = ["document_of"]


def document_of(state: Reader, owner: str, document_id: str) -> Document | None:
    """The document a party recorded under this id, or None."""
    return state.get(DOCUMENT, DOCUMENT.key(owner, document_id))
