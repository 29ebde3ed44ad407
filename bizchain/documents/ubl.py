"""UBL 2.0 to 2.5, and Peppol BIS 3 on top of it: one document's key data.

Any document type of UBL is read for what all of them share: id, date, parties, references, weights
and lines. Lines are the root's children that are named so (`InvoiceLine`, `CatalogueLine`), or the
`LineItem` in them; where there are none, the goods items. `ubl_paths` lists where each thing is
looked for. Elements of other namespaces (extensions) are left alone.

    document = read_ubl(data)

Money: a total is read exactly, or the document is refused (DOCUMENT_TOTAL_INEXACT). A line amount
finer than the minor unit is rounded half up with a remark. Quantities are cut to whole base units
with a remark. Negative amounts and quantities are read: corrections and credit notes have them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from lxml import etree

from bizchain.documents.errors import DocumentReason
from bizchain.documents.identifiers import identifier_of, judge_identifier
from bizchain.documents.records import (
    Document,
    Identifier,
    Item,
    Line,
    Party,
    Price,
    Quantity,
    Reference,
    Remark,
    Totals,
)
from bizchain.documents.totals import judge_totals
from bizchain.documents.ubl_paths import (
    BUYER_PATHS,
    CARRIER_PATHS,
    GOODS_PATHS,
    ITEM_IDENTIFIERS,
    ITEM_PATHS,
    KEEPER_PATHS,
    LINE_AMOUNT_PATHS,
    LINE_ITEM_PATH,
    LINE_PATHS,
    NAMESPACES,
    NUMBER_PATHS,
    PAYABLE_NAMES,
    PRICE_PATHS,
    QUANTITY_PATHS,
    REFERENCE_PATHS,
    SELLER_PATHS,
    TOTAL_PATHS,
)
from bizchain.documents.xml import parse_xml
from common.amount import (
    currency_exponent,
    minor_units,
    parse_decimal,
    to_base,
    unit_of,
)
from common.crypto.digest import sha256
from common.errors import CommonReason, Refused

__all__ = ["LINES_MAX", "TEXT_CHARACTERS_MAX", "read_ubl"]

LINES_MAX = 10_000
TEXT_CHARACTERS_MAX = 2_000

_UBL = re.compile(
    r"\{urn:oasis:names:specification:ubl:schema:xsd:(?P<kind>[A-Za-z]+)-2\}(?P=kind)"
)
_LINE = re.compile(r"\{[^}]*CommonAggregateComponents-2\}[A-Za-z]*Line")
_DATE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")

INVOICE_TYPES: Final = frozenset(
    {"82", "325", "326", "380", "381", "383", "384", "386", "389", "393", "395"}
)
"""UNTDID 1001 codes of what is answered, where the buyer answers the seller."""

SUMMED_KINDS: Final = frozenset(
    {
        "CreditNote",
        "DebitNote",
        "FreightInvoice",
        "Invoice",
        "Order",
        "OrderChange",
        "OrderResponse",
        "Quotation",
        "SelfBilledCreditNote",
        "SelfBilledInvoice",
    }
)
"""Document types whose totals EN 16931 says how to add up. A till receipt adds up otherwise."""

UNIT_SLIPS: Final = {"KG": "KGM", "T": "TNE", "MT": "TNE", "PCS": "H87"}
"""Unit codes that Rec. 20 does not know and that documents carry all the same: read, remarked."""

Element = etree._Element  # noqa: SLF001 - lxml names no public type for what it returns


def read_ubl(data: bytes) -> Document:
    """The document in these bytes.

    Refused: as `parse_xml`; DOCUMENT_KIND_UNKNOWN where it is not UBL; DOCUMENT_FIELD_MISSING
    without an id; DOCUMENT_FIELD_INVALID (a date, a number, a text too long);
    DOCUMENT_TOTAL_INEXACT; DOCUMENT_CURRENCY_MIXED; DOCUMENT_TOO_MANY_PARTS beyond `LINES_MAX`.
    """
    root = parse_xml(data)
    match = _UBL.fullmatch(str(root.tag))
    if match is None:
        raise Refused(DocumentReason.DOCUMENT_KIND_UNKNOWN, f"{root.tag!s:.200} is no UBL document")
    return _Reader(match["kind"], root).read(sha256(data))


class _Reader:
    """Reads one document and collects the remarks on the way."""

    def __init__(self, kind: str, root: Element) -> None:
        self.kind = kind
        self.root = root
        self.remarks: list[Remark] = []
        self.currency = self._currency()

    def read(self, digest: bytes) -> Document:
        """The whole document."""
        number = next(filter(None, (_text(self.root, path) for path in NUMBER_PATHS)), "")
        if not number:
            raise Refused(DocumentReason.DOCUMENT_FIELD_MISSING, f"{self.kind} has no id")
        seller, buyer = self._parties()
        document = Document(
            kind=self.kind,
            id=number,
            issue_date=self._issue_date(),
            sha256=digest,
            seller=seller,
            buyer=buyer,
            carrier=self._party(CARRIER_PATHS),
            keeper=self._party(KEEPER_PATHS),
            currency=self.currency,
            lines=tuple(self._lines()),
            totals=self._totals(),
            gross_weight=self._weight("Gross"),
            net_weight=self._weight("Net"),
            references=tuple(self._references()),
            response_code=self._response_code(),
        )
        if self.kind in SUMMED_KINDS:
            self.remarks.extend(judge_totals(document, *self._entries(), self._tax_parts()))
        return replace(document, remarks=tuple(dict.fromkeys(self.remarks)))

    def remark(self, rule: str, message: str) -> None:
        """Something is wrong, and the reading goes on."""
        self.remarks.append(Remark(rule, message))

    # --- header ---

    def _issue_date(self) -> str | None:
        date = _text(self.root, "cbc:IssueDate")
        if not date:
            self.remark("ISSUE-DATE", "the document has no issue date")
            return None
        if _DATE.fullmatch(date[:10]) is None:
            raise Refused(DocumentReason.DOCUMENT_FIELD_INVALID, f"issue date {date!r}")
        return date[:10]

    def _currency(self) -> str | None:
        currency = _text(self.root, "cbc:DocumentCurrencyCode")
        if not currency:
            names = (
                *(f"{path}/cbc:PayableAmount" for path in TOTAL_PATHS),
                *(f"cbc:{name}" for name in PAYABLE_NAMES.values()),
            )
            payable = _first(self.root, *names)
            currency = "" if payable is None else _attribute(payable, "currencyID")
        if not currency:
            currency = _text(self.root, "cbc:PricingCurrencyCode")
        if not currency:
            return None
        currency_exponent(currency)
        return currency

    def _response_code(self) -> str | None:
        path = "cac:DocumentResponse/cac:Response/cbc:ResponseCode"
        return _text(self.root, "cbc:OrderResponseCode") or _text(self.root, path) or None

    def _references(self) -> Iterator[Reference]:
        seen: set[Reference] = set()
        for kind, path in REFERENCE_PATHS:
            for element in self.root.findall(path, NAMESPACES):
                reference = Reference(kind, _own_text(element))
                if reference.id and reference not in seen:
                    seen.add(reference)
                    yield reference

    # --- parties ---

    def _parties(self) -> tuple[Party | None, Party | None]:
        """(seller, buyer). Who answers an invoice is its buyer."""
        if self.kind == "ApplicationResponse":
            path = "cac:DocumentResponse/cac:DocumentReference/cbc:DocumentTypeCode"
            if _text(self.root, path) in INVOICE_TYPES:
                return self._party(("cac:ReceiverParty",)), self._party(("cac:SenderParty",))
        return self._party(SELLER_PATHS), self._party(BUYER_PATHS)

    def _party(self, paths: tuple[str, ...]) -> Party | None:
        element = _first(self.root, *paths)
        if element is None:
            return None
        identifiers = tuple(self._party_identifiers(element))
        name = (
            _text(element, "cac:PartyName/cbc:Name")
            or _text(element, "cac:PartyLegalEntity/cbc:RegistrationName")
            or _text(element, "cac:PartyTaxScheme/cbc:RegistrationName")
            or (identifiers[0].value if identifiers else "")
        )
        country = _text(element, "cac:PostalAddress/cac:Country/cbc:IdentificationCode")
        return Party(name, identifiers, country) if name else None

    def _party_identifiers(self, party: Element) -> Iterator[Identifier]:
        seen: set[Identifier] = set()
        paths = (
            ("", "cbc:EndpointID"),
            ("", "cac:PartyIdentification/cbc:ID"),
            ("LEGAL", "cac:PartyLegalEntity/cbc:CompanyID"),
        )
        for default, path in paths:
            for element in party.findall(path, NAMESPACES):
                yield from self._identifier(element, default, seen)
        for scheme in party.findall("cac:PartyTaxScheme", NAMESPACES):
            company = _first(scheme, "cbc:CompanyID")
            if company is not None and "VAT" in _text(scheme, "cac:TaxScheme/cbc:ID").upper():
                yield from self._identifier(company, "VAT", seen)

    def _identifier(
        self, element: Element, default: str, seen: set[Identifier]
    ) -> Iterator[Identifier]:
        identifier = identifier_of(_attribute(element, "schemeID"), _own_text(element), default)
        if identifier.value and identifier not in seen:
            seen.add(identifier)
            remark = judge_identifier(identifier)
            if remark is not None:
                self.remarks.append(remark)
            yield identifier

    # --- lines ---

    def _lines(self) -> Iterator[Line]:
        elements = self._line_elements()
        if len(elements) > LINES_MAX:
            raise Refused(
                DocumentReason.DOCUMENT_TOO_MANY_PARTS,
                f"{len(elements)} lines, at most {LINES_MAX} are read",
            )
        for element in elements:
            yield self._line(element)

    def _line_elements(self) -> list[Element]:
        path = LINE_PATHS.get(self.kind)
        if path is not None:
            return list(self.root.findall(path, NAMESPACES))
        lines = [child for child in self.root if _LINE.fullmatch(str(child.tag))]
        items = [item for line in lines for item in line.findall(LINE_ITEM_PATH, NAMESPACES)]
        goods = (self.root.findall(path, NAMESPACES) for path in GOODS_PATHS)
        return items or lines or next(filter(None, goods), [])

    def _line(self, element: Element) -> Line:
        number = _text(element, "cbc:ID")
        allowances, charges = self._allowances_and_charges(element, self._line_amount)
        amount = _first(element, *LINE_AMOUNT_PATHS)
        return Line(
            id=number,
            item=self._item(element),
            quantity=self._quantity(_first(element, *QUANTITY_PATHS)),
            price=self._price(element),
            amount_minor=None if amount is None else self._line_amount(amount),
            allowances_minor=allowances,
            charges_minor=charges,
        )

    def _item(self, line: Element) -> Item:
        element = _first(line, *ITEM_PATHS)
        if element is None:
            return Item(_text(line, "cbc:Description") or _text(line, "cbc:ID"))
        seen: set[Identifier] = set()
        identifiers: list[Identifier] = []
        for scheme, path in ITEM_IDENTIFIERS:
            for found in element.findall(path, NAMESPACES):
                identifiers.extend(self._identifier(found, scheme, seen))
        name = _text(element, "cbc:Name") or _text(element, "cbc:Description")
        return Item(name or (identifiers[0].value if identifiers else ""), tuple(identifiers))

    def _price(self, line: Element) -> Price | None:
        element = _first(line, *PRICE_PATHS)
        amount = None if element is None else _first(element, "cbc:PriceAmount")
        if element is None or amount is None:
            return None
        text = _number(amount)
        currency = _attribute(amount, "currencyID") or self.currency or ""
        return Price(text, currency, self._quantity(_first(element, "cbc:BaseQuantity")))

    def _quantity(self, element: Element | None) -> Quantity | None:
        """None where there is none, or its unit is one nobody can count in (with a remark)."""
        if element is None:
            return None
        text, unit = _number(element), _attribute(element, "unitCode")
        known = UNIT_SLIPS.get(unit, unit)
        if known != unit:
            self.remark("UNIT", f"unit {unit} is read as {known}")
        try:
            base, exact = to_base(text, known or "C62", signed=True)
        except Refused as refused:
            if refused.reason is not CommonReason.UNKNOWN_UNIT:
                raise _invalid(element, refused) from None
            self.remark("UNIT", f"{text} {unit}: {refused.message}")
            return None
        base_unit = unit_of(known or "C62").base
        if not exact:
            self.remark("QUANTITY", f"{text} {unit} is cut to {base} {base_unit}")
        return Quantity(base, base_unit, text, known, exact)

    def _weight(self, name: str) -> Quantity | None:
        """The shipment's weight, or the sum of the weighed equipment."""
        measure = f"cbc:{name}WeightMeasure"
        element = _first(
            self.root, f"cac:Shipment/{measure}", f"cac:Shipment/cac:Consignment/{measure}"
        )
        if element is not None:
            return self._quantity(element)
        path = ".//cac:VerifiedGrossMass/cbc:GrossMassMeasure"
        weighed = self.root.findall(path, NAMESPACES) if name == "Gross" else []
        quantities = [quantity for each in weighed if (quantity := self._quantity(each))]
        if not quantities or len({quantity.unit for quantity in quantities}) > 1:
            return None
        total = sum(quantity.base for quantity in quantities)
        return (
            quantities[0]
            if len(quantities) == 1
            else replace(quantities[0], base=total, text=str(total), unit=quantities[0].base_unit)
        )

    # --- money ---

    def _line_amount(self, element: Element) -> int | None:
        """Minor units, rounded half up where the line is finer; None in another currency."""
        currency = _attribute(element, "currencyID") or self.currency
        if currency is None or currency != self.currency:
            self.remark("CURRENCY", f"a line amount in {currency} is left out")
            return None
        text = _number(element)
        coefficient, decimals = parse_decimal(text)
        excess = decimals - currency_exponent(currency)
        if excess <= 0:
            return self._exact(element, currency)
        self.remark("LINE-ROUNDED", f"line amount {text} {currency} is rounded to its minor unit")
        half_up = (2 * abs(coefficient) + 10**excess) // (2 * 10**excess)
        return int(half_up if coefficient >= 0 else -half_up)

    def _total(self, parent: Element | None, name: str) -> int | None:
        """A total in minor units, exactly, in the currency of the document."""
        element = None if parent is None else _first(parent, f"cbc:{name}")
        if element is None:
            return None
        currency = _attribute(element, "currencyID") or self.currency
        if currency is None or currency != self.currency:
            raise Refused(
                DocumentReason.DOCUMENT_CURRENCY_MIXED,
                f"{name} is in {currency}, the document in {self.currency}",
            )
        return self._exact(element, currency)

    def _exact(self, element: Element, currency: str) -> int:
        text = _number(element)
        if parse_decimal(text)[1] > currency_exponent(currency):
            raise Refused(
                DocumentReason.DOCUMENT_TOTAL_INEXACT,
                f"{etree.QName(element).localname} {text} is finer than {currency} can be",
            )
        try:
            return minor_units(text, currency, signed=True)
        except Refused as refused:
            raise _invalid(element, refused) from None

    def _totals(self) -> Totals:
        if self.kind in PAYABLE_NAMES:
            return Totals(payable_minor=self._total(self.root, PAYABLE_NAMES[self.kind]))
        block = _first(self.root, *TOTAL_PATHS)
        tax = [total for total in self._tax_totals() if total is not None]
        return Totals(
            lines_minor=self._total(block, "LineExtensionAmount"),
            allowances_minor=self._total(block, "AllowanceTotalAmount"),
            charges_minor=self._total(block, "ChargeTotalAmount"),
            tax_exclusive_minor=self._total(block, "TaxExclusiveAmount"),
            tax_minor=sum(tax) if tax else None,
            tax_inclusive_minor=self._total(block, "TaxInclusiveAmount"),
            prepaid_minor=self._total(block, "PrepaidAmount"),
            rounding_minor=self._total(block, "PayableRoundingAmount"),
            payable_minor=self._total(block, "PayableAmount"),
        )

    def _tax_totals(self) -> Iterator[int | None]:
        """Tax totals in the document's currency; one in the accounting currency says it again."""
        for total in self.root.findall("cac:TaxTotal", NAMESPACES):
            amount = _first(total, "cbc:TaxAmount")
            if amount is not None and _attribute(amount, "currencyID") in ("", self.currency):
                yield self._total(total, "TaxAmount")

    def _tax_parts(self) -> int | None:
        parts = [
            self._exact(amount, self.currency)
            for amount in self.root.findall(
                "cac:TaxTotal/cac:TaxSubtotal/cbc:TaxAmount", NAMESPACES
            )
            if self.currency and _attribute(amount, "currencyID") == self.currency
        ]
        return sum(parts) if parts else None

    def _entries(self) -> tuple[int, int]:
        return self._allowances_and_charges(self.root, self._line_amount)

    def _allowances_and_charges(
        self, parent: Element, read: Callable[[Element], int | None]
    ) -> tuple[int, int]:
        """Sums of the parent's own allowances and charges."""
        sums = {False: 0, True: 0}
        for entry in parent.findall("cac:AllowanceCharge", NAMESPACES):
            amount = _first(entry, "cbc:Amount")
            charge = _text(entry, "cbc:ChargeIndicator").lower() in ("true", "1")
            if amount is not None:
                sums[charge] += read(amount) or 0
        return sums[False], sums[True]


# --- elements ---


def _first(parent: Element, *paths: str) -> Element | None:
    """The first element found, by the first path that finds one."""
    for path in paths:
        element: Element | None = parent.find(path, NAMESPACES)
        if element is not None:
            return element
    return None


def _text(parent: Element, path: str) -> str:
    element = _first(parent, path)
    return "" if element is None else _own_text(element)


def _own_text(element: Element) -> str:
    text = " ".join(str(element.text or "").split())
    if len(text) > TEXT_CHARACTERS_MAX:
        raise Refused(
            DocumentReason.DOCUMENT_FIELD_INVALID,
            f"{etree.QName(element).localname} has {len(text)} characters",
        )
    return text


def _attribute(element: Element, name: str) -> str:
    return str(element.get(name) or "").strip()


def _number(element: Element) -> str:
    """The element's text, once it is known to be a decimal number."""
    text = _own_text(element)
    try:
        parse_decimal(text)
    except Refused as refused:
        raise _invalid(element, refused) from None
    return text


def _invalid(element: Element, refused: Refused) -> Refused:
    name = etree.QName(element).localname
    return Refused(DocumentReason.DOCUMENT_FIELD_INVALID, f"{name}: {refused.message}")
