"""A warehouse's feed: EPCIS events as what is posted of the goods of one receipt.

    feed_of(read_epcis(data), "GRM")[1]
    # Seen(kind="move", event_unix_ms=1749605400000, place="9520001000041", quantity=24750000, ...)

Which step is which kind is a table. A place is the GLN where the feed names one, else its own text;
containers are SSCCs of 18 digits, however the feed writes them. The evidence of an event is
`evidence_of` the file's hash and the event's position in it: whoever has the file can show it.

Refused with DOCUMENT_FIELD_INVALID, before anything is posted: events that transform goods, that
are about business transactions only, or that take another one back.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from bizchain.contracts.logistics.types import COUNTED_KINDS, SSCCS_MAX, GoodsKind
from bizchain.documents.epcis import Event, EventDocument
from bizchain.documents.errors import DocumentReason
from common.crypto.digest import sha256
from common.encoding import encode
from common.errors import Refused

__all__ = ["STEPS", "Seen", "evidence_of", "feed_of"]

PLACE_CHARACTERS_MAX = 100
ALARM_CHARACTERS_MAX = 100

STEPS: Final[Mapping[str, GoodsKind]] = {
    "commissioning": GoodsKind.COMMISSION,
    **dict.fromkeys(("stock_taking", "cycle_counting"), GoodsKind.STOCK_TAKE),
    **dict.fromkeys(("packing", "unpacking", "repackaging"), GoodsKind.AGGREGATION),
    **dict.fromkeys(
        (
            "arriving",
            "consigning",
            "departing",
            "entering_exiting",
            "loading",
            "receiving",
            "shipping",
            "staging_outbound",
            "transporting",
            "unloading",
        ),
        GoodsKind.MOVE,
    ),
    **dict.fromkeys(
        (
            "decommissioning",
            "destroying",
            "disassembling",
            "dispensing",
            "killing",
            "picking",
            "removing",
            "retail_selling",
        ),
        GoodsKind.MOVE,
    ),
    "sensor_reporting": GoodsKind.SENSOR,
}
"""Business steps (CBV) that say more than that goods were seen: those that move them, and those
after which they are no longer where they were."""

_KINDS: Final[Mapping[str, GoodsKind]] = {
    "AggregationEvent": GoodsKind.AGGREGATION,
    "AssociationEvent": GoodsKind.AGGREGATION,
    "ObjectEvent": GoodsKind.OBSERVATION,
}

_GLN_URN: Final = re.compile(r"urn:epc:id:sgln:([0-9]{6,12})\.([0-9]{0,6})\.([^.]+)", re.ASCII)
_GLN_LINK: Final = re.compile(r"https?://[^ ]+/414/([0-9]{13})(?:/254/([^/?#]+))?", re.ASCII)
_SSCC_URN: Final = re.compile(r"urn:epc:id:sscc:([0-9]{6,12})\.([0-9]{5,11})", re.ASCII)
_SSCC_LINK: Final = re.compile(r"https?://[^ ]+/00/([0-9]{18})", re.ASCII)

_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MILLISECOND: Final = datetime.timedelta(milliseconds=1)


class Seen(NamedTuple):
    """What one event says of the goods, as it is posted."""

    kind: str
    event_unix_ms: int
    place: str
    quantity: int | None
    ssccs: tuple[str, ...]
    alarm: str
    evidence_hash: bytes


def feed_of(
    document: EventDocument, unit: str, places: Mapping[str, str] | None = None
) -> tuple[Seen, ...]:
    """What the events say of goods counted in `unit` (a base unit), in the order of the file.

    `places` gives the receipt's own names for places of the feed (by GLN, or by their text).
    """
    return tuple(
        _seen(event, number, document.sha256, unit, places or {})
        for number, event in enumerate(document.events, start=1)
    )


def evidence_of(file_sha256: bytes, number: int) -> bytes:
    """The evidence hash of the event with this number, from 1, in a file."""
    return sha256(encode((file_sha256, number)))


def _seen(
    event: Event, number: int, file_sha256: bytes, unit: str, places: Mapping[str, str]
) -> Seen:
    where = f"event {number}"
    if event.kind not in _KINDS:
        raise _invalid(f"{where}: a {event.kind} does not say what was seen of a receipt's goods")
    if event.declares_error:
        raise _invalid(f"{where} takes another event back; post what is so instead")
    quantity = _quantity(event, unit)
    kind = _kind(event, quantity)
    place = _place(event, where)
    return Seen(
        kind.value,
        _unix_ms(event, where),
        places.get(place, place),
        quantity,
        _ssccs(event, where),
        ", ".join(event.alarms)[:ALARM_CHARACTERS_MAX],
        evidence_of(file_sha256, number),
    )


def _kind(event: Event, quantity: int | None) -> GoodsKind:
    """By its step, else by its shape. Who counts says how many; a count without one is a look."""
    otherwise = GoodsKind.SENSOR if event.has_sensors else _KINDS[event.kind]
    kind = STEPS.get(event.biz_step or "", otherwise)
    return GoodsKind.OBSERVATION if kind in COUNTED_KINDS and quantity is None else kind


def _quantity(event: Event, unit: str) -> int | None:
    """The sum, where all of it is counted in the receipt's unit; else nothing was counted."""
    if not event.quantities:
        return None
    total = 0
    for _, quantity in event.quantities:
        if quantity is None or quantity.base_unit != unit:
            return None
        total += quantity.base
    return total


def _place(event: Event, where: str) -> str:
    """Where the goods are after the event, or where it was read."""
    named = event.biz_location or event.read_point
    if named is None:
        raise Refused(DocumentReason.DOCUMENT_FIELD_MISSING, f"{where} names no place")
    place = _gln(named)
    if len(place) > PLACE_CHARACTERS_MAX:
        raise _invalid(f"{where}: a place has at most {PLACE_CHARACTERS_MAX} characters")
    return place


def _gln(text: str) -> str:
    """The GLN of a location, with its extension where it has one; other text as it stands."""
    urn = _GLN_URN.fullmatch(text)
    if urn is not None and len(urn[1] + urn[2]) == 12:
        return _with_check_digit(urn[1] + urn[2]) + ("" if urn[3] == "0" else f".{urn[3]}")
    link = _GLN_LINK.fullmatch(text)
    if link is not None:
        return link[1] + (f".{link[2]}" if link[2] else "")
    return text


def _ssccs(event: Event, where: str) -> tuple[str, ...]:
    ssccs = tuple(sorted(set(_all_ssccs(event, where))))
    if len(ssccs) > SSCCS_MAX:
        raise Refused(
            DocumentReason.DOCUMENT_TOO_MANY_PARTS,
            f"{where} names {len(ssccs)} containers, at most {SSCCS_MAX} are posted at once",
        )
    return ssccs


def _all_ssccs(event: Event, where: str) -> Iterator[str]:
    for identifier in event.identifiers:
        urn = _SSCC_URN.fullmatch(identifier)
        link = _SSCC_LINK.fullmatch(identifier)
        if urn is not None and len(urn[1] + urn[2]) == 17:
            extension, serial = urn[2][0], urn[2][1:]
            yield _with_check_digit(extension + urn[1] + serial)
        elif link is not None:
            if _with_check_digit(link[1][:-1]) != link[1]:
                raise _invalid(f"{where}: SSCC {link[1]} fails its check digit")
            yield link[1]


def _with_check_digit(digits: str) -> str:
    """GS1: from the right, digits count three times and once in turn, up to the next ten."""
    total = sum(int(one) * (1 if at % 2 else 3) for at, one in enumerate(reversed(digits)))
    return digits + str(-total % 10)


def _unix_ms(event: Event, where: str) -> int:
    try:
        moment = datetime.datetime.fromisoformat(event.time)
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        raise _invalid(f"{where}: there is no time {event.time}") from None


def _invalid(message: str) -> Refused:
    return Refused(DocumentReason.DOCUMENT_FIELD_INVALID, message)
