"""The plain answers of `document check` and `event check`: one dict for each file, JSON-ready.

    check_document(Path("invoice.xml"))
    # {"file": "invoice.xml", "kind": "Invoice", "id": "INV-7", "issue_date": "2025-06-12",
    #  "seller": "Acme Steel", "buyer": "Bridge Works", "currency": "CNY", "payable_minor": 9990000,
    #  "lines": 1, "warnings": []}

A refused document raises `Refused`; the message names the file. What a document does not state is
None. A warning is "RULE: sentence".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypedDict, TypeVar

from bizchain.documents.epcis import read_epcis
from bizchain.documents.files import read_document
from bizchain.documents.records import Party, Remark
from bizchain.documents.ubl import read_ubl
from common.errors import Refused

__all__ = ["DocumentAnswer", "EventAnswer", "check_document", "check_events", "read_file"]


class DocumentAnswer(TypedDict):
    """What `document check` says of one UBL file. `lines` is their number."""

    file: str
    kind: str
    id: str
    issue_date: str | None
    seller: str | None
    buyer: str | None
    currency: str | None
    payable_minor: int | None
    lines: int
    warnings: list[str]


class EventAnswer(TypedDict):
    """What `event check` says of one EPCIS file. `kinds` are in order of first appearance."""

    file: str
    events: int
    kinds: list[str]
    warnings: list[str]


Read = TypeVar("Read")


def check_document(path: Path) -> DocumentAnswer:
    """The answer for one UBL file. Refused: as `read_document` and `read_ubl`."""
    document = read_file(path, read_ubl)
    return {
        "file": str(path),
        "kind": document.kind,
        "id": document.id,
        "issue_date": document.issue_date,
        "seller": _name(document.seller),
        "buyer": _name(document.buyer),
        "currency": document.currency,
        "payable_minor": document.totals.payable_minor,
        "lines": len(document.lines),
        "warnings": _warnings(document.remarks),
    }


def check_events(path: Path) -> EventAnswer:
    """The answer for one EPCIS file. Refused: as `read_document` and `read_epcis`."""
    document = read_file(path, read_epcis)
    return {
        "file": str(path),
        "events": len(document.events),
        "kinds": list(dict.fromkeys(event.kind for event in document.events)),
        "warnings": _warnings(document.remarks),
    }


def read_file(path: Path, read: Callable[[bytes], Read]) -> Read:
    """What `read` makes of the file. A refusal names the file in its message and metadata."""
    try:
        return read(read_document(path))
    except Refused as refused:
        raise Refused(
            refused.reason, f"{path}: {refused.message}", **{**refused.metadata, "file": str(path)}
        ) from None


def _name(party: Party | None) -> str | None:
    return None if party is None else party.name


def _warnings(remarks: tuple[Remark, ...]) -> list[str]:
    return [f"{remark.rule}: {remark.message}" for remark in remarks]
