"""EPCIS 2.0 in JSON-LD: what was seen, where, when, in which step, by its plain field names.

    document = read_epcis(data)
    document.events[0].kind, document.events[0].biz_step     # "ObjectEvent", "receiving"

The context of the JSON-LD is not fetched and not expanded: nothing here touches a network, so terms
are read as GS1's own contexts spell them, and a vendor's extensions are left alone: in an event
they are passed over, an event of a type of its own (`example:Inspection`) is read for what all
events have. Terms are known by name, CURIE (`cbv:BizStep-receiving`), URN and URI; JSON-LD's own
`@type` and `@id`, and the `isA` of earlier contexts, count as `type` and `id`; a single event may
stand where a list of them is expected. Numbers are kept as text until they become integers. Read
are `EPCISDocument`, `EPCISQueryDocument` and a bare event.

Source: GS1 EPCIS 2.0.1 section 10 and CBV 2.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from bizchain.documents.errors import DocumentReason
from bizchain.documents.files import check_size
from bizchain.documents.records import Quantity, Remark
from common.amount import to_base, unit_of
from common.crypto.digest import sha256
from common.errors import CommonReason, Refused

__all__ = ["EVENTS_MAX", "EVENT_KINDS", "Event", "EventDocument", "read_epcis"]

EVENTS_MAX = 10_000
DEPTH_MAX = 32
IDENTIFIERS_MAX = 100_000

EVENT_KINDS: Final = (
    "ObjectEvent",
    "AggregationEvent",
    "TransactionEvent",
    "TransformationEvent",
    "AssociationEvent",
)
SCHEMA_VERSIONS: Final = {
    "EPCISDocument": ("2.0", "2.0.0", "2.0.1"),
    "EPCISQueryDocument": (None, "2.0", "2.0.0", "2.0.1"),
}
"""What each kind of document may state; the answer to a query need not state any."""

_ACTION_KINDS: Final = ("ObjectEvent", "AggregationEvent", "TransactionEvent", "AssociationEvent")
_ACTIONS: Final = ("ADD", "OBSERVE", "DELETE")
_LISTS: Final = ("epcList", "childEPCs", "inputEPCList", "outputEPCList")
_QUANTITY_LISTS: Final = (
    "quantityList",
    "childQuantityList",
    "inputQuantityList",
    "outputQuantityList",
)
_TIME: Final = re.compile(
    r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T"
    r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_OFFSET: Final = re.compile(r"[+-](0[0-9]|1[0-4]):[0-5][0-9]")
_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)
_REPEATABLE: Final = "eventID"
_CBV: Final = re.compile(
    r"\A(?:urn:epcglobal:cbv:[a-z]+:"
    r"|https?://(?:[^ /]+/)+(?:cbv/)?(?:BizStep|Disp|BTT|SDT|ER)-"
    r"|cbv:(?:BizStep|Disp|BTT|SDT|ER)-)"
)
_EXTENSION: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^ ]{1,200}")
_EPCIS_PREFIX: Final = re.compile(r"(?:epcis:|https://[^ ]{1,100}/epcis/)(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `identifiers` are all its EPCs, parents and inputs and outputs included.

    `alarms` name what sensors reported as an exception: "Temperature ALARM_CONDITION".
    """

    kind: str
    id: str | None
    time: str
    time_zone_offset: str
    action: str | None
    biz_step: str | None
    disposition: str | None
    identifiers: tuple[str, ...]
    quantities: tuple[tuple[str, Quantity | None], ...]
    read_point: str | None
    biz_location: str | None
    transactions: tuple[tuple[str, str], ...]
    declares_error: bool
    has_sensors: bool
    alarms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventDocument:
    """The events of one file. `kind` is the type of its outermost object."""

    kind: str
    id: str | None
    created: str | None
    sha256: bytes
    events: tuple[Event, ...]
    remarks: tuple[Remark, ...]


def read_epcis(data: bytes) -> EventDocument:
    """The events in these bytes.

    Refused: DOCUMENT_TOO_LARGE, DOCUMENT_TOO_DEEP, DOCUMENT_TOO_MANY_PARTS, DOCUMENT_NOT_JSON;
    DOCUMENT_NOT_EPCIS where there is no event list; DOCUMENT_FIELD_MISSING and
    DOCUMENT_FIELD_INVALID for an event without its kind, its time, or with a malformed field.
    """
    check_size(data)
    remarks: list[Remark] = []
    root = _object(_parsed(data, remarks), "the document")
    kind = _kind(root)
    listed = [root] if _is_event(root, kind) else _event_list(root, kind)
    if len(listed) > EVENTS_MAX:
        raise Refused(
            DocumentReason.DOCUMENT_TOO_MANY_PARTS,
            f"{len(listed)} events, at most {EVENTS_MAX} are read",
        )
    version = _text(root, "schemaVersion")
    if not _is_event(root, kind) and version not in SCHEMA_VERSIONS[kind]:
        remarks.append(Remark("SCHEMA-VERSION", f"schema version {version}, read as 2.0"))
    reader = _Reader(remarks)
    events = tuple(reader.event(each, place) for place, each in enumerate(listed))
    return EventDocument(
        kind=kind,
        id=_own_id(root),
        created=_text(root, "creationDate"),
        sha256=sha256(data),
        events=events,
        remarks=tuple(dict.fromkeys(remarks)),
    )


def _event_list(root: dict[str, Any], kind: str) -> list[Any]:
    body = root.get("epcisBody")
    if kind == "EPCISQueryDocument" and isinstance(body, dict):
        results = body.get("queryResults")
        body = results.get("resultsBody") if isinstance(results, dict) else None
    elif kind != "EPCISDocument":
        raise Refused(DocumentReason.DOCUMENT_NOT_EPCIS, f"type {kind!r:.100} is not EPCIS")
    listed = body.get("eventList") if isinstance(body, dict) else None
    if isinstance(listed, dict):
        return [listed]
    if not isinstance(listed, list):
        raise Refused(DocumentReason.DOCUMENT_NOT_EPCIS, f"this {kind} has no event list")
    return listed


class _Reader:
    """Reads events and collects the remarks on the way."""

    def __init__(self, remarks: list[Remark]) -> None:
        self.remarks = remarks
        self._identifiers = 0

    def event(self, value: object, place: int) -> Event:
        """One event; `place` is its position, for messages."""
        where = f"event {place + 1}"
        fields = _object(value, where)
        kind = _kind(fields)
        if kind not in EVENT_KINDS and _EXTENSION.fullmatch(kind) is None:
            raise Refused(
                DocumentReason.DOCUMENT_FIELD_INVALID, f"{where}: type {kind!r:.100} is no event"
            )
        time = _text(fields, "eventTime")
        if time is None:
            raise Refused(DocumentReason.DOCUMENT_FIELD_MISSING, f"{where} has no eventTime")
        if _TIME.fullmatch(time) is None:
            raise Refused(DocumentReason.DOCUMENT_FIELD_INVALID, f"{where}: time {time!r:.60}")
        event = Event(
            kind=kind,
            id=_text(fields, "eventID"),
            time=time,
            time_zone_offset=self._offset(fields, where),
            action=self._action(fields, kind, where),
            biz_step=_term(_text(fields, "bizStep")),
            disposition=_term(_text(fields, "disposition")),
            identifiers=tuple(self._all_identifiers(fields, where)),
            quantities=tuple(self._all_quantities(fields, where)),
            read_point=_place(fields, "readPoint"),
            biz_location=_place(fields, "bizLocation"),
            transactions=tuple(_transactions(fields, where)),
            declares_error="errorDeclaration" in fields,
            has_sensors=bool(fields.get("sensorElementList")),
            alarms=tuple(dict.fromkeys(_alarms(fields, where))),
        )
        if kind not in EVENT_KINDS:
            self._remark("EVENT-TYPE", f"{where} is of the extension type {kind}")
        if event.id is None:
            self._remark("EVENT-ID", f"{where} has no eventID")
        named = event.identifiers or event.quantities or "sensorElementList" in fields
        if not named and kind in EVENT_KINDS and kind != "TransactionEvent":
            self._remark("EVENT-EMPTY", f"{where} names no object")
        return event

    def _remark(self, rule: str, message: str) -> None:
        self.remarks.append(Remark(rule, message))

    def _offset(self, fields: dict[str, Any], where: str) -> str:
        offset = _text(fields, "eventTimeZoneOffset")
        if offset is None or _OFFSET.fullmatch(offset) is None:
            self._remark("TIME-ZONE-OFFSET", f"{where}: time zone offset {offset!r:.20}")
        return offset or ""

    def _action(self, fields: dict[str, Any], kind: str, where: str) -> str | None:
        action = _text(fields, "action")
        if kind in _ACTION_KINDS and action not in _ACTIONS:
            raise Refused(DocumentReason.DOCUMENT_FIELD_INVALID, f"{where}: action {action!r:.40}")
        return action

    def _all_identifiers(self, fields: dict[str, Any], where: str) -> Iterator[str]:
        parent = _text(fields, "parentID")
        if parent is not None:
            yield parent
        for name in _LISTS:
            for value in _list(fields, name, where):
                if not isinstance(value, str) or not value:
                    raise Refused(
                        DocumentReason.DOCUMENT_FIELD_INVALID, f"{where}: {name} has no text"
                    )
                self._identifiers += 1
                if self._identifiers > IDENTIFIERS_MAX:
                    raise Refused(
                        DocumentReason.DOCUMENT_TOO_MANY_PARTS,
                        f"more than {IDENTIFIERS_MAX} identifiers",
                    )
                yield value

    def _all_quantities(
        self, fields: dict[str, Any], where: str
    ) -> Iterator[tuple[str, Quantity | None]]:
        for name in _QUANTITY_LISTS:
            for value in _list(fields, name, where):
                entry = _object(value, f"{where}: {name}")
                yield _text(entry, "epcClass") or "", self._quantity(entry, where)

    def _quantity(self, entry: dict[str, Any], where: str) -> Quantity | None:
        """Without a unit it counts instances, as EPCIS says; an unknown unit is a remark."""
        written = entry.get("quantity")
        if written is None:
            return None
        text, unit = str(written), _text(entry, "uom") or "H87"
        try:
            base, exact = to_base(text, unit, signed=False)
        except Refused as refused:
            if refused.reason is CommonReason.UNKNOWN_UNIT:
                self._remark("UNIT", f"{where}: {refused.message}")
                return None
            raise Refused(
                DocumentReason.DOCUMENT_FIELD_INVALID, f"{where}: quantity: {refused.message}"
            ) from None
        if not exact:
            self._remark("QUANTITY", f"{where}: {text} {unit} is cut to whole base units")
        return Quantity(base, unit_of(unit).base, text, unit, exact)


# --- plain JSON ---


def _parsed(data: bytes, remarks: list[Remark]) -> object:
    """The JSON value, numbers that are not integers as text, nesting bounded, no name twice.

    But an event's id: there the last one counts, with a remark. An official example has two.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            names = [name for name, _ in pairs if name != _REPEATABLE]
            if len(set(names)) != len(names):
                raise ValueError("an object has one name twice")
            remarks.append(Remark("EVENT-ID", f"two {_REPEATABLE}s, the last is read"))
        return fields

    try:
        text = data.decode("utf-8-sig")
        _check_depth(text)
        return json.loads(
            text, parse_float=str, parse_constant=_no_constant, object_pairs_hook=unique
        )
    except UnicodeDecodeError:
        raise Refused(DocumentReason.DOCUMENT_NOT_JSON, "not JSON: not UTF-8") from None
    except ValueError as error:  # also an integer of thousands of digits
        raise Refused(DocumentReason.DOCUMENT_NOT_JSON, f"not JSON: {error}") from None


def _check_depth(text: str) -> None:
    """Counts brackets outside strings, so that no parser ever recurses into a bomb. Linear: a
    string that never ends is one match too.
    """
    depth = 0
    for bracket in _STRING_OR_BRACKET.finditer(text):
        match bracket.group()[0]:
            case "[" | "{":
                depth += 1
            case "]" | "}":
                depth -= 1
        if depth > DEPTH_MAX:
            raise Refused(
                DocumentReason.DOCUMENT_TOO_DEEP, f"values are nested deeper than {DEPTH_MAX}"
            )


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(DocumentReason.DOCUMENT_FIELD_INVALID, f"{where} is not an object")
    return value


def _list(fields: dict[str, Any], name: str, where: str) -> list[Any]:
    value = fields.get(name)
    if value is None:  # also where it is written so
        return []
    if not isinstance(value, list):
        raise Refused(DocumentReason.DOCUMENT_FIELD_INVALID, f"{where}: {name} is not a list")
    return value


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return value if isinstance(value, str) and value else None


def _kind(fields: dict[str, Any]) -> str:
    """The type of an object, by its short name where it is one of EPCIS's own."""
    written = _text(fields, "type") or _text(fields, "@type") or _text(fields, "isA") or ""
    return _EPCIS_PREFIX.sub("", written, count=1)


def _is_event(fields: dict[str, Any], kind: str) -> bool:
    return kind in EVENT_KINDS or (_EXTENSION.fullmatch(kind) is not None and "eventTime" in fields)


def _own_id(fields: dict[str, Any]) -> str | None:
    return _text(fields, "id") or _text(fields, "@id")


def _place(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    return _own_id(value) if isinstance(value, dict) else _text(fields, name)


def _term(value: str | None) -> str | None:
    """A CBV term by its short name, whichever of its spellings was written."""
    return None if value is None else _CBV.sub("", value, count=1)


def _transactions(fields: dict[str, Any], where: str) -> Iterator[tuple[str, str]]:
    for value in _list(fields, "bizTransactionList", where):
        entry = _object(value, f"{where}: bizTransactionList")
        yield _term(_text(entry, "type")) or "", _text(entry, "bizTransaction") or ""


def _alarms(fields: dict[str, Any], where: str) -> Iterator[str]:
    for value in _list(fields, "sensorElementList", where):
        element = _object(value, f"{where}: sensorElementList")
        for entry in _list(element, "sensorReport", where):
            report = _object(entry, f"{where}: sensorReport")
            exception = _text(report, "exception")
            if exception is not None:
                yield f"{_text(report, 'type') or 'sensor'} {exception}"
