"""The values of the receipts contract."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from common.encoding import Canonical

__all__ = ["TRANSITIONS", "Receipt", "ReceiptLeg", "ReceiptState"]


class ReceiptState(enum.StrEnum):
    """What a receipt awaits, or what became of it."""

    DRAFT = "DRAFT"
    ISSUED = "ISSUED"
    TOKENISED = "TOKENISED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


TRANSITIONS: Mapping[tuple[ReceiptState, str], ReceiptState] = {
    (ReceiptState.DRAFT, "issue"): ReceiptState.ISSUED,
    (ReceiptState.DRAFT, "reject"): ReceiptState.REJECTED,
    (ReceiptState.ISSUED, "cancel"): ReceiptState.CANCELLED,
    (ReceiptState.ISSUED, "tokenise"): ReceiptState.TOKENISED,
}
"""(state, what is done) -> state. Nothing else is possible."""


class Receipt(Canonical, frozen=True):
    """A warehouse receipt. `quantity` is in base units of `unit`.

    `transfer_id` is empty, or the transfer that reserves it (ISSUED) or tokenised it (TOKENISED).
    """

    receipt_id: str
    state: str
    owner: str
    warehouse: str
    goods_code: str
    quantity: int
    unit: str
    quality: str
    place: str
    document_commitments: tuple[bytes, ...]
    reported_unix_ms: int
    transfer_id: bytes


class ReceiptLeg(Canonical, frozen=True):
    """Flow X1 on the business books: the goods behind a receipt are immobilised."""

    receipt_id: str
    owner: str
