"""A feed of EPCIS events becomes what is posted of a receipt's goods, or is refused whole."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from bizchain.contracts.logistics.types import POSTED_KINDS, GoodsKind
from bizchain.documents.epcis import read_epcis
from bizchain.documents.errors import DocumentReason
from bizchain.documents.feed import STEPS, Seen, evidence_of, feed_of
from common.crypto.digest import sha256
from common.errors import Reason, Refused
from tests.shared_data import SAMPLES, needs_shared_data, shared_data

SAMPLE = (SAMPLES / "events.jsonld").read_bytes()
PLACE = {"id": "urn:epc:id:sgln:0614141.12345.0"}
STEEL = [{"epcClass": "urn:epc:class:lgtin:9520001.000101.H", "quantity": 24.75, "uom": "TNE"}]


def event(**fields: object) -> dict[str, Any]:
    return {
        "type": "ObjectEvent",
        "eventID": "urn:uuid:1",
        "eventTime": "2025-06-11T09:30:00.123+08:00",
        "eventTimeZoneOffset": "+08:00",
        "action": "OBSERVE",
        "epcList": ["urn:epc:id:sgtin:9520001.000101.1"],
        "bizLocation": PLACE,
        **fields,
    }


def document(*events: object) -> bytes:
    return json.dumps(
        {
            "@context": "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": "2025-06-11T09:30:00Z",
            "epcisBody": {"eventList": events},
        }
    ).encode()


def seen(**fields: object) -> Seen:
    [only] = feed_of(read_epcis(document(event(**fields))), "GRM")
    return only


def test_the_sample_is_a_departure_and_an_arrival_with_its_weight() -> None:
    feed = feed_of(read_epcis(SAMPLE), "GRM", {"9520001000041": "hall 7"})
    assert [(one.kind, one.place, one.quantity) for one in feed] == [
        ("move", "9520001000010", None),
        ("move", "hall 7", 24_750_000),
    ]
    assert [one.event_unix_ms for one in feed] == [1_749_543_600_000, 1_749_605_400_000]
    assert [one.evidence_hash for one in feed] == [evidence_of(sha256(SAMPLE), n) for n in (1, 2)]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"bizStep": "stock_taking", "quantityList": STEEL}, GoodsKind.STOCK_TAKE),
        ({"bizStep": "stock_taking"}, GoodsKind.OBSERVATION),
        ({"bizStep": "commissioning", "quantityList": STEEL}, GoodsKind.COMMISSION),
        ({"bizStep": "transporting"}, GoodsKind.MOVE),
        ({"bizStep": "retail_selling"}, GoodsKind.MOVE),
        ({"bizStep": "storing"}, GoodsKind.OBSERVATION),
        ({"bizStep": "https://example.org/steps/admired"}, GoodsKind.OBSERVATION),
        ({}, GoodsKind.OBSERVATION),
        ({"bizStep": "packing"}, GoodsKind.AGGREGATION),
        (
            {"type": "AggregationEvent", "action": "ADD", "childEPCs": [], "parentID": "urn:a:b"},
            GoodsKind.AGGREGATION,
        ),
        ({"bizStep": "inspecting", "sensorElementList": [{"sensorReport": []}]}, GoodsKind.SENSOR),
        ({"bizStep": "sensor_reporting"}, GoodsKind.SENSOR),
    ],
    ids=str,
)
def test_a_step_says_what_kind_it_is(fields: dict[str, Any], kind: GoodsKind) -> None:
    assert seen(**fields).kind == kind


def test_every_kind_that_is_posted_can_come_of_a_feed() -> None:
    shapes = {GoodsKind.OBSERVATION}  # what has no step of its own
    assert {*STEPS.values()} | shapes == {*POSTED_KINDS}


def test_an_exception_of_a_sensor_is_an_alarm() -> None:
    report = {"type": "Temperature", "value": 41.5, "uom": "CEL"}
    calm = seen(sensorElementList=[{"sensorReport": [report]}])
    assert (calm.kind, calm.alarm) == ("sensor", "")
    hot = [{**report, "exception": "ALARM_CONDITION"}] * 2
    alarmed = seen(bizStep="storing", sensorElementList=[{"sensorReport": hot}])
    assert (alarmed.kind, alarmed.alarm) == ("sensor", "Temperature ALARM_CONDITION")


def test_a_place_is_its_gln() -> None:
    """The pairs of the EPC Tag Data Standard: URN and element string."""
    for text, place in (
        ("urn:epc:id:sgln:0614141.12345.400", "0614141123452.400"),
        ("urn:epc:id:sgln:0614141.12345.0", "0614141123452"),
        ("https://id.gs1.org/414/0614141123452/254/400", "0614141123452.400"),
        ("https://example.org/414/0614141123452", "0614141123452"),
        ("https://example.org/warehouse/hall-7", "https://example.org/warehouse/hall-7"),
    ):
        assert seen(bizLocation={"id": text}).place == place
    assert seen(bizLocation=None, readPoint=PLACE).place == "0614141123452"
    assert seen(readPoint={"id": "https://example.org/gate"}).place == "0614141123452"


def test_a_container_is_its_eighteen_digits() -> None:
    """The pair of the EPC Tag Data Standard, in both spellings, once."""
    epcs = [
        "urn:epc:id:sscc:0614141.1234567890",
        "https://id.gs1.org/00/106141412345678908",
        "urn:epc:id:sgtin:9520001.000101.1",
    ]
    assert seen(epcList=epcs).ssccs == ("106141412345678908",)


def test_a_quantity_is_all_of_it_in_the_receipts_unit() -> None:
    assert seen(quantityList=STEEL * 2).quantity == 49_500_000
    assert seen(quantityList=[*STEEL, {"epcClass": "x", "quantity": 2}]).quantity is None
    assert seen(quantityList=[*STEEL, {"epcClass": "x"}]).quantity is None
    assert seen().quantity is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "TransactionEvent"}, DocumentReason.DOCUMENT_FIELD_INVALID),
        ({"type": "TransformationEvent"}, DocumentReason.DOCUMENT_FIELD_INVALID),
        ({"errorDeclaration": {}}, DocumentReason.DOCUMENT_FIELD_INVALID),
        ({"bizLocation": None}, DocumentReason.DOCUMENT_FIELD_MISSING),
        ({"bizLocation": {"id": "x" * 101}}, DocumentReason.DOCUMENT_FIELD_INVALID),
        ({"eventTime": "2025-02-30T00:00:00Z"}, DocumentReason.DOCUMENT_FIELD_INVALID),
        ({"eventTime": "2025-02-28T23:59:60Z"}, DocumentReason.DOCUMENT_FIELD_INVALID),
        (
            {"epcList": ["https://id.gs1.org/00/106141412345678900"]},
            DocumentReason.DOCUMENT_FIELD_INVALID,
        ),
        (
            {"epcList": [f"urn:epc:id:sscc:0614141.{n:010}" for n in range(33)]},
            DocumentReason.DOCUMENT_TOO_MANY_PARTS,
        ),
        ({"sensorElementList": "hot"}, DocumentReason.DOCUMENT_FIELD_INVALID),
        ({"sensorElementList": [{"sensorReport": [1]}]}, DocumentReason.DOCUMENT_FIELD_INVALID),
    ],
    ids=str,
)
def test_one_event_that_says_nothing_of_the_goods_refuses_the_feed(
    fields: dict[str, Any], reason: Reason
) -> None:
    with pytest.raises(Refused) as refused:
        feed_of(read_epcis(document(event(), event(**fields))), "GRM")
    assert refused.value.reason is reason


@needs_shared_data
def test_what_is_fed_here_is_epcis_as_its_publisher_judges_it() -> None:
    schema = json.loads((shared_data() / "epcis" / "EPCIS-JSON-Schema.json").read_text("utf-8"))
    alarm = {"type": "Temperature", "exception": "ALARM_CONDITION"}
    events = (
        event(bizStep="stock_taking", quantityList=STEEL),
        event(bizStep="sensor_reporting", sensorElementList=[{"sensorReport": [alarm]}]),
    )
    for data in (document(*events), SAMPLE):
        jsonschema.validate(json.loads(data), schema)
        assert len(feed_of(read_epcis(data), "GRM")) == 2


@needs_shared_data
def test_every_official_example_is_a_feed_or_says_why_it_is_none() -> None:
    """Refused are those of kinds that say nothing of goods, and the one that takes back."""
    fed = 0
    for path in sorted((shared_data() / "epcis" / "json").iterdir()):
        read = read_epcis(path.read_bytes())
        if any("Trans" in event.kind for event in read.events):
            with pytest.raises(Refused, match=r"event \d+"):
                feed_of(read, "GRM")
        else:
            assert len(feed_of(read, "GRM")) == len(read.events)
            fed += 1
    assert fed >= 6
