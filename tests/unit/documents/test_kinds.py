"""Every document type of UBL is read by the structure all of them share, and answers `check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bizchain.documents.check import check_document, check_events
from bizchain.documents.errors import DocumentReason
from bizchain.documents.files import DOCUMENT_BYTES_MAX
from bizchain.documents.ubl import read_ubl
from common.errors import Refused
from tests.shared_data import needs_shared_data, shared_data

SPACES = (
    'xmlns:cac="urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"'
    ' xmlns:cbc="urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"'
)
UBL = sorted(shared_data().glob("ubl/*.xml")) + sorted(shared_data().glob("peppol/*/*.xml"))
EPCIS = sorted(shared_data().glob("epcis/json/*"))


def ubl(kind: str, *parts: str) -> bytes:
    space = f'xmlns="urn:oasis:names:specification:ubl:schema:xsd:{kind}-2" {SPACES}'
    head = "<cbc:ID>N-1</cbc:ID><cbc:IssueDate>2025-06-12</cbc:IssueDate>"
    return f"<{kind} {space}>{head}{''.join(parts)}</{kind}>".encode()


def party(path: str, name: str) -> str:
    tags = [f"cac:{tag}" for tag in path.split("/")]
    opened = "".join(f"<{tag}>" for tag in tags)
    closed = "".join(f"</{tag}>" for tag in reversed(tags))
    return f"{opened}<cac:PartyName><cbc:Name>{name}</cbc:Name></cac:PartyName>{closed}"


def line(tag: str, quantity: str = "cbc:Quantity", inner: str = "") -> str:
    item = "<cac:Item><cbc:Name>Coil</cbc:Name></cac:Item>"
    said = f'<cbc:ID>1</cbc:ID><{quantity} unitCode="TNE">2.5</{quantity}>{item}'
    wrapped = f"<cac:{inner}>{said}</cac:{inner}>" if inner else said
    return f"<cac:{tag}>{wrapped}</cac:{tag}>"


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("Catalogue", line("CatalogueLine")),
        ("CreditNote", line("CreditNoteLine", "cbc:CreditedQuantity")),
        ("DebitNote", line("DebitNoteLine", "cbc:DebitedQuantity")),
        ("DespatchAdvice", line("DespatchLine", "cbc:DeliveredQuantity")),
        ("Forecast", line("ForecastLine")),
        ("FreightInvoice", line("InvoiceLine", "cbc:InvoicedQuantity")),
        ("InstructionForReturns", line("InstructionForReturnsLine")),
        ("InventoryReport", line("InventoryReportLine")),
        ("Order", line("OrderLine", inner="LineItem")),
        ("OrderChange", line("OrderLine", inner="LineItem")),
        ("PurchaseReceipt", line("PurchaseReceiptLine")),
        ("Quotation", line("QuotationLine", inner="LineItem")),
        ("ReceiptAdvice", line("ReceiptLine", "cbc:ReceivedQuantity")),
        ("RequestForQuotation", line("RequestForQuotationLine", inner="LineItem")),
        ("SelfBilledInvoice", line("InvoiceLine", "cbc:InvoicedQuantity")),
        ("StockAvailabilityReport", line("StockAvailabilityReportLine")),
        ("BillOfLading", f"<cac:Shipment>{line('GoodsItem')}</cac:Shipment>"),
        ("Waybill", f"<cac:Shipment>{line('GoodsItem', 'cbc:NetWeightMeasure')}</cac:Shipment>"),
    ],
)
def test_the_lines_of_a_kind_are_found_by_the_name_they_have_in_it(kind: str, lines: str) -> None:
    (read,) = read_ubl(ubl(kind, lines)).lines
    assert read.quantity is not None
    assert (read.item.name, read.quantity.base, read.quantity.base_unit) == (
        "Coil",
        2_500_000,
        "GRM",
    )


def test_goods_that_a_package_names_again_are_counted_once() -> None:
    goods = line("GoodsItem")
    package = f"<cac:ActualPackage>{goods}</cac:ActualPackage>"
    unit = f"<cac:TransportHandlingUnit>{package}</cac:TransportHandlingUnit>"
    both = read_ubl(ubl("Waybill", f"<cac:Shipment>{goods}{unit}</cac:Shipment>"))
    alone = read_ubl(ubl("Waybill", f"<cac:Shipment>{unit}</cac:Shipment>"))
    assert (len(both.lines), len(alone.lines)) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "seller", "buyer"),
    [
        ("Invoice", "AccountingSupplierParty/Party", "AccountingCustomerParty/Party"),
        ("Order", "SellerSupplierParty/Party", "BuyerCustomerParty/Party"),
        ("RequestForQuotation", "SellerSupplierParty/Party", "OriginatorCustomerParty/Party"),
        ("DespatchAdvice", "DespatchSupplierParty/Party", "DeliveryCustomerParty/Party"),
        ("ReceiptAdvice", "DespatchSupplierParty/Party", "DeliveryCustomerParty/Party"),
        ("InventoryReport", "SellerSupplierParty/Party", "RetailerCustomerParty/Party"),
        ("Catalogue", "ProviderParty", "ContractorCustomerParty/Party"),
        ("Waybill", "ConsignorParty", "Shipment/Consignment/ConsigneeParty"),
        ("TransportExecutionPlan", "TransportServiceProviderParty", "TransportUserParty"),
        ("ExpressionOfInterestRequest", "EconomicOperatorParty/Party", "ContractingParty/Party"),
    ],
)
def test_seller_and_buyer_are_found_by_the_roles_a_kind_gives_them(
    kind: str, seller: str, buyer: str
) -> None:
    read = read_ubl(ubl(kind, party(seller, "Who gives"), party(buyer, "Who takes")))
    assert read.seller is not None
    assert read.buyer is not None
    assert (read.seller.name, read.buyer.name) == ("Who gives", "Who takes")


@pytest.mark.parametrize(
    ("kind", "total"),
    [
        ("DebitNote", "cac:RequestedMonetaryTotal"),
        ("DebitNote", "cac:LegalMonetaryTotal"),
        ("Quotation", "cac:QuotedMonetaryTotal"),
        ("OrderResponse", "cac:LegalMonetaryTotal"),
        ("Order", "cac:AnticipatedMonetaryTotal"),
    ],
)
def test_the_payable_amount_of_a_kind_is_read_with_its_currency(kind: str, total: str) -> None:
    amount = '<cbc:PayableAmount currencyID="EUR">12.30</cbc:PayableAmount>'
    read = read_ubl(ubl(kind, f"<{total}>{amount}</{total}>"))
    assert (read.currency, read.totals.payable_minor) == ("EUR", 1_230)


def test_a_statement_is_read_for_its_balance() -> None:
    amount = '<cbc:TotalBalanceAmount currencyID="GBP">-107.50</cbc:TotalBalanceAmount>'
    read = read_ubl(ubl("Statement", amount))
    assert (read.currency, read.totals.payable_minor) == ("GBP", -10_750)


def test_a_document_without_a_number_has_its_folder_s_or_is_refused() -> None:
    numbered = ubl("ContractNotice", "<cbc:ContractFolderID>F-9</cbc:ContractFolderID>")
    assert read_ubl(numbered.replace(b"<cbc:ID>N-1</cbc:ID>", b"")).id == "F-9"
    with pytest.raises(Refused) as caught:
        read_ubl(ubl("ContractNotice").replace(b"<cbc:ID>N-1</cbc:ID>", b""))
    assert caught.value.reason is DocumentReason.DOCUMENT_FIELD_MISSING


def test_till_receipts_are_not_added_up_by_the_rules_of_invoices() -> None:
    """They take loyalty points off what includes tax; an invoice may not."""
    amounts = "".join(
        f'<cbc:{name} currencyID="EUR">{amount}</cbc:{name}>'
        for name, amount in (
            ("LineExtensionAmount", "23.20"),
            ("TaxExclusiveAmount", "23.20"),
            ("TaxInclusiveAmount", "29.00"),
            ("AllowanceTotalAmount", "5.00"),
            ("PayableAmount", "24.00"),
        )
    )
    total = f"<cac:LegalMonetaryTotal>{amounts}</cac:LegalMonetaryTotal>"
    assert read_ubl(ubl("PurchaseReceipt", total)).remarks == ()
    assert read_ubl(ubl("Invoice", total)).remarks != ()


def test_a_file_of_50_megabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.xml"
    with path.open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    for check in (check_document, check_events):
        with pytest.raises(Refused) as caught:
            check(path)
        assert caught.value.reason is DocumentReason.DOCUMENT_TOO_LARGE
        assert caught.value.metadata["bytes_max"] == str(DOCUMENT_BYTES_MAX)


@needs_shared_data
def test_the_official_files_are_there() -> None:
    assert (len(UBL) >= 29, len(EPCIS) >= 9) == (True, True)


@needs_shared_data
@pytest.mark.parametrize("path", UBL, ids=lambda path: path.name)
def test_every_official_document_answers_the_check(path: Path) -> None:
    answer = check_document(path)
    assert list(answer) == [
        "file",
        "kind",
        "id",
        "issue_date",
        "seller",
        "buyer",
        "currency",
        "payable_minor",
        "lines",
        "warnings",
    ]
    assert answer["file"] == str(path)
    assert answer["kind"].encode() in path.read_bytes()
    if answer["kind"] != "WeightStatement":  # who weighs neither sells nor buys
        assert answer["seller"]
        assert answer["buyer"]


@needs_shared_data
@pytest.mark.parametrize("path", EPCIS, ids=lambda path: path.name)
def test_every_official_file_of_events_answers_the_check(path: Path) -> None:
    answer = check_events(path)
    assert list(answer) == ["file", "events", "kinds", "warnings"]
    assert answer["events"] > 0
    assert answer["kinds"]
