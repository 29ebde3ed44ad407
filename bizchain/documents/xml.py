"""XML from strangers: parsed without entities, document types, network, or surprise.

    root = parse_xml(data)      # an lxml element; comments and instructions are left out

A document type declaration is refused the moment it begins, before anything it declares is read:
no business document has one, and every entity attack needs one. Depth, number of elements and
length of one text are bounded, so memory is a small multiple of `DOCUMENT_BYTES_MAX`.
"""

from __future__ import annotations

from lxml import etree

from bizchain.documents.errors import DocumentReason
from bizchain.documents.files import check_size
from common.errors import Refused

__all__ = ["DEPTH_MAX", "ELEMENTS_MAX", "parse_xml"]

DEPTH_MAX = 64
"""UBL nests about 12 deep."""

ELEMENTS_MAX = 250_000
"""An invoice of 5,000 lines has about 200,000."""

ATTRIBUTES_MAX = 64
"""Of one element; UBL has about 10. To build one takes time that grows with their square."""


def parse_xml(data: bytes) -> etree._Element:
    """The root element. Refused: DOCUMENT_TOO_LARGE, DOCUMENT_TYPE_FORBIDDEN, DOCUMENT_TOO_DEEP,
    DOCUMENT_TOO_MANY_PARTS, DOCUMENT_NOT_XML.
    """
    check_size(data)
    parser = etree.XMLParser(
        target=_Guard(),
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        recover=False,
    )
    try:
        root: etree._Element = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise Refused(DocumentReason.DOCUMENT_NOT_XML, f"not XML: {error.msg}") from None
    except (ValueError, LookupError) as error:  # an encoding nobody knows, characters XML forbids
        raise Refused(DocumentReason.DOCUMENT_NOT_XML, f"not XML: {error}") from None
    return root


class _Guard:
    """Builds the tree as the parser reads, and stops it at the first thing that is not allowed."""

    def __init__(self) -> None:
        self._builder = etree.TreeBuilder()
        self._depth = 0
        self._elements = 0
        self._refusal: Refused | None = None

    def doctype(self, *_declaration: object) -> None:
        raise self._refused(
            DocumentReason.DOCUMENT_TYPE_FORBIDDEN,
            "a document type declaration is not read, nor any entity",
        )

    def start(self, tag: str | bytes, attributes: dict[str | bytes, str | bytes]) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > DEPTH_MAX:
            raise self._refused(
                DocumentReason.DOCUMENT_TOO_DEEP, f"elements are nested deeper than {DEPTH_MAX}"
            )
        if self._elements > ELEMENTS_MAX:
            raise self._refused(
                DocumentReason.DOCUMENT_TOO_MANY_PARTS, f"more than {ELEMENTS_MAX} elements"
            )
        if len(attributes) > ATTRIBUTES_MAX:
            raise self._refused(
                DocumentReason.DOCUMENT_TOO_MANY_PARTS,
                f"more than {ATTRIBUTES_MAX} attributes of one element",
            )
        self._builder.start(tag, attributes)

    def end(self, tag: str | bytes) -> None:
        self._depth -= 1
        self._builder.end(tag)

    def data(self, text: str | bytes) -> None:
        self._builder.data(text)

    def comment(self, text: str | bytes) -> None:
        """Comments say nothing to a machine."""

    def pi(self, target: str | bytes, text: str | bytes | None = None) -> None:
        """Nor do processing instructions."""

    def close(self) -> etree._Element:
        """The root. Called after a refusal too: there the refusal is the answer."""
        if self._refusal is not None:
            raise self._refusal
        return self._builder.close()

    def _refused(self, reason: DocumentReason, message: str) -> Refused:
        self._refusal = Refused(reason, message)
        return self._refusal
