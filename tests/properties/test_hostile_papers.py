"""Whatever a document commits to, a match of it is refused or judged: no key data stop a node.

Owners choose the leaves of their documents, so that an opening leads to its commitment says nothing
of its sense: here they are as odd as their encoding allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bizchain.contracts.documents.queries import invoice_hash, key_data_root, leaf_digest
from bizchain.contracts.documents.types import HEADER_FIELDS, KeyField, KeyLine
from bizchain.contracts.invoices.queries import invoice_of
from bizchain.v1 import operation_pb2 as pb
from common.amount import AMOUNT_MAX
from common.encoding import encode
from tests.kit.council import check_invariants
from tests.kit.pair import furnished
from tests.kit.papers import BUYER, LINES, SELLER, WAREHOUSE, Papers, grant, key_data, line

NUMBERS = st.sampled_from((0, 1, 5, 14_000, AMOUNT_MAX, 2**64 - 1, -1))
TEXTS = st.sampled_from(("", "GRM", "EUR", "GTIN:coil", "GTIN:bar", "PO-1", "x" * 200, "x/y\x00"))
ODD = st.one_of(NUMBERS, TEXTS)
LINE = st.builds(
    KeyLine,
    TEXTS,
    st.lists(TEXTS, max_size=5).map(tuple),
    NUMBERS,
    st.sampled_from(("GRM", "", "H87")),
    NUMBERS,
    NUMBERS,
    NUMBERS,
)
OWNERS = {"Order": BUYER, "ReceiptAdvice": WAREHOUSE, "Invoice": SELLER}
SALT = bytes(32)
IDS = count()
PAPERS: list[Papers] = []


def papers() -> Papers:
    """One pair for all examples."""
    if not PAPERS:
        PAPERS.append(Papers(furnished()))
    return PAPERS[0]


Paper = tuple[dict[str, Any], list[bytes]]
"""The fields of a header, and the canonical bytes of all leaves."""


@st.composite
def drawn_papers(draw: st.DrawFn) -> list[Paper]:
    """The three documents of a trade, some of their values odd."""
    usual = draw(st.lists(LINE, min_size=1, max_size=4))
    return [draw(paper(kind, usual)) for kind in OWNERS]


@st.composite
def paper(draw: st.DrawFn, kind: str, usual: list[KeyLine]) -> Paper:
    lines = draw(st.one_of(st.just(list(LINES)), st.just(usual), st.lists(LINE, max_size=4)))
    odd = draw(st.lists(st.sampled_from(sorted(HEADER_FIELDS)), max_size=1))
    return paper_of(kind, lines, **{name: draw(ODD) for name in odd})


def paper_of(kind: str, lines: Sequence[KeyLine], /, **changed: str | int) -> Paper:
    """A document with a number of its own; its totals are its lines'."""
    data = key_data(kind, f"N-{next(IDS)}", lines, order="")
    total = min(sum(line.amount_minor for line in lines), 2**64 - 1)  # the encoding holds no more
    fields = {**data.fields, "lines_minor": total, "payable_minor": total, **changed}
    leaves = [encode(KeyField(name, fields[name])) for name in HEADER_FIELDS]
    return fields, leaves + [encode(line) for line in lines]


def recorded(owner: str, kind: str, made: Paper) -> pb.DocumentOpening:
    """The opening of a document with these leaves, once it is recorded under its true hash."""
    document_id = f"odd-{next(IDS)}"
    fields, leaves = made
    names = ("seller", "number", "issue_date", "payable_minor", "currency")
    operation = pb.RecordSealedDocument(
        document_id=document_id,
        kind=kind,
        commitment=SALT,
        key_data_root=key_data_root([leaf_digest(SALT, one) for one in leaves]),
        key_data_leaves=len(leaves),
        sealed_key_data=b"x",
        content_digest=SALT,
        content_bytes=1,
        invoice_hash=invoice_hash(*(fields[one] for one in names)) if kind == "Invoice" else b"",
        readers=[grant(owner)],
    )
    papers().pair.business.do(owner, record_sealed_document=operation)
    return pb.DocumentOpening(
        owner=owner,
        document_id=document_id,
        leaves=[pb.KeyDataLeaf(salt=SALT, field=one) for one in leaves],
    )


def matched(drawn: Sequence[Paper], tolerance: int) -> str:
    """What became of the invoice: its state, or that the match was refused."""
    order, receipt, invoice = (
        recorded(owner, kind, made)
        for (kind, owner), made in zip(OWNERS.items(), drawn, strict=True)
    )
    operation = pb.MatchInvoice(
        order=order,
        receipt=receipt,
        invoice=invoice,
        quantity_tolerance_basis_points=tolerance,
    )
    side = papers().pair.business
    refused = side.do(BUYER, match_invoice=operation)
    found = invoice_of(side.ledger.state, SELLER, invoice.document_id)
    assert (refused is None) == (found is not None)
    check_invariants(side)
    return "refused" if found is None else found.state


@settings(max_examples=200, deadline=None)
@given(drawn=drawn_papers(), tolerance=st.sampled_from((0, 100, 1_000)))
def test_no_key_data_stop_a_ledger(drawn: list[Paper], tolerance: int) -> None:
    assert matched(drawn, tolerance) in ("refused", "MATCHED", "DISPUTED")


HUGE = line("1", "coil", AMOUNT_MAX, amount_minor=AMOUNT_MAX)
NOTHING = line("1", "coil", 0, price_numerator=AMOUNT_MAX, price_denominator=AMOUNT_MAX)


@pytest.mark.parametrize(
    ("billed", "expected"),
    [
        ([NOTHING], "MATCHED"),
        ([HUGE], "DISPUTED"),
        ([HUGE, HUGE, HUGE], "refused"),  # no total of them can be stated
        ([line("1", "", 0, items=())], "DISPUTED"),
        ([], "refused"),
    ],
)
def test_odd_papers_are_judged_and_not_only_refused(billed: list[KeyLine], expected: str) -> None:
    """Else the test above would show nothing."""
    drawn = [
        paper_of("Order", [NOTHING], payable_minor=0),
        paper_of("ReceiptAdvice", [NOTHING]),
        paper_of("Invoice", billed, payable_minor=7),
    ]
    assert matched(drawn, 0) == expected
