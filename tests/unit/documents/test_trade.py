"""A folder of documents is one trade, by the stated rules, or a refusal that says what lacks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from bizchain.documents.check import check_document, check_events
from bizchain.documents.errors import DocumentReason
from bizchain.documents.trade import Lot, read_trade
from common.errors import Refused
from tests.shared_data import SAMPLES, needs_shared_data, shared_data


def folder_of(tmp_path: Path, *names: str) -> Path:
    for name in names:
        shutil.copy(SAMPLES / f"{name}.xml", tmp_path)
    return tmp_path


def edit(folder: Path, name: str, before: str, after: str) -> None:
    path = folder / f"{name}.xml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_the_sample_folder_is_a_trade() -> None:
    trade = read_trade(SAMPLES)
    assert trade.seller.name == "Baihe Steel Works Co., Ltd."
    assert trade.buyer.name == "Linjiang Bridge Engineering Co., Ltd."
    assert trade.carrier is not None
    assert trade.carrier.name == "Jinghu Logistics Co., Ltd."
    assert trade.warehouse is not None
    assert trade.warehouse.name == "Putuo Port Warehouse Co., Ltd."
    assert trade.lot == Lot("Hot-rolled coil Q235B 5.75 x 1500", 24_750_000, "GRM")
    assert trade.weight_grams == 24_830_000
    assert (trade.currency, trade.payable_minor) == ("CNY", 11_187_000)
    assert (trade.order_id, trade.invoice_id) == ("PO-2025-0417", "INV-2025-0588")
    assert len(trade.documents) == 5
    assert all(each.used for each in trade.documents)
    assert len({each.document.sha256 for each in trade.documents}) == 5
    assert trade.notes == (
        "goods are those of the ReceiptAdvice",
        "the weight is that of the WeightStatement",
    )


def test_goods_come_from_the_next_document_where_one_is_missing(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "order", "despatch-advice", "weight-statement", "invoice")
    assert "goods are those of the DespatchAdvice" in read_trade(folder).notes
    (folder / "despatch-advice.xml").unlink()
    trade = read_trade(folder)
    assert "goods are those of the Invoice" in trade.notes
    assert trade.lot.quantity == 24_750_000
    (folder / "weight-statement.xml").unlink()
    assert "the weight is that of the goods themselves" in read_trade(folder).notes


def test_the_buyer_who_receives_the_goods_is_no_warehouse(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "despatch-advice", "invoice")
    buyer = "Linjiang Bridge Engineering Co., Ltd."
    edit(folder, "despatch-advice", "Putuo Port Warehouse Co., Ltd.", buyer)
    assert read_trade(folder).warehouse is None


def test_an_order_alone_gives_the_amount_and_says_so(tmp_path: Path) -> None:
    trade = read_trade(folder_of(tmp_path, "order"))
    assert (trade.payable_minor, trade.invoice_id) == (11_187_000, None)
    assert "the amount is that of the Order: there is no invoice" in trade.notes


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"a seller.*a buyer.*payable.*goods") as caught:
        read_trade(folder_of(tmp_path, "weight-statement"))
    assert caught.value.reason is DocumentReason.TRADE_INCOMPLETE


def test_a_seller_who_is_the_buyer_is_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "invoice")
    edit(folder, "invoice", "Linjiang Bridge Engineering Co., Ltd.", "Baihe Steel Works Co., Ltd.")
    with pytest.raises(Refused) as caught:
        read_trade(folder)
    assert caught.value.reason is DocumentReason.TRADE_CONTRADICTORY


def test_documents_that_disagree_are_noted(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "order", "invoice")
    edit(folder, "order", "Baihe Steel Works", "Other Steel Works")
    edit(folder, "invoice", "PO-2025-0417", "PO-0")
    notes = "; ".join(read_trade(folder).notes)
    assert "more than one seller: Baihe Steel Works Co., Ltd. (Invoice), Other" in notes
    assert "names order PO-0, which is not in the folder" in notes


def test_the_invoice_that_names_an_order_of_the_folder_is_preferred(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "order", "invoice")
    other = (SAMPLES / "invoice.xml").read_text().replace("PO-2025-0417", "PO-0")
    (folder / "a-first.xml").write_text(other.replace("INV-2025-0588", "INV-0"))
    trade = read_trade(folder)
    assert trade.invoice_id == "INV-2025-0588"
    assert [each.file for each in trade.documents if not each.used] == ["a-first.xml"]


def test_a_correction_is_no_trade(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "order", "invoice")
    correction = (SAMPLES / "invoice.xml").read_text().replace(">111870.00", ">-111870.00")
    (folder / "a-correction.xml").write_text(correction.replace("INV-2025-0588", "COR-1"))
    assert read_trade(folder).invoice_id == "INV-2025-0588"


def test_goods_in_different_units_are_a_lot_by_weight(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "despatch-advice", "invoice", "order")
    advice = folder / "despatch-advice.xml"
    text = advice.read_text()
    line = text[text.index("  <cac:DespatchLine>") : text.index("</DespatchAdvice>")]
    pieces = line.replace('unitCode="KGM">24750', 'unitCode="H87">4')
    advice.write_text(text.replace("</DespatchAdvice>", pieces + "</DespatchAdvice>"))
    trade = read_trade(folder)
    assert [goods.unit for goods in trade.goods] == ["GRM", "H87"]
    assert (trade.lot.quantity, trade.lot.unit) == (24_830_000, "GRM")


def test_xml_that_is_no_ubl_is_left_out_and_a_hostile_file_refuses_the_folder(
    tmp_path: Path,
) -> None:
    folder = folder_of(tmp_path, "order")
    (folder / "other.xml").write_text("<Payment/>")
    assert "other.xml is not UBL and is left out" in read_trade(folder).notes
    (folder / "hostile.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    with pytest.raises(Refused, match=r"hostile\.xml") as caught:
        read_trade(folder)
    assert caught.value.reason is DocumentReason.DOCUMENT_TYPE_FORBIDDEN
    assert caught.value.metadata["file"].endswith("hostile.xml")


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        read_trade(tmp_path / "missing")
    assert caught.value.reason is DocumentReason.DOCUMENT_UNREADABLE


def test_the_answers_are_plain_json() -> None:
    answer = check_document(SAMPLES / "invoice.xml")
    assert json.loads(json.dumps(answer)) == {
        "file": str(SAMPLES / "invoice.xml"),
        "kind": "Invoice",
        "id": "INV-2025-0588",
        "issue_date": "2025-06-12",
        "seller": "Baihe Steel Works Co., Ltd.",
        "buyer": "Linjiang Bridge Engineering Co., Ltd.",
        "currency": "CNY",
        "payable_minor": 11_187_000,
        "lines": 1,
        "warnings": [],
    }
    events = check_events(SAMPLES / "events.jsonld")
    assert json.loads(json.dumps(events)) == {
        "file": str(SAMPLES / "events.jsonld"),
        "events": 2,
        "kinds": ["ObjectEvent"],
        "warnings": [],
    }


@needs_shared_data
def test_the_official_ubl_documents_are_a_trade() -> None:
    trade = read_trade(shared_data() / "ubl")
    assert (trade.seller.name, trade.buyer.name) == ("Salescompany ltd.", "Buyercompany ltd")
    assert (trade.currency, trade.payable_minor) == ("EUR", 72_900)
    assert (trade.lot.quantity, trade.lot.unit) == (90_000, "GRM")
    assert trade.weight_grams == 25_730_000
    assert trade.warehouse is not None
    assert trade.warehouse.name == "LEONARDO"
    assert sorted(each.document.kind for each in trade.documents if each.used) == [
        "DespatchAdvice",
        "Invoice",
        "Order",
        "WeightStatement",
    ]


@needs_shared_data
def test_the_official_peppol_documents_combined_are_a_trade(tmp_path: Path) -> None:
    for name in ("order", "despatch", "invoice"):
        shutil.copytree(shared_data() / "peppol" / name, tmp_path / name)
    trade = read_trade(tmp_path)
    assert trade.currency == "EUR"
    assert trade.payable_minor > 0
    assert trade.lot.quantity > 0
    assert trade.carrier is not None
    assert len(trade.documents) == 15
    assert sum(each.used for each in trade.documents) == 3
