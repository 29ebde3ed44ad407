"""UBL documents are read exactly: parties, lines, totals; what is merely wrong is remarked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bizchain.documents.errors import DocumentReason
from bizchain.documents.records import Document, Totals
from bizchain.documents.ubl import read_ubl
from common.amount import format_amount
from common.errors import CommonReason, Reason, Refused, reason_of
from tests.shared_data import SAMPLES, needs_shared_data, shared_data

INVOICE = (SAMPLES / "invoice.xml").read_text()


def changed(*pairs: tuple[str, str]) -> bytes:
    text = INVOICE
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    return text.encode()


def rules(document: Document) -> list[str]:
    return [remark.rule for remark in document.remarks]


def test_an_invoice_is_read_whole() -> None:
    invoice = read_ubl(INVOICE.encode())
    assert (invoice.kind, invoice.id, invoice.issue_date) == (
        "Invoice",
        "INV-2025-0588",
        "2025-06-12",
    )
    assert invoice.seller is not None
    assert invoice.buyer is not None
    assert invoice.seller.name == "Baihe Steel Works Co., Ltd."
    assert invoice.seller.identifier("GLN") == "9520001000010"
    assert invoice.seller.identifier("LEI") == "0000WTBAIHE000000154"
    assert invoice.seller.identifier("USCC") == "91999900MA05TEE014"
    assert invoice.buyer.country == "CN"
    assert invoice.currency == "CNY"
    assert invoice.totals == Totals(
        lines_minor=9_900_000,
        tax_exclusive_minor=9_900_000,
        tax_minor=1_287_000,
        tax_inclusive_minor=11_187_000,
        payable_minor=11_187_000,
    )
    (line,) = invoice.lines
    assert line.quantity is not None
    assert line.price is not None
    assert (line.quantity.base, line.quantity.base_unit) == (24_750_000, "GRM")
    assert (line.price.text, line.price.currency, line.amount_minor) == (
        "4000.00",
        "CNY",
        9_900_000,
    )
    assert line.item.name == "Hot-rolled coil Q235B 5.75 x 1500"
    assert invoice.referred("order") == ("PO-2025-0417",)
    assert invoice.referred("despatch") == ("DA-2025-0093",)
    assert invoice.referred("receipt") == ("RA-2025-0206",)
    assert invoice.remarks == ()


PAYABLE = '<cbc:PayableAmount currencyID="CNY">111870.00'
INCLUSIVE = '<cbc:TaxInclusiveAmount currencyID="CNY">111870.00'
EXCLUSIVE = '<cbc:TaxExclusiveAmount currencyID="CNY">99000.00'
LINES = '<cbc:LineExtensionAmount currencyID="CNY">99000.00</cbc:LineExtensionAmount>\n    <cbc:Tax'


@pytest.mark.parametrize(
    ("before", "after", "broken"),
    [
        (PAYABLE, PAYABLE.replace("111870.00", "111870.01"), ["BR-CO-16"]),
        (INCLUSIVE, INCLUSIVE.replace("111870.00", "111869.99"), ["BR-CO-15", "BR-CO-16"]),
        (EXCLUSIVE, EXCLUSIVE.replace("99000.00", "98999.99"), ["BR-CO-13", "BR-CO-15"]),
        (LINES, LINES.replace("99000.00", "99000.01"), ["BR-CO-10", "BR-CO-13"]),
        ("9520001000010", "9520001000011", ["IDENTIFIER"]),
        ("91999900MA05TEE014", "91999900MA05TEE015", ["IDENTIFIER"]),
        ('unitCode="TNE">24.75', 'unitCode="QQQ">24.75', ["UNIT"]),
        ('unitCode="TNE">24.75', 'unitCode="T">24.75', ["UNIT"]),
        ("4000.00", "4001.00", ["PEPPOL-EN16931-R120"]),
        ("<cbc:IssueDate>2025-06-12</cbc:IssueDate>", "", ["ISSUE-DATE"]),
    ],
)
def test_what_does_not_add_up_is_remarked_by_its_rule_and_read_all_the_same(
    before: str, after: str, broken: list[str]
) -> None:
    document = read_ubl(changed((before, after)))
    assert rules(document) == broken
    assert document.totals.payable_minor is not None


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ("111870.00", "111870.005", DocumentReason.DOCUMENT_TOTAL_INEXACT),
        ("111870.00", "1e5", DocumentReason.DOCUMENT_FIELD_INVALID),
        ("111870.00", "NaN", DocumentReason.DOCUMENT_FIELD_INVALID),
        ("111870.00", "9" * 30, DocumentReason.DOCUMENT_FIELD_INVALID),
        ("111870.00", "9" * 50, DocumentReason.DOCUMENT_FIELD_INVALID),
        (PAYABLE, PAYABLE.replace("CNY", "EUR"), DocumentReason.DOCUMENT_CURRENCY_MIXED),
        (">CNY<", ">XXQ<", CommonReason.UNKNOWN_CURRENCY),
        ("2025-06-12", "12/06/2025", DocumentReason.DOCUMENT_FIELD_INVALID),
        ("<cbc:ID>INV-2025-0588</cbc:ID>", "", DocumentReason.DOCUMENT_FIELD_MISSING),
        ("Baihe Steel", "B" * 3_000, DocumentReason.DOCUMENT_FIELD_INVALID),
        ("24.75", "a lot", DocumentReason.DOCUMENT_FIELD_INVALID),
        ("schema:xsd:Invoice-2", "schema:xsd:Order-2", DocumentReason.DOCUMENT_KIND_UNKNOWN),
        ("oasis:names", "other:names", DocumentReason.DOCUMENT_KIND_UNKNOWN),
    ],
)
def test_what_cannot_be_read_without_a_loss_is_refused(
    before: str, after: str, reason: Reason
) -> None:
    with pytest.raises(Refused) as caught:
        read_ubl(changed((before, after)))
    assert caught.value.reason is reason


def test_a_line_finer_than_the_currency_is_rounded_half_up_with_a_remark() -> None:
    line = '<cbc:LineExtensionAmount currencyID="CNY">99000.00</cbc:LineExtensionAmount>\n    <cac'
    document = read_ubl(changed((line, line.replace("99000.00", "98999.995"))))
    assert document.lines[0].amount_minor == 9_900_000
    assert rules(document) == ["LINE-ROUNDED"]


def test_a_quantity_finer_than_the_base_unit_is_cut_with_a_remark() -> None:
    document = read_ubl(changed(('unitCode="TNE">24.75', 'unitCode="TNE">24.7500005')))
    quantity = document.lines[0].quantity
    assert quantity is not None
    assert (quantity.base, quantity.exact) == (24_750_000, False)
    assert rules(document) == ["QUANTITY"]


AMOUNTS = st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=6)


def invoice_of(lines: list[int], allowance: int, charge: int, tax: int, prepaid: int) -> bytes:
    """An invoice in KWD (three decimals) whose totals are computed from its parts."""

    def money(name: str, minor: int) -> str:
        return f'<cbc:{name} currencyID="KWD">{format_amount(minor, "KWD")}</cbc:{name}>'

    def entry(charged: str, minor: int) -> str:
        indicator = f"<cbc:ChargeIndicator>{charged}</cbc:ChargeIndicator>"
        return f"<cac:AllowanceCharge>{indicator}{money('Amount', minor)}</cac:AllowanceCharge>"

    net = sum(lines) - allowance + charge
    rows = "".join(
        f"<cac:InvoiceLine><cbc:ID>{place}</cbc:ID>{money('LineExtensionAmount', minor)}"
        "</cac:InvoiceLine>"
        for place, minor in enumerate(lines)
    )
    return (
        '<Invoice xmlns="urn:oasis:names:specification:ubl:schema:xsd:Invoice-2"'
        ' xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"'
        ' xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2">'
        "<cbc:ID>1</cbc:ID><cbc:IssueDate>2025-01-31</cbc:IssueDate>"
        "<cbc:DocumentCurrencyCode>KWD</cbc:DocumentCurrencyCode>"
        f"{entry('false', allowance)}{entry('true', charge)}"
        f"<cac:TaxTotal>{money('TaxAmount', tax)}</cac:TaxTotal><cac:LegalMonetaryTotal>"
        f"{money('LineExtensionAmount', sum(lines))}{money('TaxExclusiveAmount', net)}"
        f"{money('TaxInclusiveAmount', net + tax)}{money('AllowanceTotalAmount', allowance)}"
        f"{money('ChargeTotalAmount', charge)}{money('PrepaidAmount', prepaid)}"
        f"{money('PayableAmount', net + tax - prepaid)}</cac:LegalMonetaryTotal>{rows}</Invoice>"
    ).encode()


@given(
    lines=AMOUNTS,
    allowance=st.integers(0, 10**6),
    charge=st.integers(0, 10**6),
    tax=st.integers(0, 10**8),
    prepaid=st.integers(0, 10**8),
)
def test_totals_computed_from_the_parts_are_read_back_and_recompute(
    lines: list[int], allowance: int, charge: int, tax: int, prepaid: int
) -> None:
    document = read_ubl(invoice_of(lines, allowance, charge, tax, prepaid))
    net = sum(lines) - allowance + charge
    assert document.remarks == ()
    assert [line.amount_minor for line in document.lines] == lines
    assert document.totals.tax_exclusive_minor == net
    assert document.totals.payable_minor == net + tax - prepaid


def test_no_two_reasons_share_a_number() -> None:
    for reason in DocumentReason:
        assert reason_of(reason.number) is reason
        assert 1900 <= reason.number < 1950


OFFICIAL = sorted(shared_data().glob("ubl/*.xml")) + sorted(shared_data().glob("peppol/*/*.xml"))
EXPECTED: dict[str, tuple[Any, ...]] = {
    "UBL-Invoice-2.1-Example.xml": ("Invoice", "TOSL108", "EUR", 72_900, 5),
    "UBL-CreditNote-2.1-Example.xml": ("CreditNote", "TOSL108", "EUR", 72_900, 5),
    "UBL-Order-2.1-Example.xml": ("Order", "34", "SEK", 622_500, 2),
    "UBL-OrderResponse-2.1-Example.xml": ("OrderResponse", "7", "SEK", None, 2),
    "UBL-DespatchAdvice-2.0-Example.xml": ("DespatchAdvice", "565899", None, None, 1),
    "UBL-RemittanceAdvice-2.0-Example.xml": ("RemittanceAdvice", "6577884", "GBP", 10_750, 1),
    "UBL-WeightStatement-2.2-Example.xml": ("WeightStatement", "GOA294107", None, None, 1),
    "UBL-GoodsCertificate-2.3-Example.xml": ("GoodsCertificate", "ExampleID", None, None, 1),
    "base-example.xml": ("Invoice", "Snippet1", "EUR", 165_625, 2),
    "base-negative-inv-correction.xml": ("Invoice", "Correction1", "EUR", -165_625, 2),
    "Order_Example.xml": ("Order", "34", "NOK", 636_300, 2),
    "InvoiceResponse_Example.xml": ("ApplicationResponse", "imrid001", None, None, 0),
}


@needs_shared_data
def test_all_official_documents_are_there() -> None:
    assert len(OFFICIAL) >= 29
    assert {path.name for path in OFFICIAL} >= EXPECTED.keys()


@needs_shared_data
@pytest.mark.parametrize("path", OFFICIAL, ids=lambda path: path.name)
def test_every_official_document_is_read_and_its_totals_recompute(path: Any) -> None:
    document = read_ubl(path.read_bytes())
    assert document.id
    assert document.issue_date
    assert document.lines or path.parent.name in ("order-response", "invoice-response")
    assert not [rule for rule in rules(document) if rule.startswith("BR-CO-")]
    if document.kind in ("Invoice", "CreditNote", "Order"):
        assert document.totals.payable_minor is not None
        assert document.totals.lines_minor is not None
        assert document.seller is not None
        assert document.buyer is not None
    if path.name in EXPECTED:
        assert EXPECTED[path.name] == (
            document.kind,
            document.id,
            document.currency,
            document.totals.payable_minor,
            len(document.lines),
        )


@needs_shared_data
def test_a_wrong_check_digit_in_an_official_sample_is_a_remark() -> None:
    invoice = read_ubl((shared_data() / "ubl" / "UBL-Invoice-2.1-Example.xml").read_bytes())
    assert "GLN 1234567987654 fails" in " ".join(remark.message for remark in invoice.remarks)
