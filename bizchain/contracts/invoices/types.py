"""The values of the invoices contract."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from common.encoding import Canonical
from common.ledger.actors import Actors

__all__ = [
    "ACTORS",
    "DIFFERENCES_TOLD_MAX",
    "QUANTITY_TOLERANCE_BASIS_POINTS_MAX",
    "TRANSITIONS",
    "Billed",
    "Difference",
    "DifferenceKind",
    "DocumentName",
    "Invoice",
    "InvoiceState",
    "OrderUse",
    "ReceiptUse",
]

QUANTITY_TOLERANCE_BASIS_POINTS_MAX: Final = 1_000
"""A tenth. What differs by more is no longer the same delivery."""

DIFFERENCES_TOLD_MAX: Final = 32
"""Kept of a judgement; of more, the number."""


class InvoiceState(enum.StrEnum):
    """What an invoice awaits, or what became of it. RECORDED is a sealed document and no row."""

    RECORDED = "RECORDED"
    MATCHED = "MATCHED"
    DISPUTED = "DISPUTED"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"


TRANSITIONS: Mapping[tuple[InvoiceState, str], InvoiceState] = {
    (InvoiceState.RECORDED, "agree"): InvoiceState.MATCHED,
    (InvoiceState.RECORDED, "differ"): InvoiceState.DISPUTED,
    (InvoiceState.DISPUTED, "agree"): InvoiceState.MATCHED,
    (InvoiceState.DISPUTED, "differ"): InvoiceState.DISPUTED,
    (InvoiceState.MATCHED, "accept"): InvoiceState.ACCEPTED,
    (InvoiceState.MATCHED, "reject"): InvoiceState.REJECTED,
    (InvoiceState.DISPUTED, "reject"): InvoiceState.REJECTED,
}
"""(state, what is done) -> state. `match` agrees or differs; nothing else is possible."""

ACTORS: Actors = {
    "agree": (".buyer", "core"),
    "differ": (".buyer", "core"),
    "accept": (".buyer",),
    "reject": (".buyer",),
}
"""Who does it: the buyer whom the invoice names; a core enterprise may ask for any judgement."""


class DifferenceKind(enum.IntEnum):
    """What differs between invoice, order and receipt. Never renumbered."""

    SELLER = 1
    BUYER = 2
    CURRENCY = 3
    ORDER_NUMBER = 4
    ITEM_NOT_ORDERED = 5
    UNIT = 6
    QUANTITY_NOT_AS_RECEIVED = 7
    QUANTITY_ABOVE_ORDER = 8
    PRICE = 9
    LINE_AMOUNT = 10
    LINES_TOTAL = 11
    PAYABLE_ABOVE_ORDER = 12


class Difference(Canonical, frozen=True):
    """One difference: its number, the line or item it is about, what is billed, what was agreed."""

    number: int
    subject: str
    found: str
    expected: str


class DocumentName(Canonical, frozen=True):
    """A sealed document, by who recorded it and under which id."""

    owner: str
    document_id: str


class Billed(Canonical, frozen=True):
    """How much is billed of an item, named by the place of its first line in the order."""

    place: int
    quantity: int


class Invoice(Canonical, frozen=True):
    """An invoice that was judged. `billed` is what it bills of the order's items."""

    seller: str
    document_id: str
    buyer: str
    state: str
    number: str
    issue_date: str
    currency: str
    payable_minor: int
    order: DocumentName
    receipt: DocumentName
    quantity_tolerance_basis_points: int
    differences_count: int
    differences: tuple[Difference, ...]
    billed: tuple[Billed, ...]
    ground: str
    changed_unix_ms: int


class OrderUse(Canonical, frozen=True):
    """What the matched and accepted invoices of an order bill together, in order of `place`."""

    payable_minor: int
    billed: tuple[Billed, ...]


class ReceiptUse(Canonical, frozen=True):
    """The matched or accepted invoice that a receipt advice backs."""

    invoice: DocumentName
