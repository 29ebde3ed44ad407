"""Matching an invoice with order and receipt, accepting it, turning it down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from bizchain.contracts.documents.queries import (
    Leaf,
    invoice_hash,
    opened,
    sealed_document_of,
)
from bizchain.contracts.documents.types import HEADER_FIELDS, KeyData, SealedRecord
from bizchain.contracts.invoices.keys import INVOICE, ORDER_USE, RECEIPT_USE
from bizchain.contracts.invoices.queries import (
    invoice_of,
    judge,
    order_use_of,
    receipt_use_of,
    state_of,
)
from bizchain.contracts.invoices.types import (
    ACTORS,
    DIFFERENCES_TOLD_MAX,
    QUANTITY_TOLERANCE_BASIS_POINTS_MAX,
    TRANSITIONS,
    Billed,
    DocumentName,
    Invoice,
    InvoiceState,
    OrderUse,
    ReceiptUse,
)
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.amount import check_amount, currency_exponent
from common.deadline import expired
from common.errors import CommonReason, Refused
from common.ledger.actors import is_named, roles_in
from common.ledger.chain import Context, Rule
from common.ledger.holds import check_free
from common.ledger.identity import active_party, check_identifier, party_of

__all__ = ["OPERATIONS"]

GROUND_CHARACTERS_MAX = 200
KINDS: Final = ("Order", "ReceiptAdvice", "Invoice")
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "Order": ("kind", "number", "seller", "buyer", "currency", "payable_minor"),
    "ReceiptAdvice": ("kind", "seller", "buyer"),
    "Invoice": tuple(HEADER_FIELDS),
}
"""What must be open of each document; the rest of its header may stay hidden."""


class _Shown(NamedTuple):
    """A sealed document and what was opened of it."""

    record: SealedRecord
    data: KeyData

    @property
    def name(self) -> DocumentName:
        return DocumentName(self.record.owner, self.record.document_id)

    def text(self, field: str) -> str:
        return str(self.data.fields[field])

    def number(self, field: str) -> int:
        return int(self.data.fields[field])


def check_match_invoice(context: Context, operation: pb.MatchInvoice) -> Invoice:
    """The invoice as it is judged now."""
    tolerance = operation.quantity_tolerance_basis_points
    if not 0 <= tolerance <= QUANTITY_TOLERANCE_BASIS_POINTS_MAX:
        message = f"a tolerance is 0 to {QUANTITY_TOLERANCE_BASIS_POINTS_MAX} basis points"
        raise Refused(CommonReason.INVALID_ARGUMENT, message)
    openings = (operation.order, operation.receipt, operation.invoice)
    order, receipt, invoice = (
        _shown(context, opening, kind) for opening, kind in zip(openings, KINDS, strict=True)
    )
    _check_trade(context, order, receipt, invoice)
    known = invoice_of(context.state, *_parts(invoice.name))
    used = receipt_use_of(context.state, receipt.name)
    if used is not None and used.invoice != invoice.name:
        message = f"{receipt.name.document_id} backs invoice {used.invoice.document_id} already"
        raise Refused(BusinessReason.RECEIPT_MATCHED, message)
    before = order_use_of(context.state, order.name)
    judgement = judge(order.data, receipt.data, invoice.data, tolerance, before)
    state = _reached(known, invoice.name, "differ" if judgement.differences else "agree")
    matched = state is InvoiceState.MATCHED
    judged = Invoice(
        invoice.record.owner,
        invoice.record.document_id,
        invoice.text("buyer"),
        state.value,
        invoice.text("number"),
        invoice.text("issue_date"),
        invoice.text("currency"),
        invoice.number("payable_minor"),
        order.name,
        receipt.name,
        tolerance,
        len(judgement.differences),
        judgement.differences[:DIFFERENCES_TOLD_MAX],
        judgement.billed if matched else (),
        "",
        context.time_unix_ms,
    )
    if matched:
        _check_use(_together(before, judged, 1))
    return judged


def apply_match_invoice(context: Context, _: pb.MatchInvoice, invoice: Invoice) -> None:
    """Keep the judgement; a matched invoice uses up its receipt and its part of the order."""
    if invoice.state == InvoiceState.MATCHED:
        place = RECEIPT_USE.key(*_parts(invoice.receipt))
        use = ReceiptUse(DocumentName(invoice.seller, invoice.document_id))
        context.state.put(RECEIPT_USE, place, use)
        _use_order(context, invoice, 1)
    _put(context, invoice)


def check_accept_invoice(context: Context, operation: pb.AcceptInvoice) -> Invoice:
    """The invoice, accepted by its buyer."""
    invoice = _own(context, operation.seller, operation.document_id)
    for party in (invoice.buyer, invoice.seller):
        check_free(context.state, "party", party)
    active_party(context.state, invoice.seller)
    state = _reached(invoice, DocumentName(invoice.seller, invoice.document_id), "accept")
    return replace(invoice, state=state.value, changed_unix_ms=context.time_unix_ms)


def check_reject_invoice(context: Context, operation: pb.RejectInvoice) -> Invoice:
    """The invoice, turned down by its buyer."""
    if not 0 < len(operation.ground) <= GROUND_CHARACTERS_MAX:
        raise Refused(CommonReason.INVALID_ARGUMENT, "a rejection says why, in short")
    invoice = _own(context, operation.seller, operation.document_id)
    state = _reached(invoice, DocumentName(invoice.seller, invoice.document_id), "reject")
    return replace(
        invoice, state=state.value, ground=operation.ground, changed_unix_ms=context.time_unix_ms
    )


def apply_accept_invoice(context: Context, _: pb.AcceptInvoice, invoice: Invoice) -> None:
    """Keep the acceptance."""
    _put(context, invoice)


def apply_reject_invoice(context: Context, _: pb.RejectInvoice, invoice: Invoice) -> None:
    """Keep the rejection, and free what the invoice was matched with."""
    before = invoice_of(context.state, invoice.seller, invoice.document_id)
    if state_of(before) is InvoiceState.MATCHED:
        context.state.delete(RECEIPT_USE, RECEIPT_USE.key(*_parts(invoice.receipt)))
        _use_order(context, invoice, -1)
    _put(context, invoice)


# --- parts --------------------------------------------------------------------------------------


def _shown(context: Context, opening: pb.DocumentOpening, kind: str) -> _Shown:
    """A document of this kind, with everything open that the judgement needs."""
    check_identifier(opening.owner, "party id")
    check_identifier(opening.document_id, "document id", long=True)
    record = sealed_document_of(context.state, opening.owner, opening.document_id)
    if record is None:
        message = f"{opening.owner} has no sealed document {opening.document_id}"
        raise Refused(CommonReason.NOT_FOUND, message)
    leaves = [Leaf(leaf.salt, leaf.field, leaf.digest) for leaf in opening.leaves]
    data = opened(record, leaves)
    hidden = [name for name in NEEDED[kind] if name not in data.fields]
    if hidden:
        message = f"of {record.document_id}, {', '.join(hidden)} must be open"
        raise Refused(BusinessReason.KEY_DATA_HIDDEN, message)
    if not record.kind == data.fields["kind"] == kind:
        raise _no_trade(f"{record.document_id} is no {kind}")
    return _Shown(record, data)


def _check_trade(context: Context, order: _Shown, receipt: _Shown, invoice: _Shown) -> None:
    """Each document is of who may make it, the invoice is the one its hash says, and the signer may
    ask.
    """
    seller, buyer = invoice.text("seller"), invoice.text("buyer")
    if invoice.record.owner != seller or order.record.owner != buyer or seller == buyer:
        raise _no_trade("the seller records the invoice, the buyer the order")
    receiver = receipt.record.owner
    if receiver != buyer and not _is_warehouse(context, receiver):
        raise _no_trade("the buyer or a warehouse records the receipt advice")
    if not invoice.data.lines:
        raise _no_trade("the invoice bills nothing")
    if context.sender != buyer and context.roles.isdisjoint(roles_in(ACTORS["agree"])):
        raise Refused(BusinessReason.NOT_THE_BUYER, f"{context.sender} is not the buyer, {buyer}")
    currency_exponent(invoice.text("currency"))
    hashed = invoice_hash(
        seller,
        invoice.text("number"),
        invoice.text("issue_date"),
        invoice.number("payable_minor"),
        invoice.text("currency"),
    )
    if hashed != invoice.record.invoice_hash:
        message = f"{invoice.record.document_id} was recorded under the hash of another invoice"
        raise Refused(BusinessReason.INVOICE_HASH_FALSE, message)


def _is_warehouse(context: Context, party_id: str) -> bool:
    party = party_of(context.state, party_id)
    return party is not None and any(
        grant.role == "warehouse" and not expired(context.time_unix_ms, grant.until_unix_ms)
        for grant in party.roles
    )


def _own(context: Context, seller: str, document_id: str) -> Invoice:
    """A judged invoice whose buyer is the sender."""
    invoice = invoice_of(context.state, seller, document_id)
    if invoice is None:
        message = f"no invoice {document_id[:64]} of {seller[:64]} was matched"
        raise Refused(CommonReason.NOT_FOUND, message)
    if not is_named(context.sender, invoice, ACTORS["accept"]):
        message = f"{context.sender} is not the buyer, {invoice.buyer}"
        raise Refused(BusinessReason.NOT_THE_BUYER, message)
    return invoice


def _reached(invoice: Invoice | None, name: DocumentName, what: str) -> InvoiceState:
    stands = state_of(invoice)
    reached = TRANSITIONS.get((stands, what))
    if reached is None:
        raise Refused(BusinessReason.WRONG_STATE, f"{what}: {name.document_id} is {stands}")
    return reached


def _together(use: OrderUse, invoice: Invoice, sign: int) -> OrderUse:
    """What is billed of an order with this invoice (1), or without it (-1)."""
    billed = {one.place: one.quantity for one in use.billed}
    for one in invoice.billed:
        billed[one.place] = billed.get(one.place, 0) + sign * one.quantity
    return OrderUse(
        use.payable_minor + sign * invoice.payable_minor,
        tuple(Billed(place, quantity) for place, quantity in sorted(billed.items()) if quantity),
    )


def _check_use(use: OrderUse) -> None:
    check_amount(use.payable_minor, "billed of the order")
    for one in use.billed:
        check_amount(one.quantity, "billed of an item")


def _use_order(context: Context, invoice: Invoice, sign: int) -> None:
    use = _together(order_use_of(context.state, invoice.order), invoice, sign)
    place = ORDER_USE.key(*_parts(invoice.order))
    if use == OrderUse(0, ()):
        context.state.delete(ORDER_USE, place)
    else:
        context.state.put(ORDER_USE, place, use)


def _put(context: Context, invoice: Invoice) -> None:
    key = INVOICE.key(invoice.seller, invoice.document_id)
    context.state.put(INVOICE, key, invoice)
    context.emit("invoice", f"{invoice.seller}/{invoice.document_id}", invoice)


def _parts(name: DocumentName) -> tuple[str, str]:
    return name.owner, name.document_id


def _no_trade(message: str) -> Refused:
    return Refused(BusinessReason.NOT_ONE_TRADE, message)


OPERATIONS: Mapping[str, Rule[Any, Any]] = {
    "match_invoice": Rule(pb.MatchInvoice, check_match_invoice, apply_match_invoice),
    "accept_invoice": Rule(pb.AcceptInvoice, check_accept_invoice, apply_accept_invoice),
    "reject_invoice": Rule(pb.RejectInvoice, check_reject_invoice, apply_reject_invoice),
}
