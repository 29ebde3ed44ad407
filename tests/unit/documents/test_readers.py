"""A document is sealed to each of its readers: they open it and check it, nobody else does."""

from __future__ import annotations

import stat
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from bizchain.contracts.documents.queries import invoice_hash
from bizchain.contracts.documents.types import HEADER_FIELDS
from bizchain.documents.errors import DocumentReason
from bizchain.documents.keydata import CommittedKeyData, key_data_of
from bizchain.documents.readers import (
    Reader,
    SealedForReaders,
    content_from,
    content_key_of,
    grant_to,
    key_data_from,
    seal_for_readers,
)
from bizchain.documents.records import Item
from bizchain.documents.store import (
    STORED_BYTES_MAX,
    DocumentStore,
    FolderStore,
    MemoryStore,
    UrlStore,
    store_at,
)
from bizchain.documents.ubl import read_ubl
from common.crypto.digest import sha256
from common.crypto.sealing import ReaderKey, SealBroken, commit
from common.errors import CommonReason, Refused
from tests.kit.pair import Chance
from tests.shared_data import SAMPLES, needs_shared_data, shared_data

DATA = (SAMPLES / "invoice.xml").read_bytes()
NAMES = ("seller", "buyer", "bank")
KEYS = {name: ReaderKey(sha256(name.encode())) for name in NAMES}
OWNER, DOCUMENT = "acme", "invoice-7"


def reader(name: str) -> Reader:
    return Reader(name, "clerk", 1, KEYS[name].public_key)


def made() -> CommittedKeyData:
    document = read_ubl(DATA)
    return CommittedKeyData.new(
        key_data_of(document, OWNER, "bridge-works"), document.sha256, Chance("data")
    )


def sealed() -> SealedForReaders:
    to = [reader("seller"), reader("buyer")]
    return seal_for_readers(OWNER, DOCUMENT, DATA, made(), to, Chance("seal"))


def test_every_reader_opens_key_data_and_file_and_a_stranger_opens_nothing() -> None:
    document = sealed()
    for seal in document.readers:
        key = content_key_of(KEYS[seal.party_id], OWNER, DOCUMENT, seal.sealed_content_key)
        root = document.key_data_root
        read = key_data_from(key, OWNER, DOCUMENT, document.sealed_key_data, root)
        assert read == made()
        opened = content_from(key, OWNER, DOCUMENT, document.content, document.commitment)
        assert opened.data == DATA
        assert commit(opened.salt, DATA) == document.commitment
        with pytest.raises(SealBroken):
            content_key_of(KEYS["bank"], OWNER, DOCUMENT, seal.sealed_content_key)


def test_a_reader_who_is_added_later_opens_what_was_sealed_before() -> None:
    document = sealed()
    own = document.readers[0]
    key = content_key_of(KEYS["seller"], OWNER, DOCUMENT, own.sealed_content_key)
    added = grant_to(reader("bank"), OWNER, DOCUMENT, key)
    theirs = content_key_of(KEYS["bank"], OWNER, DOCUMENT, added.sealed_content_key)
    assert content_from(theirs, OWNER, DOCUMENT, document.content, document.commitment).data == DATA


def test_what_is_moved_to_another_document_does_not_open_there() -> None:
    document = sealed()
    own = document.readers[0].sealed_content_key
    key = content_key_of(KEYS["seller"], OWNER, DOCUMENT, own)
    with pytest.raises(SealBroken):
        content_key_of(KEYS["seller"], OWNER, "invoice-8", own)
    with pytest.raises(SealBroken):
        content_from(key, "other", DOCUMENT, document.content, document.commitment)
    with pytest.raises(SealBroken):
        key_data_from(key, OWNER, DOCUMENT, document.content, document.key_data_root)


def test_another_file_or_other_key_data_than_recorded_are_refused() -> None:
    document = sealed()
    key = content_key_of(KEYS["seller"], OWNER, DOCUMENT, document.readers[0].sealed_content_key)
    with pytest.raises(Refused) as caught:
        content_from(key, OWNER, DOCUMENT, document.content, bytes(32))
    assert caught.value.reason is DocumentReason.STORED_DOCUMENT_DAMAGED
    with pytest.raises(Refused) as caught:
        key_data_from(key, OWNER, DOCUMENT, document.sealed_key_data, bytes(32))
    assert caught.value.reason is DocumentReason.STORED_DOCUMENT_DAMAGED


def test_nothing_of_the_document_is_in_what_is_recorded_or_stored() -> None:
    document = sealed()
    for public in (document.content, document.sealed_key_data):
        for word in (b"Baihe", b"INV-2025-0588", b"bridge-works"):
            assert word not in public


# --- key data ---------------------------------------------------------------------------------


def test_key_data_are_those_of_the_document_in_exact_integers() -> None:
    data = made().data
    assert list(data.fields) == list(HEADER_FIELDS)
    assert data.fields == {
        "kind": "Invoice",
        "number": "INV-2025-0588",
        "issue_date": "2025-06-12",
        "order": "PO-2025-0417",
        "seller": "acme",
        "buyer": "bridge-works",
        "currency": "CNY",
        "lines_minor": 9_900_000,
        "payable_minor": 11_187_000,
        "line_count": 1,
    }
    [line] = data.lines
    assert (line.quantity, line.unit, line.amount_minor) == (24_750_000, "GRM", 9_900_000)
    # 4,000 CNY for a tonne: two fifths of a fen for a gram
    assert (line.price_numerator, line.price_denominator) == (2, 5)
    assert line.items


@pytest.mark.parametrize("name", ["Coil", "C" * 65, "é" * 2_000])
def test_an_item_without_a_number_is_known_by_its_name_however_long(name: str) -> None:
    document = read_ubl(DATA)
    line = replace(document.lines[0], item=Item(name))
    [item] = key_data_of(replace(document, lines=(line,)), "acme", "b").lines[0].items
    assert item == ("NAME:Coil" if name == "Coil" else f"NAME:{sha256(name.encode()).hex()}")


def test_an_invoice_s_hash_is_made_of_what_makes_it_the_same_one() -> None:
    expected = invoice_hash("acme", "INV-2025-0588", "2025-06-12", 11_187_000, "CNY")
    assert made().invoice_hash == expected
    order = read_ubl((SAMPLES / "order.xml").read_bytes())
    data = key_data_of(order, "acme", "bridge-works")
    assert CommittedKeyData.new(data, order.sha256, Chance()).invoice_hash == b""


def test_salts_differ_and_come_back_with_the_seed() -> None:
    salts = {leaf.salt for leaf in made().leaves()}
    assert len(salts) == made().leaf_count
    assert CommittedKeyData.decoded(made().encoded()) == made()
    other = CommittedKeyData.new(made().data, made().sha256, Chance("other"))
    assert other.root != made().root


@pytest.mark.parametrize("data", [b"", b"\x95\x02\xc4\x00\xc4\x00\x90\x90", b"\x90"])
def test_what_is_no_key_data_is_refused(data: bytes) -> None:
    with pytest.raises(Refused) as caught:
        CommittedKeyData.decoded(data)
    assert caught.value.reason is CommonReason.MALFORMED


PRICE = '<cbc:PriceAmount currencyID="CNY">4000.00</cbc:PriceAmount>'


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ('<cbc:BaseQuantity unitCode="KGM">10</cbc:BaseQuantity>', Fraction(400_000, 10_000)),
        ('<cbc:BaseQuantity unitCode="TNE">0.5</cbc:BaseQuantity>', Fraction(400_000, 500_000)),
        ("<cbc:BaseQuantity>2</cbc:BaseQuantity>", Fraction(400_000, 2_000_000)),
        ('<cbc:BaseQuantity unitCode="MTR">1</cbc:BaseQuantity>', None),
        ('<cbc:BaseQuantity unitCode="KGM">0</cbc:BaseQuantity>', None),
    ],
)
def test_a_price_is_for_its_base_quantity_in_whatever_unit(
    base: str, expected: Fraction | None
) -> None:
    text = DATA.decode()
    start = text.index("<cac:Price>")
    end = text.index("</cac:Price>")
    priced = f"{text[:start]}<cac:Price>{PRICE}{base}{text[end:]}"
    [line] = key_data_of(read_ubl(priced.encode()), "acme", "bridge-works").lines
    stated = (line.price_numerator, line.price_denominator)
    assert stated == ((expected.numerator, expected.denominator) if expected else (0, 0))


@needs_shared_data
@pytest.mark.parametrize("path", sorted(shared_data().glob("*/*.xml"))
                         + sorted(shared_data().glob("peppol/*/*.xml")),
                         ids=lambda path: path.name)  # fmt: skip
def test_every_official_document_can_be_sealed_and_read_again(path: Path) -> None:
    if path.parent.name == "iso20022":
        return
    data = path.read_bytes()
    document = read_ubl(data)
    key_data = key_data_of(document, "acme", "bridge-works")
    assert len(key_data.lines) == len(document.lines)
    committed = CommittedKeyData.new(key_data, document.sha256, Chance(path.name))
    made = seal_for_readers(OWNER, DOCUMENT, data, committed, [reader("bank")], Chance())
    key = content_key_of(KEYS["bank"], OWNER, DOCUMENT, made.readers[0].sealed_content_key)
    assert content_from(key, OWNER, DOCUMENT, made.content, made.commitment).data == data


# --- stores -----------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "folder", "memory://", "file://"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> DocumentStore:
    if request.param == "memory":
        return MemoryStore()
    scheme = "" if request.param == "folder" else request.param
    found = store_at(f"{scheme}{tmp_path / 'store'}")
    assert isinstance(found, UrlStore if scheme else FolderStore)
    return found


def test_what_is_put_is_got_by_its_digest(store: DocumentStore) -> None:
    content = sealed().content
    assert store.put(content) == sha256(content) == sealed().content_digest
    assert store.put(content) == sha256(content)
    assert store.get(sha256(content)) == content


def test_what_is_not_there_is_missing(store: DocumentStore) -> None:
    with pytest.raises(Refused) as caught:
        store.get(bytes(32))
    assert caught.value.reason is DocumentReason.STORED_DOCUMENT_MISSING


def test_what_is_too_large_is_not_stored(store: DocumentStore) -> None:
    with pytest.raises(Refused) as caught:
        store.put(bytes(STORED_BYTES_MAX + 1))
    assert caught.value.reason is DocumentReason.DOCUMENT_TOO_LARGE


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize("damaged", [b"sealeD", b"seal", b"", bytes(STORED_BYTES_MAX + 7)])
def test_a_damaged_file_is_refused_and_put_right_by_the_next_put(
    tmp_path: Path, scheme: str, damaged: bytes
) -> None:
    store = store_at(f"{scheme}{tmp_path}")
    digest = store.put(b"sealed")
    path = tmp_path / digest.hex()[:2] / digest.hex()
    path.write_bytes(damaged)
    with pytest.raises(Refused) as caught:
        store.get(digest)
    assert caught.value.reason is DocumentReason.STORED_DOCUMENT_DAMAGED
    store.put(b"sealed")
    assert store.get(digest) == b"sealed"


def test_a_store_that_is_away_says_so_and_no_address_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"a file, where a folder is asked for")
    store = store_at(f"file://{tmp_path}/taken")
    with pytest.raises(Refused) as caught:
        store.put(b"sealed")
    assert caught.value.reason is DocumentReason.STORE_UNAVAILABLE
    assert "taken" not in caught.value.message


@pytest.mark.parametrize("url", ["nothing://key:secret@host/papers", "dropbox://key:secret/papers"])
def test_an_address_nobody_can_open_is_refused_without_its_secrets(url: str) -> None:
    """An unknown protocol, and one whose library is not installed."""
    with pytest.raises(Refused) as caught:
        store_at(url)
    assert caught.value.reason is CommonReason.INVALID_ARGUMENT
    assert "secret" not in caught.value.message


def test_a_stored_file_is_whole_its_owner_s_alone_and_leaves_nothing_beside_it(
    tmp_path: Path,
) -> None:
    digest = FolderStore(tmp_path / "store").put(b"sealed")
    [path] = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert path.name == digest.hex()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_that_is_no_digest_leaves_the_store_alone(store: DocumentStore) -> None:
    with pytest.raises(Refused) as caught:
        store.get(b"../secret")
    assert caught.value.reason is CommonReason.INVALID_ARGUMENT
