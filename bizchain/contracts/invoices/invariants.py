"""What must always hold of invoices, and of what they use up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bizchain.contracts.documents.queries import invoice_hash, sealed_document_of
from bizchain.contracts.invoices.keys import INVOICE, ORDER_USE, RECEIPT_USE
from bizchain.contracts.invoices.queries import receipt_use_of
from bizchain.contracts.invoices.types import DocumentName, Invoice, InvoiceState
from common.ledger.chain import Invariant, Violation
from common.ledger.state import Reader

__all__ = ["INVARIANTS"]

_USING = (InvoiceState.MATCHED, InvoiceState.ACCEPTED)


def invoices_are_whole(state: Reader) -> Sequence[Violation]:
    """B14, B16: a judged invoice is the one its seller recorded; a match has no difference."""
    broken: list[Violation] = []
    for key, invoice in state.scan(INVOICE):
        record = sealed_document_of(state, invoice.seller, invoice.document_id)
        stands = InvoiceState(invoice.state)
        whole = (
            key == INVOICE.key(invoice.seller, invoice.document_id)
            and record is not None
            and record.kind == "Invoice"
            and stands is not InvoiceState.RECORDED
        )
        agrees = invoice.differences_count == 0
        if not whole or (stands in _USING and not agrees):
            broken.append(Violation("B14", f"invoice {invoice.document_id} of {invoice.seller}"))
        hashed = invoice_hash(
            invoice.seller,
            invoice.number,
            invoice.issue_date,
            invoice.payable_minor,
            invoice.currency,
        )
        if record is not None and record.invoice_hash != hashed and whole:
            message = f"{invoice.document_id} was not recorded as {invoice.number}"
            broken.append(Violation("B16", message))
        if stands is InvoiceState.DISPUTED and agrees:
            broken.append(Violation("B14", f"{invoice.document_id} is disputed over nothing"))
    return broken


def goods_are_billed_once(state: Reader) -> Sequence[Violation]:
    """B16: a receipt advice backs one invoice, and orders carry what their invoices bill."""
    broken: list[Violation] = []
    payable: Counter[bytes] = Counter()
    billed: Counter[tuple[bytes, int]] = Counter()
    backed = 0
    for _, invoice in state.scan(INVOICE):
        if InvoiceState(invoice.state) not in _USING:
            continue
        backed += 1
        name = DocumentName(invoice.seller, invoice.document_id)
        use = receipt_use_of(state, invoice.receipt)
        if use is None or use.invoice != name:
            broken.append(Violation("B16", f"no receipt backs invoice {name.document_id}"))
        _count(invoice, payable, billed)
    for place, order in state.scan(ORDER_USE):
        payable[place] -= order.payable_minor
        for one in order.billed:
            billed[place, one.place] -= one.quantity
    if sum(1 for _ in state.scan(RECEIPT_USE)) != backed:
        broken.append(Violation("B16", "a receipt advice backs an invoice that was not matched"))
    if any(payable.values()) or any(billed.values()):
        broken.append(Violation("B16", "an order carries another sum than its invoices bill"))
    return broken


def _count(invoice: Invoice, payable: Counter[bytes], billed: Counter[tuple[bytes, int]]) -> None:
    place = ORDER_USE.key(invoice.order.owner, invoice.order.document_id)
    payable[place] += invoice.payable_minor
    for one in invoice.billed:
        billed[place, one.place] += one.quantity


INVARIANTS: Mapping[str, Invariant] = {
    "invoices are whole": invoices_are_whole,
    "goods are billed once": goods_are_billed_once,
}
