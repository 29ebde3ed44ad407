"""Where documents are stored.

document          document/<owner>/<document id>
reading key       reading_key/<party>/<user>
sealed document   sealed_document/<owner>/<document id>
sealed key        sealed_key/<owner>/<document id>/<reader's party>/<reader's user>
invoice name      invoice_name/<seller>/<hash of the invoice, 32 bytes>
"""

from __future__ import annotations

from bizchain.contracts.documents.types import (
    Document,
    InvoiceName,
    ReadingKey,
    SealedKey,
    SealedRecord,
)
from common.ledger.state import Commitment, Table

__all__ = ["DOCUMENT", "INVOICE_NAME", "READING_KEY", "SEALED_DOCUMENT", "SEALED_KEY"]

DOCUMENT = Table(b"\x24", "document", Document, Commitment.TREE)
READING_KEY = Table(b"\x48", "reading_key", ReadingKey, Commitment.TREE)
SEALED_DOCUMENT = Table(b"\x49", "sealed_document", SealedRecord, Commitment.TREE, cached=False)
SEALED_KEY = Table(b"\x4a", "sealed_key", SealedKey, Commitment.TREE, cached=False)
INVOICE_NAME = Table(b"\x4b", "invoice_name", InvoiceName, Commitment.TREE)
