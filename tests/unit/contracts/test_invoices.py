"""The three-way match: what agrees is matched, what does not is disputed with its differences."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bizchain.contracts.documents.queries import leaf_digest
from bizchain.contracts.documents.types import KeyData, KeyLine
from bizchain.contracts.invoices.invariants import INVARIANTS
from bizchain.contracts.invoices.keys import INVOICE, ORDER_USE, RECEIPT_USE
from bizchain.contracts.invoices.queries import judge, order_use_of, receipt_use_of
from bizchain.contracts.invoices.types import (
    DIFFERENCES_TOLD_MAX,
    TRANSITIONS,
    Billed,
    DifferenceKind,
    DocumentName,
    InvoiceState,
    OrderUse,
)
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.amount import AMOUNT_MAX
from common.errors import CommonReason, Reason, TransferReason
from tests.kit import papers as kit
from tests.kit.council import check_invariants
from tests.kit.pair import furnished
from tests.kit.papers import INVOICE as BILL
from tests.kit.papers import LINES, ORDER, RECEIPT, Papers, key_data, line

D, S = DifferenceKind, InvoiceState
TOLERANCE = 100
ORDER_NAME = DocumentName("bob", "order-1")
RECEIPT_NAME = DocumentName("warehouse", "receipt-1")
UNUSED = OrderUse(0, ())


@pytest.fixture
def papers() -> Papers:
    made = Papers(furnished())
    made.trade()
    return made


def numbers(
    order: KeyData = ORDER,
    receipt: KeyData = RECEIPT,
    invoice: KeyData = BILL,
    tolerance: int = TOLERANCE,
    used: OrderUse = UNUSED,
) -> list[int]:
    """The numbers of the differences."""
    found = judge(order, receipt, invoice, tolerance, used).differences
    return [difference.number for difference in found]


def bill(*lines: KeyLine, **changed: Any) -> KeyData:
    return key_data("Invoice", "INV-1", lines, **changed)


def came(*lines: KeyLine) -> KeyData:
    return key_data("ReceiptAdvice", "RA-1", lines)


def test_what_was_ordered_received_and_billed_alike_is_matched(papers: Papers) -> None:
    assert papers.match() is None
    invoice = papers.invoice()
    assert (invoice.state, invoice.differences_count, invoice.differences) == (S.MATCHED, 0, ())
    assert (invoice.buyer, invoice.number, invoice.payable_minor) == ("bob", "INV-1", 14_000)
    assert invoice.billed == (Billed(0, 25_000), Billed(1, 10_000))
    state = papers.pair.business.ledger.state
    assert order_use_of(state, ORDER_NAME) == OrderUse(14_000, invoice.billed)
    use = receipt_use_of(state, RECEIPT_NAME)
    assert use is not None
    assert use.invoice == DocumentName("alice", "invoice-1")
    check_invariants(papers.pair.business)


COIL, BAR = LINES
CASES: list[tuple[str, dict[str, Any], list[DifferenceKind]]] = [
    ("another seller ordered from", {"order": key_data("Order", "PO-1", LINES, seller="carol")},
     [D.SELLER]),
    ("another seller received from", {"receipt": key_data("ReceiptAdvice", "RA-1", LINES,
     seller="carol")}, [D.SELLER]),
    ("another buyer received", {"receipt": key_data("ReceiptAdvice", "RA-1", LINES, buyer="carol")},
     [D.BUYER]),
    ("another currency", {"invoice": bill(*LINES, currency="CNY")}, [D.CURRENCY]),
    ("another order is named", {"invoice": bill(*LINES, order="PO-2")}, [D.ORDER_NUMBER]),
    ("no order is named", {"invoice": bill(*LINES, order="")}, []),
    ("an item nobody ordered", {"invoice": bill(*LINES, line("3", "nail", 10))},
     [D.ITEM_NOT_ORDERED]),
    ("an item nobody can name", {"invoice": bill(*LINES, line("3", "x", 10, items=()))},
     [D.ITEM_NOT_ORDERED]),
    ("another unit", {"invoice": bill(COIL, replace(BAR, unit="H87"))}, [D.UNIT]),
    ("more than came", {"receipt": came(COIL, replace(BAR, quantity=9_900))},
     [D.QUANTITY_NOT_AS_RECEIVED]),
    ("more than came, within the tolerance", {"receipt": came(COIL, replace(BAR, quantity=9_901))},
     []),
    ("more than came, at the edge", {"receipt": came(COIL, replace(BAR, quantity=10_000)),
     "invoice": bill(COIL, replace(BAR, quantity=10_100))}, []),
    ("more than came, over the edge", {"receipt": came(COIL, replace(BAR, quantity=10_000)),
     "invoice": bill(COIL, replace(BAR, quantity=10_101))},
     [D.QUANTITY_NOT_AS_RECEIVED, D.QUANTITY_ABOVE_ORDER]),
    ("less than came", {"receipt": came(COIL, replace(BAR, quantity=10_102))},
     [D.QUANTITY_NOT_AS_RECEIVED]),
    ("what never came", {"receipt": came(COIL)}, [D.QUANTITY_NOT_AS_RECEIVED]),
    ("not all that came", {"invoice": bill(COIL)}, [D.QUANTITY_NOT_AS_RECEIVED]),
    ("more than ordered", {"receipt": came(COIL, replace(BAR, quantity=10_101)),
     "invoice": bill(COIL, replace(BAR, quantity=10_101))}, [D.QUANTITY_ABOVE_ORDER]),
    ("a little more than ordered", {"receipt": came(COIL, replace(BAR, quantity=10_100)),
     "invoice": bill(COIL, replace(BAR, quantity=10_100))}, []),
    ("a dearer price", {"invoice": bill(COIL, replace(BAR, price_numerator=3))}, [D.PRICE]),
    ("a cheaper price", {"invoice": bill(COIL, replace(BAR, price_numerator=1))}, [D.PRICE]),
    ("the same price in other numbers", {"invoice": bill(COIL, replace(
     BAR, price_numerator=4, price_denominator=10))}, []),
    ("no price", {"invoice": bill(COIL, replace(BAR, price_numerator=0, price_denominator=0))},
     [D.PRICE]),
    ("a price nobody agreed", {"order": key_data("Order", "PO-1", (COIL, replace(
     BAR, price_numerator=0, price_denominator=0)))}, [D.PRICE]),
    ("a line rounded up", {"invoice": bill(COIL, replace(BAR, amount_minor=4_001))}, []),
    ("a line that is too dear", {"invoice": bill(COIL, replace(BAR, amount_minor=4_002))},
     [D.LINE_AMOUNT]),
    ("a line with a discount", {"invoice": bill(COIL, replace(BAR, amount_minor=3_000))}, []),
    ("a total that does not add up", {"invoice": bill(*LINES, lines_minor=14_001)},
     [D.LINES_TOTAL]),
    ("payable above the order", {"invoice": bill(*LINES, payable_minor=14_141)},
     [D.PAYABLE_ABOVE_ORDER]),
    ("payable at the edge", {"invoice": bill(*LINES, payable_minor=14_140)}, []),
    ("an order without a total", {"order": key_data("Order", "PO-1", LINES, payable_minor=0),
     "invoice": bill(*LINES, payable_minor=99_999)}, []),
    ("an item known by another of its numbers", {"invoice": bill(COIL, replace(
     BAR, items=("SELLER:7", "GTIN:bar")))}, []),
    ("one item on two lines", {"invoice": bill(
     COIL, line("2", "bar", 4_000), line("3", "bar", 6_000))}, []),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "expected"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_every_difference_is_found_by_its_number_and_nothing_else(
    changed: dict[str, Any], expected: list[DifferenceKind]
) -> None:
    assert numbers(**changed) == expected


def test_every_kind_of_difference_has_a_case() -> None:
    assert {kind for _, _, expected in CASES for kind in expected} == set(DifferenceKind)


def test_without_a_tolerance_a_gram_is_a_difference() -> None:
    receipt = came(COIL, replace(BAR, quantity=9_999))
    assert numbers(receipt=receipt, tolerance=0) == [D.QUANTITY_NOT_AS_RECEIVED]


def test_what_was_billed_of_the_order_before_counts() -> None:
    used = OrderUse(200, (Billed(1, 200),))
    assert numbers(used=used) == [D.QUANTITY_ABOVE_ORDER, D.PAYABLE_ABOVE_ORDER]
    assert numbers(used=OrderUse(100, (Billed(1, 100),))) == []


LINE = st.builds(
    line,
    st.sampled_from("123"),
    st.sampled_from(("coil", "bar", "nail")),
    st.sampled_from((0, 1, 100, 10_000, AMOUNT_MAX)),
    unit=st.sampled_from(("GRM", "H87")),
    items=st.sampled_from(((), ("GTIN:coil",), ("GTIN:bar",), ("GTIN:bar", "GTIN:coil"))),
    price_numerator=st.sampled_from((0, 2, AMOUNT_MAX)),
    price_denominator=st.sampled_from((0, 5, AMOUNT_MAX)),
    amount_minor=st.sampled_from((0, 40, AMOUNT_MAX)),
)


@given(
    order=st.lists(LINE, max_size=5),
    receipt=st.lists(LINE, max_size=5),
    invoice=st.lists(LINE, max_size=5),
)
def test_any_lines_are_judged_and_agree_only_where_quantities_do(
    order: list[KeyLine], receipt: list[KeyLine], invoice: list[KeyLine]
) -> None:
    """Against the plainest rule there is: all that is billed came, and in the same unit."""
    made = judge(key_data("Order", "PO-1", order), came(*receipt), bill(*invoice), 0, UNUSED)
    if not made.differences:
        for unit in ("GRM", "H87"):
            totals = [sum(x.quantity for x in lines if x.unit == unit) for lines in
                      (receipt, invoice)]  # fmt: skip
            assert totals[0] == totals[1]


def test_a_dispute_says_what_differs_and_can_be_settled_with_other_papers(papers: Papers) -> None:
    short = came(COIL, replace(BAR, quantity=9_000))
    assert papers.record("bob", "receipt-short", short) is None
    operation = kit.match()
    operation.receipt.CopyFrom(kit.opening("bob", "receipt-short", short))
    assert papers.pair.business.do("bob", match_invoice=operation) is None
    invoice = papers.invoice()
    [difference] = invoice.differences
    assert invoice.state == S.DISPUTED
    assert (difference.number, difference.subject) == (7, "GTIN:bar")
    assert (difference.found, difference.expected) == ("10000", "9000")
    assert papers.accept() is BusinessReason.WRONG_STATE
    check_invariants(papers.pair.business)
    assert papers.match() is None
    assert papers.invoice().state == S.MATCHED


def test_of_many_differences_the_first_are_told_and_all_are_counted(papers: Papers) -> None:
    strange = [line(str(number), f"item-{number}", 10) for number in range(100)]
    data = bill(*strange)
    assert papers.record("alice", "invoice-strange", data) is None
    operation = kit.match()
    operation.invoice.CopyFrom(kit.opening("alice", "invoice-strange", data))
    assert papers.pair.business.do("bob", match_invoice=operation) is None
    invoice = papers.invoice("invoice-strange")
    assert len(invoice.differences) == DIFFERENCES_TOLD_MAX
    assert invoice.differences_count == 102


def test_three_documents_of_a_hundred_lines_fit_one_transaction(papers: Papers) -> None:
    lines = [
        line(str(number), f"{9_520_001_000_000 + number}", AMOUNT_MAX // 1000, amount_minor=0)
        for number in range(100)
    ]
    datas = [
        key_data(kind, f"{kind}-L", lines, order="")
        for kind in ("Order", "ReceiptAdvice", "Invoice")
    ]
    papers.trade("long", *datas)
    assert papers.match("long", *datas) is None
    assert papers.invoice("invoice-long").state == S.MATCHED


def test_what_no_ledger_counts_is_refused_where_it_would_be_kept(papers: Papers) -> None:
    """Each line is within range, their sum is not: no sum is stored that has no encoding."""
    huge = [line(str(number), "coil", AMOUNT_MAX, amount_minor=0) for number in range(3)]
    datas = [
        key_data(kind, f"{kind}-H", huge, order="")
        for kind in ("Order", "ReceiptAdvice", "Invoice")
    ]
    papers.trade("huge", *datas)
    assert papers.match("huge", *datas) is CommonReason.AMOUNT_OUT_OF_RANGE
    operation = kit.match("huge", *datas)
    operation.receipt.CopyFrom(kit.opening("warehouse", "receipt-1", RECEIPT))
    assert papers.pair.business.do("bob", match_invoice=operation) is None
    assert papers.invoice("invoice-huge").state == S.DISPUTED


def test_all_that_is_billed_of_an_order_stays_within_range(papers: Papers) -> None:
    half = [replace(one, quantity=one.quantity // 2, amount_minor=0) for one in LINES]
    order = key_data("Order", "PO-1", LINES, payable_minor=0)
    for suffix, expected in (("a", None), ("b", CommonReason.AMOUNT_OUT_OF_RANGE)):
        invoice = key_data("Invoice", f"INV-{suffix}", half, payable_minor=AMOUNT_MAX)
        papers.trade(suffix, order, came(*half), invoice)
        operation = kit.match(suffix, order, came(*half), invoice)
        operation.order.CopyFrom(kit.opening("bob", "order-a", order))
        assert papers.pair.business.do("bob", match_invoice=operation) is expected


# --- states -------------------------------------------------------------------------------------


WAYS: dict[InvoiceState, tuple[str, ...]] = {
    S.RECORDED: (),
    S.MATCHED: ("agree",),
    S.DISPUTED: ("differ",),
    S.ACCEPTED: ("agree", "accept"),
    S.REJECTED: ("agree", "reject"),
}


@pytest.mark.parametrize(
    ("stands", "step"), list(product(S, ("agree", "differ", "accept", "reject")))
)
def test_an_invoice_can_do_what_its_table_holds_and_nothing_else(
    papers: Papers, stands: InvoiceState, step: str
) -> None:
    def do(step: str) -> Reason | None:
        if step == "differ":
            operation = kit.match()
            operation.order.CopyFrom(kit.opening("bob", "order-other", other))
            return papers.pair.business.do("bob", match_invoice=operation)
        return {"agree": papers.match, "accept": papers.accept, "reject": papers.reject}[step]()

    other = key_data("Order", "PO-2", LINES)
    assert papers.record("bob", "order-other", other) is None
    for way in WAYS[stands]:
        assert do(way) is None
    reached = TRANSITIONS.get((stands, step))
    refused = do(step)
    assert (refused is None) == (reached is not None)
    if stands is not S.RECORDED or reached is not None:
        assert papers.invoice().state == (reached or stands)
    check_invariants(papers.pair.business)


def test_what_a_rejected_invoice_was_matched_with_is_free_again(papers: Papers) -> None:
    assert papers.match() is None
    assert papers.reject() is None
    assert papers.invoice().ground == "not ordered"
    state = papers.pair.business.ledger.state
    assert order_use_of(state, ORDER_NAME) == UNUSED
    assert receipt_use_of(state, RECEIPT_NAME) is None
    corrected = key_data("Invoice", "INV-1a", LINES)
    assert papers.record("alice", "invoice-1a", corrected) is None
    operation = kit.match()
    operation.invoice.CopyFrom(kit.opening("alice", "invoice-1a", corrected))
    assert papers.pair.business.do("bob", match_invoice=operation) is None
    assert papers.invoice("invoice-1a").state == S.MATCHED
    check_invariants(papers.pair.business)


def test_goods_are_not_billed_twice_over_one_receipt_or_beyond_the_order(papers: Papers) -> None:
    assert papers.match() is None
    again = key_data("Invoice", "INV-2", LINES)
    papers.trade("2", invoice=again)
    operation = kit.match("2", invoice=again)
    operation.receipt.CopyFrom(kit.opening("warehouse", "receipt-1", RECEIPT))
    refused = papers.pair.business.do("bob", match_invoice=operation)
    assert refused is BusinessReason.RECEIPT_MATCHED
    operation.receipt.CopyFrom(kit.opening("warehouse", "receipt-2", RECEIPT))
    operation.order.CopyFrom(kit.opening("bob", "order-1", ORDER))
    assert papers.pair.business.do("bob", match_invoice=operation) is None
    told = [difference.number for difference in papers.invoice("invoice-2").differences]
    assert told == [D.QUANTITY_ABOVE_ORDER, D.QUANTITY_ABOVE_ORDER, D.PAYABLE_ABOVE_ORDER]


# --- who may ----------------------------------------------------------------------------------


def test_the_buyer_or_a_core_enterprise_matches_and_only_the_buyer_decides(papers: Papers) -> None:
    for sender in ("alice", "carol", "bank", "warehouse"):
        assert papers.match(by=sender) is BusinessReason.NOT_THE_BUYER
    assert papers.match(by="operator") is None
    for sender in ("alice", "operator", "bank"):
        assert papers.accept(sender) is BusinessReason.NOT_THE_BUYER
        assert papers.reject(sender) is BusinessReason.NOT_THE_BUYER
    assert papers.accept() is None


@pytest.mark.parametrize(
    ("which", "owner", "data"),
    [
        ("order", "alice", ORDER),  # the seller's own idea of what was ordered
        ("order", "carol", ORDER),
        ("receipt", "alice", RECEIPT),  # the seller's own word that it came
        ("receipt", "carol", RECEIPT),
        ("invoice", "bob", BILL),  # the buyer's own bill to itself
        ("invoice", "alice", key_data("Invoice", "INV-3", LINES, seller="carol")),
        ("invoice", "alice", key_data("Invoice", "INV-3", LINES, buyer="carol")),
        ("invoice", "alice", key_data("Invoice", "INV-3", LINES, buyer="alice")),
        ("invoice", "alice", key_data("Invoice", "INV-3", ())),
    ],
)
def test_papers_of_others_are_no_match(
    papers: Papers, which: str, owner: str, data: KeyData
) -> None:
    assert papers.record(owner, "odd-1", data) is None
    operation = kit.match()
    getattr(operation, which).CopyFrom(kit.opening(owner, "odd-1", data))
    refused = papers.pair.business.do("operator", match_invoice=operation)
    assert refused is BusinessReason.NOT_ONE_TRADE


def test_an_unknown_currency_is_refused(papers: Papers) -> None:
    data = key_data("Invoice", "INV-3", LINES, currency="XXQ")
    assert papers.record("alice", "odd-1", data) is None
    operation = kit.match()
    operation.invoice.CopyFrom(kit.opening("alice", "odd-1", data))
    refused = papers.pair.business.do("bob", match_invoice=operation)
    assert refused is CommonReason.UNKNOWN_CURRENCY


def test_what_the_judgement_does_not_need_may_stay_hidden(papers: Papers) -> None:
    operation = kit.match()
    hidden: tuple[str, ...] = ("number", "issue_date", "currency", "lines_minor", "payable_minor")
    operation.receipt.CopyFrom(kit.opening("warehouse", "receipt-1", RECEIPT, hidden))
    hidden = ("issue_date", "order", "lines_minor")
    operation.order.CopyFrom(kit.opening("bob", "order-1", ORDER, hidden))
    assert papers.pair.business.do("bob", match_invoice=operation) is None
    assert papers.invoice().state == S.MATCHED


@pytest.mark.parametrize("field", ["seller", "buyer", "kind", "line_count"])
def test_what_the_judgement_needs_must_be_open(papers: Papers, field: str) -> None:
    operation = kit.match()
    operation.receipt.CopyFrom(kit.opening("warehouse", "receipt-1", RECEIPT, (field,)))
    refused = papers.pair.business.do("bob", match_invoice=operation)
    assert refused is BusinessReason.KEY_DATA_HIDDEN


def test_a_hidden_line_is_refused(papers: Papers) -> None:
    operation = kit.match()
    shown = operation.receipt.leaves[-1]
    digest = kit.committed(RECEIPT).leaves()[-1]
    shown.CopyFrom(pb.KeyDataLeaf(digest=leaf_digest(digest.salt, digest.data)))
    refused = papers.pair.business.do("bob", match_invoice=operation)
    assert refused is BusinessReason.KEY_DATA_HIDDEN


@pytest.mark.parametrize("held", ["alice", "bob"])
def test_no_invoice_of_one_who_is_held_is_accepted(papers: Papers, held: str) -> None:
    papers.pair.hold("party", held)
    assert papers.match() is None
    assert papers.accept() is TransferReason.SUBJECT_HELD
    papers.pair.lift("party", held)
    assert papers.accept() is None


# --- invariants -------------------------------------------------------------------------------


def broken(papers: Papers) -> set[str]:
    state = papers.pair.business.ledger.state
    return {name for name, invariant in INVARIANTS.items() if invariant(state)}


def test_the_invariants_see_what_is_wrong(papers: Papers) -> None:
    assert papers.match() is None
    assert broken(papers) == set()
    state = papers.pair.business.ledger.state
    key, invoice = INVOICE.key("alice", "invoice-1"), papers.invoice()
    state.put(INVOICE, key, replace(invoice, differences_count=1))
    assert broken(papers) == {"invoices are whole"}
    state.put(INVOICE, key, replace(invoice, state=S.DISPUTED.value))
    assert broken(papers) == {"invoices are whole", "goods are billed once"}
    state.put(INVOICE, key, replace(invoice, payable_minor=1))
    assert broken(papers) == {"invoices are whole", "goods are billed once"}
    state.put(INVOICE, key, invoice)
    place = ORDER_USE.key("bob", "order-1")
    state.put(ORDER_USE, place, OrderUse(14_000, (Billed(0, 1),)))
    assert broken(papers) == {"goods are billed once"}
    state.put(ORDER_USE, place, OrderUse(14_000, invoice.billed))
    state.delete(RECEIPT_USE, RECEIPT_USE.key("warehouse", "receipt-1"))
    assert broken(papers) == {"goods are billed once"}
