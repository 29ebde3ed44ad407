"""XML from strangers is parsed plainly or refused with its reason, and never costs much."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bizchain.documents.errors import DocumentReason
from bizchain.documents.files import DOCUMENT_BYTES_MAX, read_document
from bizchain.documents.ubl import read_ubl
from bizchain.documents.xml import ATTRIBUTES_MAX, DEPTH_MAX, ELEMENTS_MAX, parse_xml
from common.errors import CommonReason, Reason, Refused
from tests.shared_data import SAMPLES

INVOICE = (SAMPLES / "invoice.xml").read_bytes()


def entity_bomb() -> bytes:
    lines = ['<!ENTITY a "lol">']
    for place, name in enumerate("bcdefghijk"):
        before = "abcdefghijk"[place]
        lines.append(f'<!ENTITY {name} "{f"&{before};" * 10}">')
    return f"<!DOCTYPE bomb [{''.join(lines)}]><Invoice note='&k;'>&k;</Invoice>".encode()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(entity_bomb(), DocumentReason.DOCUMENT_TYPE_FORBIDDEN, id="entity bomb"),
        pytest.param(
            entity_bomb().decode().encode("utf-16"),
            DocumentReason.DOCUMENT_TYPE_FORBIDDEN,
            id="entity bomb in UTF-16",
        ),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
            DocumentReason.DOCUMENT_TYPE_FORBIDDEN,
            id="external entity",
        ),
        pytest.param(
            b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://example.org/p"> %p;]><a/>',
            DocumentReason.DOCUMENT_TYPE_FORBIDDEN,
            id="external parameter entity",
        ),
        pytest.param(
            b'<!DOCTYPE a SYSTEM "http://example.org/a.dtd"><a/>',
            DocumentReason.DOCUMENT_TYPE_FORBIDDEN,
            id="external document type",
        ),
        pytest.param(b"<!DOCTYPE a><a/>", DocumentReason.DOCUMENT_TYPE_FORBIDDEN, id="bare type"),
        pytest.param(b"<a>&undeclared;</a>", DocumentReason.DOCUMENT_NOT_XML, id="undeclared"),
        pytest.param(
            b"<a>" * (DEPTH_MAX + 1) + b"</a>" * (DEPTH_MAX + 1),
            DocumentReason.DOCUMENT_TOO_DEEP,
            id="too deep",
        ),
        pytest.param(
            b"<r>" + b"<a/>" * ELEMENTS_MAX + b"</r>",
            DocumentReason.DOCUMENT_TOO_MANY_PARTS,
            id="too many elements",
        ),
        pytest.param(
            b" " * (DOCUMENT_BYTES_MAX + 1), DocumentReason.DOCUMENT_TOO_LARGE, id="too large"
        ),
        pytest.param(b"", DocumentReason.DOCUMENT_NOT_XML, id="empty"),
        pytest.param(b"not xml", DocumentReason.DOCUMENT_NOT_XML, id="text"),
        pytest.param(b"<a><b></a>", DocumentReason.DOCUMENT_NOT_XML, id="crossed"),
        pytest.param(b"<a>\x00</a>", DocumentReason.DOCUMENT_NOT_XML, id="a zero byte"),
        pytest.param(b"\xff\xfe\x00", DocumentReason.DOCUMENT_NOT_XML, id="rubbish"),
        pytest.param(
            b'<?xml version="1.0" encoding="klingon"?><a/>',
            DocumentReason.DOCUMENT_NOT_XML,
            id="unknown encoding",
        ),
    ],
)
def test_what_is_hostile_or_broken_is_refused_with_its_reason(data: bytes, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        parse_xml(data)
    assert caught.value.reason is reason


def test_depth_at_the_limit_is_read() -> None:
    assert parse_xml(b"<a>" * DEPTH_MAX + b"</a>" * DEPTH_MAX).tag == "a"


def test_comments_and_instructions_say_nothing() -> None:
    assert parse_xml(b"<a>on<!-- not --><?x not?>e</a>").text == "one"


def test_an_inclusion_is_not_followed() -> None:
    root = parse_xml(
        b'<a xmlns:x="http://www.w3.org/2001/XInclude"><x:include href="/etc/passwd"/></a>'
    )
    assert not list(root.itertext())


def test_a_file_of_50_megabytes_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "large.xml"
    with path.open("wb") as file:
        file.truncate(50_000_000)  # sparse: the size alone must do
    with pytest.raises(Refused) as caught:
        read_document(path)
    assert caught.value.reason is DocumentReason.DOCUMENT_TOO_LARGE


@pytest.mark.parametrize("name", ["missing.xml", "."])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused) as caught:
        read_document(tmp_path / name)
    assert caught.value.reason is DocumentReason.DOCUMENT_UNREADABLE


@given(
    place=st.integers(0, len(INVOICE) - 1),
    length=st.integers(0, 40),
    patch=st.binary(max_size=12),
)
def test_a_damaged_document_is_read_or_refused_and_nothing_else(
    place: int, length: int, patch: bytes
) -> None:
    damaged = INVOICE[:place] + patch + INVOICE[place + length :]
    reason: Reason | None = None
    try:
        assert read_ubl(damaged).id
    except Refused as refused:
        reason = refused.reason
    known = (*DocumentReason, CommonReason.UNKNOWN_CURRENCY)
    assert reason is None or reason in known


def test_an_element_has_a_limited_number_of_attributes() -> None:
    """Building an element takes time that grows with the square of their number."""

    def element(count: int) -> bytes:
        return b"<a " + b" ".join(b'a%d="1"' % number for number in range(count)) + b"/>"

    assert len(parse_xml(element(ATTRIBUTES_MAX)).attrib) == ATTRIBUTES_MAX
    with pytest.raises(Refused) as refused:
        parse_xml(element(ATTRIBUTES_MAX + 1))
    assert refused.value.reason is DocumentReason.DOCUMENT_TOO_MANY_PARTS
