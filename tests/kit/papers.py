"""Documents of a trade on a furnished pair: alice sells coils to bob, the warehouse receives them.

papers = Papers(pair)                       # everybody has a reading key
assert papers.record("bob", "order-1", ORDER) is None
assert papers.record("warehouse", "receipt-1", RECEIPT) is None
assert papers.record("alice", "invoice-1", INVOICE) is None
assert papers.match() is None
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bizchain.contracts.documents.types import KeyData, KeyLine
from bizchain.contracts.invoices.queries import invoice_of
from bizchain.contracts.invoices.types import Invoice
from bizchain.documents.keydata import CommittedKeyData
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.amount import AMOUNT_MAX
from common.crypto.digest import sha256
from common.crypto.sealing import ReaderKey
from common.errors import CommonReason, Reason
from tests.kit.pair import Pair

SELLER, BUYER, WAREHOUSE = "alice", "bob", "warehouse"
READERS = (SELLER, BUYER, "carol", WAREHOUSE, "bank")
PRICE = (2, 5)
"""Minor units for one gram: 4 EUR a kilogram."""


def line(number: str, item: str, quantity: int, **changed: Any) -> KeyLine:
    """A line of goods at the usual price."""
    fields: dict[str, Any] = {
        "number": number,
        "items": (f"GTIN:{item}",),
        "quantity": quantity,
        "unit": "GRM",
        "price_numerator": PRICE[0],
        "price_denominator": PRICE[1],
        "amount_minor": quantity * PRICE[0] // PRICE[1],
    }
    return KeyLine(**{**fields, **changed})


def key_data(kind: str, number: str, lines: Sequence[KeyLine], **changed: Any) -> KeyData:
    """Key data of a document between alice and bob, with totals of its lines."""
    added = sum(one.amount_minor for one in lines)
    fields: dict[str, str | int] = {
        "kind": kind,
        "number": number,
        "issue_date": "2025-06-12",
        "order": "" if kind == "Order" else "PO-1",
        "seller": SELLER,
        "buyer": BUYER,
        "currency": "EUR",
        "lines_minor": added,
        "payable_minor": added,
        "line_count": len(lines),
    }
    return KeyData({**fields, **changed}, tuple(lines))


LINES = (line("1", "coil", 25_000), line("2", "bar", 10_000))
ORDER = key_data("Order", "PO-1", LINES)
RECEIPT = key_data("ReceiptAdvice", "RA-1", LINES)
INVOICE = key_data("Invoice", "INV-1", LINES)


def committed(data: KeyData) -> CommittedKeyData:
    """Under salts that are the same in every run."""
    return CommittedKeyData(data, sha256(str(data.fields["number"]).encode()), bytes(32))


def grant(party: str, number: int = 1, sealed: bytes = b"k" * 80) -> pb.SealedKeyGrant:
    return pb.SealedKeyGrant(
        party_id=party, user_id="maker", key_number=number, sealed_content_key=sealed
    )


def sealed_record(document_id: str, data: KeyData, /, **changed: Any) -> pb.RecordSealedDocument:
    """What records a document with this key data, for all readers."""
    made = committed(data)
    fields: dict[str, Any] = {
        "document_id": document_id,
        "kind": str(data.fields["kind"]),
        "commitment": sha256(document_id.encode()),
        "key_data_root": made.root,
        "key_data_leaves": made.leaf_count,
        "sealed_key_data": b"sealed",
        "content_digest": sha256(b"sealed file"),
        "content_bytes": 11,
        "invoice_hash": made.invoice_hash,
        "subject": "",
        "readers": [grant(reader) for reader in READERS],
    }
    return pb.RecordSealedDocument(**{**fields, **changed})


def opening(
    owner: str, document_id: str, data: KeyData, hide: Sequence[str] = ()
) -> pb.DocumentOpening:
    """A document shown to the chain."""
    return pb.DocumentOpening(
        owner=owner,
        document_id=document_id,
        leaves=[
            pb.KeyDataLeaf(salt=leaf.salt, field=leaf.data, digest=leaf.digest)
            for leaf in committed(data).leaves(hide)
        ],
    )


def match(
    suffix: str = "1",
    order: KeyData = ORDER,
    receipt: KeyData = RECEIPT,
    invoice: KeyData = INVOICE,
    **changed: Any,
) -> pb.MatchInvoice:
    """The match of the documents with this suffix."""
    fields: dict[str, Any] = {
        "order": opening(BUYER, f"order-{suffix}", order),
        "receipt": opening(WAREHOUSE, f"receipt-{suffix}", receipt),
        "invoice": opening(SELLER, f"invoice-{suffix}", invoice),
        "quantity_tolerance_basis_points": 100,
    }
    return pb.MatchInvoice(**{**fields, **changed})


class Papers:
    """A pair on which the readers are known."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        for reader in READERS:
            operation = pb.RegisterReadingKey(public_key=reading_key(reader).public_key)
            assert pair.business.do(reader, register_reading_key=operation) is None

    def record(self, owner: str, document_id: str, data: KeyData, **changed: Any) -> Reason | None:
        operation = sealed_record(document_id, data, **changed)
        return self.pair.business.do(owner, record_sealed_document=operation)

    def trade(
        self,
        suffix: str = "1",
        order: KeyData = ORDER,
        receipt: KeyData = RECEIPT,
        invoice: KeyData = INVOICE,
    ) -> None:
        """Record the three documents of a trade."""
        assert self.record(BUYER, f"order-{suffix}", order) is None
        assert self.record(WAREHOUSE, f"receipt-{suffix}", receipt) is None
        assert self.record(SELLER, f"invoice-{suffix}", invoice) is None

    def match(self, *datas: Any, by: str = BUYER, **named: Any) -> Reason | None:
        return self.pair.business.do(by, match_invoice=match(*datas, **named))

    def accept(self, by: str = BUYER, document_id: str = "invoice-1") -> Reason | None:
        operation = pb.AcceptInvoice(seller=SELLER, document_id=document_id)
        return self.pair.business.do(by, accept_invoice=operation)

    def reject(self, by: str = BUYER, document_id: str = "invoice-1") -> Reason | None:
        operation = pb.RejectInvoice(seller=SELLER, document_id=document_id, ground="not ordered")
        return self.pair.business.do(by, reject_invoice=operation)

    def invoice(self, document_id: str = "invoice-1") -> Invoice:
        found = invoice_of(self.pair.business.ledger.state, SELLER, document_id)
        assert found is not None
        return found


def reading_key(reader: str) -> ReaderKey:
    return ReaderKey(sha256(f"reading key of {reader}".encode()))


# --- for the tests of all operations: one accepted example each, and what is refused ------------

SECOND = key_data("Invoice", "INV-2", LINES)
EXAMPLES: dict[str, tuple[str, Any]] = {
    "register_reading_key": ("alice", pb.RegisterReadingKey(public_key=b"\x09" * 32)),
    "record_sealed_document": ("bob", sealed_record("order-9", ORDER)),
    "grant_reading": (
        "alice",
        pb.GrantReading(document_id="alone-1", readers=[grant("bank")]),
    ),
    "match_invoice": ("bob", match()),
    "accept_invoice": ("bob", pb.AcceptInvoice(seller=SELLER, document_id="invoice-2")),
    "reject_invoice": (
        "bob",
        pb.RejectInvoice(seller=SELLER, document_id="invoice-2", ground="late"),
    ),
}


def prepared(pair: Pair) -> Papers:
    """What the examples need: an invoice to match, a matched one, a document of one reader."""
    papers = Papers(pair)
    papers.trade()
    papers.trade("2", invoice=SECOND)
    assert papers.match("2", invoice=SECOND) is None
    assert papers.record("alice", "alone-1", ORDER, readers=[grant("alice")]) is None
    return papers


def _wrong_records() -> list[dict[str, Any]]:
    return [
        {"document_id": "a/b"},
        {"document_id": "x" * 65},
        {"kind": "In voice"},
        {"commitment": bytes(31)},
        {"key_data_root": b""},
        {"content_digest": bytes(33)},
        {"invoice_hash": bytes(32)},
        {"kind": "Invoice", "invoice_hash": b""},
        {"key_data_leaves": 9},
        {"key_data_leaves": 111},
        {"key_data_leaves": -1},
        {"sealed_key_data": b""},
        {"sealed_key_data": bytes(32 * 1024 + 1)},
        {"content_bytes": 0},
        {"content_bytes": 16 * 1024 * 1024 + 1},
        {"subject": "x" * 101},
        {"readers": []},
        {"readers": [grant("bob"), grant("bob")]},
        {"readers": [grant("bob")] * 33},
        {"readers": [grant("bob", sealed=bytes(79))]},
        {"readers": [grant("b/b")]},
    ]


def _without_an_invoice() -> pb.MatchInvoice:
    operation = match()
    operation.ClearField("invoice")
    return operation


def _with_both_field_and_digest() -> pb.MatchInvoice:
    operation = match()
    operation.invoice.leaves[0].digest = bytes(32)
    return operation


WRONG: list[tuple[str, str, str, Any, Reason]] = [
    *(
        (
            "bizchain",
            "register_reading_key",
            "alice",
            pb.RegisterReadingKey(public_key=key),
            CommonReason.INVALID_ARGUMENT,
        )
        for key in (b"", bytes(31), bytes(32), bytes(33))
    ),
    *(
        (
            "bizchain",
            "record_sealed_document",
            "bob",
            sealed_record("order-9", ORDER, **changed),
            CommonReason.INVALID_ARGUMENT,
        )
        for changed in _wrong_records()
    ),
    *(
        ("bizchain", "match_invoice", "bob", operation, CommonReason.INVALID_ARGUMENT)
        for operation in (
            match(quantity_tolerance_basis_points=-1),
            match(quantity_tolerance_basis_points=1_001),
            _without_an_invoice(),
            _with_both_field_and_digest(),
        )
    ),
    *(
        (
            "bizchain",
            "reject_invoice",
            "bob",
            pb.RejectInvoice(seller=SELLER, document_id="invoice-2", ground=ground),
            CommonReason.INVALID_ARGUMENT,
        )
        for ground in ("", "x" * 201)
    ),
    *(
        ("bizchain", kind, sender, operation, CommonReason.NOT_FOUND)
        for kind, sender, operation in (
            (
                "grant_reading",
                "alice",
                pb.GrantReading(document_id="nothing", readers=[grant("bob")]),
            ),
            ("match_invoice", "bob", match("7")),
            ("accept_invoice", "bob", pb.AcceptInvoice(seller=SELLER, document_id="invoice-1")),
            ("accept_invoice", "bob", pb.AcceptInvoice(seller="x" * 600, document_id="y")),
            (
                "record_sealed_document",
                "bob",
                sealed_record("order-9", ORDER, readers=[grant("nobody")]),
            ),
        )
    ),
]
"""Chain, kind, sender, operation, reason: on a pair that is `prepared`."""


def _reaches(make: Callable[[Papers], Reason | None]) -> Callable[[Pair], Reason | None]:
    return lambda pair: make(prepared(pair))


def _same_key_again(papers: Papers) -> Reason | None:
    operation = pb.RegisterReadingKey(public_key=reading_key("alice").public_key)
    return papers.pair.business.do("alice", register_reading_key=operation)


def _too_many_readers(papers: Papers) -> Reason | None:
    """A party has two users here, so readers come from many parties."""
    for number in range(64):
        papers.pair.join(f"reader-{number}", "buyer")
        key = pb.RegisterReadingKey(public_key=reading_key(str(number)).public_key)
        assert papers.pair.business.do(f"reader-{number}", register_reading_key=key) is None
    for first, last in ((0, 32), (32, 63)):
        grants = [grant(f"reader-{number}") for number in range(first, last)]
        assert grant_all(papers, grants) is None
    return grant_all(papers, [grant("reader-63")])


def grant_all(papers: Papers, grants: Sequence[pb.SealedKeyGrant]) -> Reason | None:
    operation = pb.GrantReading(document_id="alone-1", readers=grants)
    return papers.pair.business.do("alice", grant_reading=operation)


def _dearer() -> KeyData:
    return key_data("Invoice", "INV-1", LINES, payable_minor=AMOUNT_MAX)


def _hidden_number() -> pb.MatchInvoice:
    operation = match()
    operation.invoice.CopyFrom(opening(SELLER, "invoice-1", INVOICE, hide=("number",)))
    return operation


def _order_for_receipt() -> pb.MatchInvoice:
    operation = match()
    operation.receipt.CopyFrom(operation.order)
    return operation


def _false_hash(papers: Papers) -> Reason | None:
    data = key_data("Invoice", "INV-9", LINES)
    assert papers.record(SELLER, "invoice-9", data, invoice_hash=bytes(32)) is None
    operation = match()
    operation.invoice.CopyFrom(opening(SELLER, "invoice-9", data))
    return papers.pair.business.do("bob", match_invoice=operation)


def _receipt_again(papers: Papers) -> Reason | None:
    operation = match()
    operation.receipt.CopyFrom(opening(WAREHOUSE, "receipt-2", RECEIPT))
    return papers.pair.business.do("bob", match_invoice=operation)


REFUSALS: dict[Reason, Callable[[Pair], Reason | None]] = {
    BusinessReason.READING_KEY_EXISTS: _reaches(_same_key_again),
    BusinessReason.READING_KEY_UNKNOWN: _reaches(
        lambda papers: grant_all(papers, [grant("bob", number=2)])
    ),
    BusinessReason.READER_EXISTS: _reaches(lambda papers: grant_all(papers, [grant("alice")])),
    BusinessReason.TOO_MANY_READERS: _reaches(_too_many_readers),
    BusinessReason.INVOICE_EXISTS: _reaches(
        lambda papers: papers.record("alice", "invoice-copy", INVOICE)
    ),
    BusinessReason.KEY_DATA_MISMATCH: _reaches(lambda papers: papers.match("1", invoice=_dearer())),
    BusinessReason.KEY_DATA_HIDDEN: _reaches(
        lambda papers: papers.pair.business.do("bob", match_invoice=_hidden_number())
    ),
    BusinessReason.NOT_ONE_TRADE: _reaches(
        lambda papers: papers.pair.business.do("bob", match_invoice=_order_for_receipt())
    ),
    BusinessReason.NOT_THE_BUYER: _reaches(lambda papers: papers.match(by="alice")),
    BusinessReason.INVOICE_HASH_FALSE: _reaches(_false_hash),
    BusinessReason.RECEIPT_MATCHED: _reaches(_receipt_again),
}
