"""Documents sealed to named readers: who they are, who adds to them, what is committed to."""

from __future__ import annotations

import pytest

from bizchain.contracts.documents.invariants import INVARIANTS
from bizchain.contracts.documents.keys import (
    INVOICE_NAME,
    READING_KEY,
    SEALED_DOCUMENT,
    SEALED_KEY,
)
from bizchain.contracts.documents.queries import (
    Leaf,
    key_data_root,
    leaf_digest,
    opened,
    reading_key_of,
    sealed_document_of,
    sealed_keys_of,
)
from bizchain.contracts.documents.types import HEADER_FIELDS, KeyField, SealedRecord
from bizchain.reasons import BusinessReason
from bizchain.v1 import operation_pb2 as pb
from common.crypto.merkle import MerkleTree, verify_inclusion
from common.encoding import encode
from common.errors import CommonReason, Reason, Refused
from tests.kit.council import check_invariants
from tests.kit.pair import furnished
from tests.kit.papers import (
    INVOICE,
    LINES,
    ORDER,
    Papers,
    committed,
    grant,
    grant_all,
    key_data,
    reading_key,
    sealed_record,
)


@pytest.fixture
def papers() -> Papers:
    made = Papers(furnished())
    assert made.record("alice", "alone-1", ORDER, readers=[grant("alice")]) is None
    return made


def readers(papers: Papers) -> list[str]:
    state = papers.pair.business.ledger.state
    return [key.party for key in sealed_keys_of(state, "alice", "alone-1")]


def test_a_document_is_kept_as_it_was_recorded_with_a_key_for_each_reader(papers: Papers) -> None:
    state = papers.pair.business.ledger.state
    record = sealed_document_of(state, "alice", "alone-1")
    made = committed(ORDER)
    assert record is not None
    assert (record.owner, record.kind, record.invoice_hash) == ("alice", "Order", b"")
    assert (record.key_data_root, record.key_data_leaves) == (made.root, made.leaf_count)
    [key] = sealed_keys_of(state, "alice", "alone-1")
    assert (key.party, key.user, key.key_number) == ("alice", "maker", 1)
    check_invariants(papers.pair.business)


def test_the_owner_adds_readers_and_nobody_else_does(papers: Papers) -> None:
    operation = pb.GrantReading(document_id="alone-1", readers=[grant("bank")])
    for stranger in ("bob", "operator", "regulator"):
        refused = papers.pair.business.do(stranger, grant_reading=operation)
        assert refused is CommonReason.NOT_FOUND
    assert grant_all(papers, [grant("bank"), grant("bob")]) is None
    assert readers(papers) == ["alice", "bank", "bob"]
    check_invariants(papers.pair.business)


def test_a_reader_with_a_new_key_is_given_the_document_again(papers: Papers) -> None:
    operation = pb.RegisterReadingKey(public_key=b"\x07" * 32)
    assert papers.pair.business.do("alice", register_reading_key=operation) is None
    key = reading_key_of(papers.pair.business.ledger.state, "alice", "maker")
    assert key is not None
    assert (key.number, key.public_key) == (2, b"\x07" * 32)
    assert grant_all(papers, [grant("alice")]) is BusinessReason.READING_KEY_UNKNOWN
    assert grant_all(papers, [grant("alice", number=2)]) is None
    [sealed] = sealed_keys_of(papers.pair.business.ledger.state, "alice", "alone-1")
    assert sealed.key_number == 2
    check_invariants(papers.pair.business)


def test_a_reading_key_is_the_signing_user_s_own(papers: Papers) -> None:
    operation = pb.RegisterReadingKey(public_key=b"\x07" * 32)
    assert papers.pair.business.do("alice:checker", register_reading_key=operation) is None
    state = papers.pair.business.ledger.state
    own = reading_key_of(state, "alice", "checker")
    other = reading_key_of(state, "alice", "maker")
    assert own is not None
    assert other is not None
    assert (own.number, other.public_key) == (1, reading_key("alice").public_key)


@pytest.mark.parametrize(
    ("reader", "expected"),
    [
        (grant("carol"), None),
        (grant("operator"), BusinessReason.READING_KEY_UNKNOWN),  # never registered a key
        (grant("carol", number=0), BusinessReason.READING_KEY_UNKNOWN),
        (grant("carol", number=2), BusinessReason.READING_KEY_UNKNOWN),
        (grant("platform-1"), CommonReason.NOT_FOUND),  # no party
        (grant("alice"), BusinessReason.READER_EXISTS),
    ],
)
def test_a_reader_is_an_active_party_s_user_with_a_key(
    papers: Papers, reader: pb.SealedKeyGrant, expected: Reason | None
) -> None:
    assert grant_all(papers, [reader]) is expected
    assert readers(papers) == ["alice", *(["carol"] if expected is None else [])]


def test_nobody_of_a_closed_party_is_made_a_reader(papers: Papers) -> None:
    papers.pair.close("carol")
    assert grant_all(papers, [grant("carol")]) is CommonReason.NOT_FOUND


def test_a_document_whose_name_begins_like_another_has_its_own_readers(papers: Papers) -> None:
    assert papers.record("alice", "alone-11", ORDER, readers=[grant("bob")]) is None
    assert readers(papers) == ["alice"]


def test_an_id_is_used_once_by_its_owner_sealed_or_not(papers: Papers) -> None:
    assert papers.record("alice", "alone-1", ORDER) is BusinessReason.DOCUMENT_EXISTS
    assert papers.record("bob", "alone-1", ORDER) is None
    plain = pb.RecordDocument(
        document_id="plain-1",
        kind="Order",
        commitment=bytes(32),
        sealed_key_data=b"x",
        sealed_content_key=b"y",
    )
    assert papers.pair.business.do("alice", record_document=plain) is None
    assert papers.record("alice", "plain-1", ORDER) is BusinessReason.DOCUMENT_EXISTS


@pytest.mark.parametrize(
    "changed",
    [
        {"number": "INV-2"},
        {"issue_date": "2025-06-13"},
        {"payable_minor": 1},
        {"currency": "CNY"},
        {"seller": "carol"},
    ],
)
def test_the_same_invoice_is_recorded_once_and_another_one_is_another(
    papers: Papers, changed: dict[str, str | int]
) -> None:
    assert papers.record("alice", "invoice-1", INVOICE) is None
    assert papers.record("alice", "invoice-2", INVOICE) is BusinessReason.INVOICE_EXISTS
    # What does not make it another invoice does not help: another line, another buyer.
    relined = key_data("Invoice", "INV-1", LINES[::-1], buyer="carol", lines_minor=1)
    assert papers.record("alice", "invoice-2", relined) is BusinessReason.INVOICE_EXISTS
    fields = {**INVOICE.fields, **changed}
    assert papers.record("alice", "invoice-2", INVOICE._replace(fields=fields)) is None
    check_invariants(papers.pair.business)


def test_nobody_keeps_a_seller_from_recording_its_invoice(papers: Papers) -> None:
    assert papers.record("carol", "invoice-1", INVOICE) is None
    assert papers.record("alice", "invoice-1", INVOICE) is None


# --- openings ---------------------------------------------------------------------------------

MADE = committed(ORDER)


def record(root: bytes = MADE.root, leaves: int = MADE.leaf_count) -> SealedRecord:
    return SealedRecord(
        "order-1", "bob", "Order", bytes(32), root, leaves, b"", bytes(32), 1, b"", "", 0
    )


def test_opened_leaves_say_what_was_committed_to() -> None:
    assert opened(record(), MADE.leaves()) == ORDER
    hidden = opened(record(), MADE.leaves(hide=("payable_minor", "seller")))
    assert hidden.fields.keys() == HEADER_FIELDS.keys() - {"payable_minor", "seller"}
    assert hidden.lines == ORDER.lines


def test_one_field_is_shown_to_a_stranger_by_its_path_alone() -> None:
    leaves = MADE.leaves()
    tree = MerkleTree([leaf_digest(leaf.salt, leaf.data) for leaf in leaves])
    assert tree.root == MADE.root
    place = list(HEADER_FIELDS).index("payable_minor")
    shown = leaves[place]
    digest = leaf_digest(shown.salt, encode(KeyField("payable_minor", 14_000)))
    verify_inclusion(MADE.root, MADE.leaf_count, place, digest, tree.path(place))


def changed_at(place: int, leaf: Leaf) -> list[Leaf]:
    leaves = MADE.leaves()
    leaves[place] = leaf
    return leaves


FIRST = MADE.leaves()[0]


@pytest.mark.parametrize(
    ("leaves", "reason"),
    [
        ([], BusinessReason.KEY_DATA_MISMATCH),
        (MADE.leaves()[:-1], BusinessReason.KEY_DATA_MISMATCH),
        ([*MADE.leaves(), FIRST], BusinessReason.KEY_DATA_MISMATCH),
        (MADE.leaves()[::-1], BusinessReason.KEY_DATA_MISMATCH),
        (changed_at(0, FIRST._replace(salt=bytes(32))), BusinessReason.KEY_DATA_MISMATCH),
        (
            changed_at(0, FIRST._replace(data=encode(KeyField("kind", "Invoice")))),
            BusinessReason.KEY_DATA_MISMATCH,
        ),
        (changed_at(0, Leaf(b"", b"", bytes(32))), BusinessReason.KEY_DATA_MISMATCH),
        (changed_at(0, FIRST._replace(salt=bytes(31))), CommonReason.INVALID_ARGUMENT),
        (changed_at(0, FIRST._replace(digest=bytes(32))), CommonReason.INVALID_ARGUMENT),
        (changed_at(0, Leaf(b"", b"", b"")), CommonReason.INVALID_ARGUMENT),
        (changed_at(0, Leaf(b"", b"", bytes(31))), CommonReason.INVALID_ARGUMENT),
    ],
)
def test_leaves_that_do_not_lead_to_the_commitment_are_refused(
    leaves: list[Leaf], reason: Reason
) -> None:
    with pytest.raises(Refused) as caught:
        opened(record(), leaves)
    assert caught.value.reason is reason


def test_a_commitment_to_what_nobody_could_mean_opens_to_nothing() -> None:
    """Its owner chose the leaves: that they lead to the root proves nothing of their sense."""
    salt = bytes(32)
    line = encode(ORDER.lines[0])
    cases: list[tuple[int, bytes, Reason]] = [
        (0, encode(KeyField("number", "Order")), CommonReason.INVALID_ARGUMENT),
        (0, encode(KeyField("kind", 7)), CommonReason.INVALID_ARGUMENT),
        (0, b"\xc1", CommonReason.MALFORMED),
        (0, b"\x92\xa4kind\xa1\xff", CommonReason.MALFORMED),
        (0, encode(KeyField("kind", "x" * 201)), CommonReason.INVALID_ARGUMENT),
        (8, encode(KeyField("payable_minor", "1")), CommonReason.INVALID_ARGUMENT),
        (8, encode(KeyField("payable_minor", -1)), CommonReason.AMOUNT_OUT_OF_RANGE),
        (8, encode(KeyField("payable_minor", 2**63)), CommonReason.AMOUNT_OUT_OF_RANGE),
        (9, encode(KeyField("line_count", 3)), CommonReason.INVALID_ARGUMENT),
        (10, line[:-1], CommonReason.MALFORMED),
        (10, encode(["1", ["a"] * 5, 1, "GRM", 1, 1, 1]), CommonReason.INVALID_ARGUMENT),
        (10, encode(["1", ["a"], -1, "GRM", 1, 1, 1]), CommonReason.AMOUNT_OUT_OF_RANGE),
        (10, encode(["1", ["a"], 1, "x" * 201, 1, 1, 1]), CommonReason.INVALID_ARGUMENT),
    ]
    for place, data, reason in cases:
        leaves = changed_at(place, Leaf(salt, data, b""))
        root = key_data_root([leaf_digest(leaf.salt, leaf.data) for leaf in leaves])
        with pytest.raises(Refused) as caught:
            opened(record(root), leaves)
        assert caught.value.reason is reason, (place, data)


# --- invariants -------------------------------------------------------------------------------


def broken(papers: Papers) -> set[str]:
    state = papers.pair.business.ledger.state
    return {name for name, invariant in INVARIANTS.items() if invariant(state)}


def test_the_invariants_see_what_is_wrong(papers: Papers) -> None:
    assert papers.record("alice", "invoice-1", INVOICE) is None
    assert broken(papers) == set()
    state = papers.pair.business.ledger.state
    place = SEALED_KEY.key("alice", "alone-1", "alice", "maker")
    key = state.get(SEALED_KEY, place)
    assert key is not None
    state.delete(SEALED_KEY, place)
    assert broken(papers) == {"sealed documents have readers"}
    state.put(SEALED_KEY, place, key)
    stray = SEALED_KEY.key("alice", "nothing-1", "alice", "maker")
    state.put(SEALED_KEY, stray, key)
    assert broken(papers) == {"sealed documents have readers"}
    state.delete(SEALED_KEY, stray)
    own = READING_KEY.key("alice", "maker")
    reading = state.get(READING_KEY, own)
    assert reading is not None
    state.delete(READING_KEY, own)
    assert broken(papers) == {"sealed documents have readers"}
    state.put(READING_KEY, own, reading)
    hashed = sealed_record("invoice-1", INVOICE).invoice_hash
    state.delete(INVOICE_NAME, INVOICE_NAME.key("alice", hashed))
    assert broken(papers) == {"no invoice is there twice"}
    state.delete(SEALED_DOCUMENT, SEALED_DOCUMENT.key("alice", "invoice-1"))
    assert broken(papers) == {"sealed documents have readers"}
