"""Out of a document: an invoice in UBL 2.1, and its lines as CSV.

    ubl_invoice(read_ubl(data))     # bytes that `read_ubl` reads to the same key data
    lines_csv([document, ...])      # text, one row for each line

What a document does not say cannot be exported: tax is stated as one total, without the breakdown
by rate that Peppol BIS 3 asks for, and allowances and charges as one entry each. The same document
always gives the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any, Final

from lxml import etree

from bizchain.documents.errors import DocumentReason
from bizchain.documents.records import Document, Identifier, Line, Party, Price, Quantity
from bizchain.documents.ubl_paths import NAMESPACES
from common.amount import format_amount
from common.errors import Refused

__all__ = ["CSV_COLUMNS", "lines_csv", "ubl_invoice"]

INVOICE_SPACE: Final = "urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"
INVOICE_TYPE: Final = "380"
"""UNTDID 1001: commercial invoice."""

INVOICEABLE: Final = frozenset(
    {"FreightInvoice", "Invoice", "Order", "OrderChange", "OrderResponse", "SelfBilledInvoice"}
)
"""What an invoice can be made of. A credit note is none: it says what is not owed."""

_SCHEMES: Final = {"DUNS": "0060", "GLN": "0088", "GTIN": "0160", "LEI": "0199"}
_REFERENCES: Final = (
    ("order", "OrderReference"),
    ("invoice", "BillingReference/InvoiceDocumentReference"),
    ("despatch", "DespatchDocumentReference"),
    ("receipt", "ReceiptDocumentReference"),
    ("contract", "ContractDocumentReference"),
)
"""In the order UBL wants them."""

CSV_COLUMNS: Final = (
    "kind",
    "document",
    "issue_date",
    "seller",
    "buyer",
    "currency",
    "line",
    "item",
    "quantity_base",
    "base_unit",
    "amount_minor",
)

Element = etree._Element  # noqa: SLF001 - lxml names no public type for what it makes


def ubl_invoice(document: Document, number: str = "", issue_date: str = "") -> bytes:
    """The document as an invoice in UBL 2.1; an order becomes the invoice of what it orders.

    `number` and `issue_date` are the document's where they are left out. Refused with
    EXPORT_INCOMPLETE and a list of what is missing, also for a document that bills nothing.
    """
    if document.kind not in INVOICEABLE:
        message = f"no invoice is made of {document.kind} {document.id}"
        raise Refused(DocumentReason.EXPORT_INCOMPLETE, message)
    date = issue_date or document.issue_date
    payable = document.totals.payable_minor
    missing = [
        name
        for name, value in (
            ("an issue date", date),
            ("a seller", document.seller),
            ("a buyer", document.buyer),
            ("a currency", document.currency),
            ("a payable amount", payable is not None),
            ("lines", document.lines),
            ("an amount of every line", _all_amounts(document)),
        )
        if not value
    ]
    if missing:
        message = f"{document.kind} {document.id} lacks {', '.join(missing)}"
        raise Refused(DocumentReason.EXPORT_INCOMPLETE, message)
    try:
        root = _Writer(document.currency or "").invoice(document, number or document.id, date or "")
    except ValueError as error:  # a character that XML cannot hold
        raise Refused(DocumentReason.EXPORT_INCOMPLETE, f"{document.id}: {error}") from None
    written: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return written


def lines_csv(documents: Iterable[Document]) -> str:
    """Every line of the documents as a row of comma-separated values, under a header (RFC 4180).

    Text that a spreadsheet would run as a formula is written with an apostrophe before it.
    """
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(CSV_COLUMNS)
    for document in documents:
        head = (
            document.kind,
            document.id,
            document.issue_date or "",
            document.seller.name if document.seller else "",
            document.buyer.name if document.buyer else "",
            document.currency or "",
        )
        for line in document.lines:
            quantity = line.quantity
            row = (
                *map(_tame, (*head, line.id, line.item.name)),
                "" if quantity is None else quantity.base,
                "" if quantity is None else quantity.base_unit,
                "" if line.amount_minor is None else line.amount_minor,
            )
            writer.writerow(row)
    return written.getvalue()


def _tame(text: str) -> str:
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def _all_amounts(document: Document) -> bool:
    return all(line.amount_minor is not None for line in document.lines)


class _Writer:
    """Writes elements in the order of the UBL 2.1 schema. Amounts are in one currency."""

    def __init__(self, currency: str) -> None:
        self._currency = currency

    def invoice(self, document: Document, number: str, issue_date: str) -> Element:
        """The root of the invoice."""
        spaces: Any = {None: INVOICE_SPACE, **NAMESPACES}  # the stubs know of no default one
        root = etree.Element(f"{{{INVOICE_SPACE}}}Invoice", nsmap=spaces)
        _basic(root, "UBLVersionID", "2.1")
        _basic(root, "ID", number)
        _basic(root, "IssueDate", issue_date)
        _basic(root, "InvoiceTypeCode", INVOICE_TYPE)
        _basic(root, "DocumentCurrencyCode", self._currency)
        self._references(root, document)
        for role, party in (
            ("AccountingSupplierParty", document.seller),
            ("AccountingCustomerParty", document.buyer),
        ):
            if party is not None:
                _party(_aggregate(_aggregate(root, role), "Party"), party)
        totals = document.totals
        self._allowance(root, totals.allowances_minor or 0, charge=False)
        self._allowance(root, totals.charges_minor or 0, charge=True)
        if totals.tax_minor is not None:
            self._amount(_aggregate(root, "TaxTotal"), "TaxAmount", totals.tax_minor)
        self._totals(_aggregate(root, "LegalMonetaryTotal"), document)
        for line in document.lines:
            self._line(_aggregate(root, "InvoiceLine"), line)
        return root

    def _references(self, root: Element, document: Document) -> None:
        """An order is the order of the invoice that is made of it."""
        for kind, path in _REFERENCES:
            named = document.referred(kind)
            if kind == "order":
                named = (document.id,) if document.kind == "Order" else named[:1]
            for number in named:
                parent = root
                for name in path.split("/"):
                    parent = _aggregate(parent, name)
                _basic(parent, "ID", number)

    def _totals(self, block: Element, document: Document) -> None:
        totals = document.totals
        lines = totals.lines_minor
        if lines is None:
            lines = sum(line.amount_minor or 0 for line in document.lines)
        for name, minor in (
            ("LineExtensionAmount", lines),
            ("TaxExclusiveAmount", totals.tax_exclusive_minor),
            ("TaxInclusiveAmount", totals.tax_inclusive_minor),
            ("AllowanceTotalAmount", totals.allowances_minor),
            ("ChargeTotalAmount", totals.charges_minor),
            ("PrepaidAmount", totals.prepaid_minor),
            ("PayableRoundingAmount", totals.rounding_minor),
            ("PayableAmount", totals.payable_minor),
        ):
            if minor is not None:
                self._amount(block, name, minor)

    def _line(self, parent: Element, line: Line) -> None:
        _basic(parent, "ID", line.id)
        if line.quantity is not None:
            _quantity(parent, "InvoicedQuantity", line.quantity)
        self._amount(parent, "LineExtensionAmount", line.amount_minor or 0)
        self._allowance(parent, line.allowances_minor, charge=False)
        self._allowance(parent, line.charges_minor, charge=True)
        item = _aggregate(parent, "Item")
        _basic(item, "Name", line.item.name or line.id)
        by_scheme = {identifier.scheme: identifier for identifier in line.item.identifiers}
        for scheme, name in (("BUYER", "Buyers"), ("SELLER", "Sellers"), ("GTIN", "Standard")):
            if scheme in by_scheme:
                identification = _aggregate(item, f"{name}ItemIdentification")
                _identifier(identification, by_scheme[scheme], scheme if scheme == "GTIN" else "")
        if line.price is not None:
            self._price(_aggregate(parent, "Price"), line.price)

    def _price(self, parent: Element, price: Price) -> None:
        _basic(parent, "PriceAmount", price.text, currencyID=price.currency)
        if price.per is not None:
            _quantity(parent, "BaseQuantity", price.per)

    def _allowance(self, parent: Element, minor: int, *, charge: bool) -> None:
        if minor:
            entry = _aggregate(parent, "AllowanceCharge")
            _basic(entry, "ChargeIndicator", "true" if charge else "false")
            self._amount(entry, "Amount", minor)

    def _amount(self, parent: Element, name: str, minor: int) -> None:
        text = format_amount(minor, self._currency)
        _basic(parent, name, text, currencyID=self._currency)


def _party(parent: Element, party: Party) -> None:
    for identifier in party.identifiers:
        if identifier.scheme not in ("LEGAL", "VAT"):
            _identifier(_aggregate(parent, "PartyIdentification"), identifier, identifier.scheme)
    _basic(_aggregate(parent, "PartyName"), "Name", party.name)
    if party.country:
        country = _aggregate(_aggregate(parent, "PostalAddress"), "Country")
        _basic(country, "IdentificationCode", party.country)
    vat, legal = party.identifier("VAT"), party.identifier("LEGAL")
    if vat:
        scheme = _aggregate(parent, "PartyTaxScheme")
        _basic(scheme, "CompanyID", vat)
        _basic(_aggregate(scheme, "TaxScheme"), "ID", "VAT")
    entity = _aggregate(parent, "PartyLegalEntity")
    _basic(entity, "RegistrationName", party.name)
    if legal:
        _basic(entity, "CompanyID", legal)


def _identifier(parent: Element, identifier: Identifier, scheme: str) -> None:
    written = _SCHEMES.get(scheme, scheme)
    attributes = {"schemeID": written} if written else {}
    _basic(parent, "ID", identifier.value, **attributes)


def _quantity(parent: Element, name: str, quantity: Quantity) -> None:
    attributes = {"unitCode": quantity.unit} if quantity.unit else {}
    _basic(parent, name, quantity.text, **attributes)


def _aggregate(parent: Element, name: str) -> Element:
    return etree.SubElement(parent, f"{{{NAMESPACES['cac']}}}{name}")


def _basic(parent: Element, name: str, text: str, **attributes: str) -> None:
    element = etree.SubElement(parent, f"{{{NAMESPACES['cbc']}}}{name}", attributes)
    element.text = text
