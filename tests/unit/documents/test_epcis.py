"""EPCIS events are read by their plain names; hostile JSON is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bizchain.documents.epcis import read_epcis
from bizchain.documents.errors import DocumentReason
from common.errors import Reason, Refused
from tests.shared_data import SAMPLES, needs_shared_data, shared_data

SAMPLE = (SAMPLES / "events.jsonld").read_bytes()


def event(**fields: object) -> dict[str, Any]:
    return {
        "type": "ObjectEvent",
        "eventID": "urn:uuid:1",
        "eventTime": "2025-06-11T09:30:00+08:00",
        "eventTimeZoneOffset": "+08:00",
        "action": "OBSERVE",
        "epcList": ["urn:epc:id:sgtin:9520001.000101.1"],
        **fields,
    }


def document(*events: object) -> bytes:
    return json.dumps(
        {"type": "EPCISDocument", "schemaVersion": "2.0", "epcisBody": {"eventList": events}}
    ).encode()


def test_the_sample_is_read_whole() -> None:
    read = read_epcis(SAMPLE)
    assert [each.biz_step for each in read.events] == ["shipping", "receiving"]
    received = read.events[1]
    assert (received.kind, received.action, received.disposition) == (
        "ObjectEvent",
        "OBSERVE",
        "in_progress",
    )
    assert received.identifiers == ("urn:epc:id:sgtin:9520001.000101.C25-0617",)
    ((_, quantity),) = received.quantities
    assert quantity is not None
    assert (quantity.base, quantity.base_unit) == (24_750_000, "GRM")
    assert received.biz_location == "urn:epc:id:sgln:9520001.00004.0"
    assert received.transactions[1][0] == "recadv"
    assert read.remarks == ()


@pytest.mark.parametrize(
    "step",
    [
        "receiving",
        "urn:epcglobal:cbv:bizstep:receiving",
        "https://ref.gs1.org/cbv/BizStep-receiving",
        "https://ns.gs1.org/voc/BizStep-receiving",
        "cbv:BizStep-receiving",
    ],
)
def test_a_step_has_one_name_in_all_its_spellings(step: str) -> None:
    assert read_epcis(document(event(bizStep=step))).events[0].biz_step == "receiving"


def test_a_bare_event_is_read() -> None:
    read = read_epcis(json.dumps(event()).encode())
    assert (read.kind, len(read.events)) == ("ObjectEvent", 1)


@pytest.mark.parametrize("name", ["@type", "isA"])
def test_a_type_goes_by_its_earlier_names_too(name: str) -> None:
    fields = event()
    fields[name] = f"epcis:{fields.pop('type')}"
    assert read_epcis(document(fields)).events[0].kind == "ObjectEvent"


def test_one_event_may_stand_where_a_list_is_expected() -> None:
    body = {"eventList": event()}
    data = json.dumps({"type": "EPCISDocument", "schemaVersion": "2.0", "epcisBody": body})
    assert len(read_epcis(data.encode()).events) == 1


def test_the_answer_to_a_query_need_not_state_a_version() -> None:
    body = {"queryResults": {"queryName": "q", "resultsBody": {"eventList": [event()]}}}
    read = read_epcis(json.dumps({"type": "EPCISQueryDocument", "epcisBody": body}).encode())
    assert (read.kind, len(read.events), read.remarks) == ("EPCISQueryDocument", 1, ())


def test_a_document_of_master_data_alone_has_no_events() -> None:
    assert read_epcis(document()).events == ()


def test_sensors_and_persistent_dispositions_are_passed_over() -> None:
    fields: dict[str, object] = {
        "epcList": [],
        "sensorElementList": [{"sensorReport": [{"type": "Temperature", "value": 26.5}]}],
        "persistentDisposition": {"set": ["completeness_verified"]},
        "readPoint": {"id": "geo:42.698334,23.319941"},
    }
    read = read_epcis(document(event(**fields)))
    assert (read.events[0].read_point, read.remarks) == ("geo:42.698334,23.319941", ())


def test_of_two_event_ids_the_last_is_read_and_of_nothing_else_are_there_two() -> None:
    data = document(event()).replace(b'"eventID"', b'"eventID": "urn:uuid:0", "eventID"')
    read = read_epcis(data)
    assert read.events[0].id == "urn:uuid:1"
    assert [remark.rule for remark in read.remarks] == ["EVENT-ID"]
    for name in (b'"action"', b'"eventTime"', b'"epcList"'):
        twice = document(event()).replace(name, name + b": 1, " + name)
        with pytest.raises(Refused) as caught:
            read_epcis(twice)
        assert caught.value.reason is DocumentReason.DOCUMENT_NOT_JSON


def test_a_list_that_is_null_is_a_list_that_is_not_there() -> None:
    fields = event(quantityList=None, bizTransactionList=None)
    assert read_epcis(document(fields)).remarks == ()


def test_an_association_names_its_parent_and_its_children() -> None:
    fields = event(type="AssociationEvent", parentID="urn:p", childEPCs=["urn:c"], epcList=[])
    assert read_epcis(document(fields)).events[0].identifiers == ("urn:p", "urn:c")


def test_an_event_of_a_type_of_its_own_is_read_for_what_all_events_have() -> None:
    fields = event(type="example:Inspection", action=None)
    read = read_epcis(document(fields))
    assert read.events[0].kind == "example:Inspection"
    assert [remark.rule for remark in read.remarks] == ["EVENT-TYPE"]
    assert read_epcis(json.dumps(fields).encode()).kind == "example:Inspection"


def test_a_decimal_quantity_is_exact_beyond_what_a_float_can_hold() -> None:
    entry = {"epcClass": "urn:epc:class:lgtin:9520001.000101.H", "quantity": 0, "uom": "KGM"}
    data = document(event(quantityList=[entry]))
    data = data.replace(b'"quantity": 0', b'"quantity": 9007199254740.993')
    ((_, quantity),) = read_epcis(data).events[0].quantities
    assert quantity is not None
    assert quantity.base == 9_007_199_254_740_993


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"eventID": None}, "EVENT-ID"),
        ({"epcList": []}, "EVENT-EMPTY"),
        ({"eventTimeZoneOffset": "8"}, "TIME-ZONE-OFFSET"),
        ({"quantityList": [{"epcClass": "x", "quantity": 1, "uom": "QQQ"}]}, "UNIT"),
        ({"quantityList": [{"epcClass": "x", "quantity": 1.5}]}, "QUANTITY"),
    ],
)
def test_what_is_merely_wrong_is_remarked(fields: dict[str, object], rule: str) -> None:
    read = read_epcis(document(event(**fields)))
    assert [remark.rule for remark in read.remarks] == [rule]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[" * 100_000, DocumentReason.DOCUMENT_TOO_DEEP),
        (b'{"a":' * 50 + b"1" + b"}" * 50, DocumentReason.DOCUMENT_TOO_DEEP),
        (b" " * (10 * 1024 * 1024 + 1), DocumentReason.DOCUMENT_TOO_LARGE),
        (b"", DocumentReason.DOCUMENT_NOT_JSON),
        (b"\xff\xfe", DocumentReason.DOCUMENT_NOT_JSON),
        (b"[NaN]", DocumentReason.DOCUMENT_NOT_JSON),
        (b"1" * 5_000, DocumentReason.DOCUMENT_NOT_JSON),
        (b'"' + b'\\"' * 500_000, DocumentReason.DOCUMENT_NOT_JSON),
        (b'{"type": "EPCISDocument", "type": "x"}', DocumentReason.DOCUMENT_NOT_JSON),
        (b"[]", DocumentReason.DOCUMENT_FIELD_INVALID),
        (b'{"type": "Order"}', DocumentReason.DOCUMENT_NOT_EPCIS),
        (b'{"type": "EPCISDocument"}', DocumentReason.DOCUMENT_NOT_EPCIS),
        (document(1), DocumentReason.DOCUMENT_FIELD_INVALID),
        (document(*[event()] * 10_001), DocumentReason.DOCUMENT_TOO_MANY_PARTS),
        (document(event(type="PartyEvent")), DocumentReason.DOCUMENT_FIELD_INVALID),
        (document(event(eventTime=None)), DocumentReason.DOCUMENT_FIELD_MISSING),
        (document(event(eventTime="yesterday")), DocumentReason.DOCUMENT_FIELD_INVALID),
        (document(event(action="MOVE")), DocumentReason.DOCUMENT_FIELD_INVALID),
        (document(event(epcList="x")), DocumentReason.DOCUMENT_FIELD_INVALID),
        (document(event(epcList=[1])), DocumentReason.DOCUMENT_FIELD_INVALID),
        (
            document(event(quantityList=[{"quantity": -1, "uom": "KGM"}])),
            DocumentReason.DOCUMENT_FIELD_INVALID,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, DocumentReason) else str(value[:30]),
)
def test_what_is_hostile_or_malformed_is_refused_with_its_reason(
    data: bytes, reason: Reason
) -> None:
    with pytest.raises(Refused) as caught:
        read_epcis(data)
    assert caught.value.reason is reason


@given(place=st.integers(0, len(SAMPLE) - 1), patch=st.binary(max_size=8))
def test_a_damaged_document_is_read_or_refused_and_nothing_else(place: int, patch: bytes) -> None:
    reason: Reason | None = None
    try:
        read_epcis(SAMPLE[:place] + patch + SAMPLE[place + len(patch) :])
    except Refused as refused:
        reason = refused.reason
    assert reason is None or isinstance(reason, DocumentReason)


@needs_shared_data
@pytest.mark.parametrize(
    "path", sorted(shared_data().glob("epcis/json/*")), ids=lambda path: path.name
)
def test_every_official_example_is_read(path: Any) -> None:
    read = read_epcis(path.read_bytes())
    assert read.events
    assert all(each.identifiers or each.quantities for each in read.events)
    assert {remark.rule for remark in read.remarks} <= {"EVENT-ID"}
