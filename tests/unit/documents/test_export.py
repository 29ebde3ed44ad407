"""What is exported is read back to the same key data, and has the order the standards ask for."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from bizchain.contracts.cash.types import AccountClass
from bizchain.documents.camt import SPACE, Account, Posting, notification, postings_of
from bizchain.documents.errors import DocumentReason
from bizchain.documents.export import CSV_COLUMNS, lines_csv, ubl_invoice
from bizchain.documents.keydata import key_data_of
from bizchain.documents.records import Document
from bizchain.documents.ubl import read_ubl
from bizchain.statement import Line, Statement
from common.errors import Refused
from relay.cli.export import export_csv, export_ubl
from relay.cli.output import Output
from tests.shared_data import SAMPLES, needs_shared_data, shared_data

INVOICE = read_ubl((SAMPLES / "invoice.xml").read_bytes())
ORDER = read_ubl((SAMPLES / "order.xml").read_bytes())
OFFICIAL = [
    path
    for pattern in ("ubl/UBL-Invoice*", "ubl/UBL-Order-*", "peppol/invoice/*",
                    "peppol/order/*")
    for path in sorted(shared_data().glob(pattern))
]  # fmt: skip


def same(read: Document, document: Document) -> bool:
    """The same parties, lines, amounts and quantities."""
    parties = [(read.seller, document.seller), (read.buyer, document.buyer)]
    if not all(a and b and (a.name, a.country) == (b.name, b.country) for a, b in parties):
        return False
    left, right = (key_data_of(each, "acme", "bridge-works") for each in (read, document))
    return left.lines == right.lines and read.totals.payable_minor == document.totals.payable_minor


def test_an_invoice_comes_back_as_it_was() -> None:
    written = ubl_invoice(INVOICE)
    read = read_ubl(written)
    assert read.remarks == ()
    assert replace(read, sha256=INVOICE.sha256, seller=None, buyer=None, lines=()) == replace(
        INVOICE, seller=None, buyer=None, carrier=None, lines=()
    )
    assert same(read, INVOICE)
    assert read.seller is not None
    assert INVOICE.seller is not None
    assert set(read.seller.identifiers) >= set(INVOICE.seller.identifiers)
    assert ubl_invoice(INVOICE) == written


def test_an_order_becomes_the_invoice_of_what_it_orders() -> None:
    read = read_ubl(ubl_invoice(ORDER, "INV-1", "2025-07-01"))
    assert (read.kind, read.id, read.issue_date) == ("Invoice", "INV-1", "2025-07-01")
    assert read.referred("order") == (ORDER.id,)
    assert same(read, ORDER)


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({"seller": None}, "a seller"),
        ({"buyer": None}, "a buyer"),
        ({"issue_date": None}, "an issue date"),
        ({"lines": ()}, "lines"),
        ({"lines": (replace(INVOICE.lines[0], amount_minor=None),)}, "an amount of every line"),
        ({"totals": replace(INVOICE.totals, payable_minor=None)}, "a payable amount"),
        ({"id": "\x00"}, "XML"),
    ],
)
def test_what_is_missing_is_said(changed: dict[str, Any], missing: str) -> None:
    with pytest.raises(Refused) as caught:
        ubl_invoice(replace(INVOICE, **changed))
    assert caught.value.reason is DocumentReason.EXPORT_INCOMPLETE
    assert missing in caught.value.message


@needs_shared_data
@pytest.mark.parametrize("path", OFFICIAL, ids=lambda path: path.name)
def test_every_official_invoice_and_order_comes_back(path: Path) -> None:
    document = read_ubl(path.read_bytes())
    read = read_ubl(ubl_invoice(document))
    assert same(read, document)
    assert not [remark for remark in read.remarks if remark.rule.startswith("BR-CO-")]


def test_lines_are_rows_and_no_text_is_a_formula() -> None:
    line = replace(INVOICE.lines[0], item=replace(INVOICE.lines[0].item, name='=cmd|"x"!A1, b'))
    text = lines_csv([INVOICE, replace(INVOICE, lines=(line,))])
    head, first, second = list(csv.reader(io.StringIO(text)))
    assert tuple(head) == CSV_COLUMNS
    assert first[0] == "Invoice"
    assert first[-3:] == ["24750000", "GRM", "9900000"]
    assert second[7] == '\'=cmd|"x"!A1, b'


def test_the_commands_write_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    export_ubl(Output.JSON, SAMPLES / "order.xml", "INV-1")
    assert read_ubl(capsys.readouterr().out.encode()).id == "INV-1"
    export_csv(Output.JSON, [SAMPLES / "order.xml", SAMPLES / "invoice.xml"])
    assert len(capsys.readouterr().out.splitlines()) == 3


# --- camt.054 ---------------------------------------------------------------------------------

ACCOUNT = Account("bob", "Bob & Sons", "5493001KJTIIGC8Y1R12", "KWD")
START = 1_800_000_000_123
A, R = AccountClass.AVAILABLE, AccountClass.RESERVED
STATEMENT = Statement(
    "bob",
    "KWD",
    1,
    9,
    {},
    {},
    0,
    (
        Line(3, START, A, "issuance/bank", 0, 5_000, 5_000, "SWIFT-77"),
        Line(4, START + 1, A, "reserved/bob", 1_000, 0, 4_000, "ab" * 32),
        Line(4, START + 1, R, "available/bob", 0, 1_000, 1_000, "ab" * 32),
        Line(4, START + 1, A, "available/carol", 7, 0, 3_993, ""),
        Line(5, START + 2, R, "available/alice", 990, 0, 10, "ab" * 32),
        Line(5, START + 2, R, "fees/platform-1", 10, 0, 0, "ab" * 32),
    ),
)
ORDER_OF_ENTRY = (
    "NtryRef", "Amt", "CdtDbtInd", "RvslInd", "Sts", "BookgDt", "ValDt", "AcctSvcrRef", "Avlbty",
    "BkTxCd", "ComssnWvrInd", "AddtlInfInd", "AmtDtls", "Chrgs", "TechInptChanl", "Intrst",
    "CardTx", "NtryDtls", "AddtlNtryInf",
)  # fmt: skip
ORDER_OF_DETAILS = (
    "Refs", "Amt", "CdtDbtInd", "AmtDtls", "Avlbty", "BkTxCd", "Chrgs", "Intrst", "RltdPties",
    "RltdAgts", "LclInstrm", "Purp", "RltdRmtInf", "RmtInf",
)  # fmt: skip
"""Of ReportEntry10 and EntryTransaction10, as the message definition lists them."""


def told(message: bytes) -> Any:
    root = etree.fromstring(message)
    assert root.tag == f"{{{SPACE}}}Document"
    return root


def texts(root: Any, path: str) -> list[str]:
    steps = "/".join(f"c:{step}" for step in path.split("/"))
    return [str(element.text) for element in root.findall(f".//{steps}", {"c": SPACE})]


def test_postings_are_what_moves_between_a_party_and_others() -> None:
    postings = postings_of(STATEMENT)
    assert postings == [
        Posting(3, 1, START, True, 5_000, "bank", "SWIFT-77"),
        Posting(4, 1, START + 1, False, 7, "carol", ""),
        Posting(5, 1, START + 2, False, 990, "alice", "ab" * 32),
        Posting(5, 2, START + 2, False, 10, "platform-1", "ab" * 32),
    ]


def test_a_notification_says_each_posting_once_in_the_standard_s_order() -> None:
    message = notification(ACCOUNT, postings_of(STATEMENT))
    root = told(message)
    assert texts(root, "GrpHdr/MsgId") == ["3.1-5.2"]
    assert texts(root, "GrpHdr/CreDtTm") == ["2027-01-15T08:00:00.125Z"]
    assert texts(root, "Acct/Id/Othr/Id") == ["bob/KWD"]
    assert texts(root, "Acct/Ownr/Nm") == ["Bob & Sons"]
    assert texts(root, "Acct/Ownr/Id/OrgId/LEI") == ["5493001KJTIIGC8Y1R12"]
    assert texts(root, "Ntry/Amt") == ["5.000", "0.007", "0.990", "0.010"]
    assert texts(root, "Ntry/CdtDbtInd") == ["CRDT", "DBIT", "DBIT", "DBIT"]
    assert texts(root, "Dbtr/Pty/Nm") == ["bank"]
    assert texts(root, "Cdtr/Pty/Nm") == ["carol", "alice", "platform-1"]
    assert texts(root, "Refs/EndToEndId") == ["SWIFT-77"] + ["NOTPROVIDED"] * 3
    assert texts(root, "RmtInf/Ustrd") == ["SWIFT-77", "ab" * 32, "ab" * 32]
    for entry in root.iter(f"{{{SPACE}}}Ntry"):
        ordered(entry, ORDER_OF_ENTRY)
    for details in root.iter(f"{{{SPACE}}}TxDtls"):
        ordered(details, ORDER_OF_DETAILS)
    assert notification(ACCOUNT, postings_of(STATEMENT)) == message


def ordered(element: Any, names: tuple[str, ...]) -> None:
    places = [names.index(etree.QName(child).localname) for child in element]
    assert places == sorted(set(places))


def test_long_names_and_references_are_kept_within_the_standard_s_lengths() -> None:
    account = Account("b" * 40, "n" * 200, "", "EUR")
    posting = Posting(10**12, 10**6, START, True, 1, "c" * 40, "r" * 200)
    root = told(notification(account, [posting, posting._replace(height=10**18)]))
    for path, most in (
        ("GrpHdr/MsgId", 35), ("Ntfctn/Id", 35), ("Acct/Id/Othr/Id", 34), ("Ownr/Nm", 140),
        ("NtryRef", 35), ("AcctSvcrRef", 35), ("EndToEndId", 35), ("Ustrd", 140),
    ):  # fmt: skip
        found = texts(root, path)
        assert found
        assert all(0 < len(text) <= most for text in found), path


@pytest.mark.parametrize(
    "postings",
    [
        [],
        [Posting(1, 1, START, True, 10**18, "x", "")],
        [Posting(1, 1, START, True, 1, "x", "a\x00b")],
    ],
)
def test_what_the_standard_cannot_say_is_refused(postings: list[Posting]) -> None:
    with pytest.raises(Refused) as caught:
        notification(ACCOUNT, postings)
    assert caught.value.reason is DocumentReason.EXPORT_INCOMPLETE
