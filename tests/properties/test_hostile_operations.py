"""Whatever an operation says, a ledger refuses it or carries it out: no content stops a node.

Every node applies the same block, so a transaction that raised anything but a refusal would stop
all of them at once, and again at every start.
"""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bizchain.contracts.authority.types import KINDS
from bizchain.contracts.cash.types import FeeSchedule
from bizchain.v1 import operation_pb2 as business_pb
from common.encoding import encode
from common.errors import CommonReason as Reason
from common.errors import Refused
from common.ledger.grades import Policy, PolicyRow
from common.storage.ports import KEY_BYTES_MAX
from tests.kit import authority, cast
from tests.kit.council import Council, check_invariants
from tests.kit.pair import Pair, furnished
from tests.kit.side import Side

AUTHORS = (*cast.ROLES, "operator:checker")
TEXTS = st.one_of(
    st.sampled_from((*cast.ROLES, "EUR", "lot-alice", "receipt-alice", "lot", "party", "receipt")),
    st.sampled_from(("720839", "GRM", "a\x00b", "a/b", "../a", "\x1b[2J", "Ⅷ", "𝟙𝟚𝟛𝟜𝟝𝟞", "x\n")),
    st.builds(
        str.__mul__, st.sampled_from("x/é中𝔘"), st.sampled_from((40, 64, 100, 140, 200, 201))
    ),
    st.sampled_from(
        (*KINDS, "change-lost", "change-over", "change-waiting", "join-waiting", "BBB")
    ),
    st.text(max_size=20),
)
NUMBERS = st.sampled_from((0, 1, -1, 1_000, 2**31, 2**63 - 1, -(2**63), cast.START_UNIX_MS))
DATA = st.one_of(
    st.binary(max_size=40),
    st.sampled_from((bytes(32), bytes(64), b"\xff" * 600, authority.NEW_KEY)),
)

CHANGES: list[tuple[str, str, int, bytes]] = [
    ("parameter", "deadline_min_ms", 600_000, b""),
    ("parameter", "deadline_max_ms", 600_001, b""),
    ("parameter", "freeze_lag_max_ms", 15_000, b""),
    *(
        ("fee-schedule", "platform", 0, encode(FeeSchedule(1, *rates)))
        for rates in ((0, 0), (10_000, 100), (50, 1), (10_001, 0), (2**63, 0), (0, -1))
    ),
    *(
        ("policy-table", "credit-permissions", 0, encode(Policy(form, rows, "", waiting)))
        for form, rows, waiting in (
            (1, (), 86_400_000),
            (1, (PolicyRow("A", ("X1",)),), 86_400_000),
            (2, (), 86_400_000),
            (1, (PolicyRow("A", ("approve_party",)),), 2**63 - 1),
        )
    ),
    *((kind, "x" * 64, 0, b"\xff" * 16_384) for kind in ("policy-table", "scorecard", "template")),
]
ODD: list[tuple[str, st.SearchStrategy[object]]] = [
    ("kind", TEXTS),
    ("name", TEXTS),
    ("ground", TEXTS),
    ("value", NUMBERS),
    ("content", DATA),
    ("activation_height", NUMBERS),
    ("activation_height", st.integers(0, 40_000)),
    ("deadline_unix_ms", NUMBERS),
]
AMOUNTS = st.sampled_from((1, 1_000, 10_000))

PAIR: list[Pair] = []


def pair() -> Pair:
    """One furnished pair for all examples: each is another block on it."""
    if not PAIR:
        PAIR.append(furnished())
        authority.prepare(PAIR[0])
    return PAIR[0]


@st.composite
def filled(draw: st.DrawFn, message: Message) -> Message:
    """The message with a value in every field, as odd as its type allows."""
    for field in message.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            inner = getattr(message, field.name)
            draw(filled(inner.add() if field.is_repeated else inner))
            continue
        kind = {FieldDescriptor.TYPE_STRING: TEXTS, FieldDescriptor.TYPE_BYTES: DATA}
        value = draw(kind.get(field.type, NUMBERS))
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    return message


def run(side: Side, sender: str, name: str, payload: Message) -> None:
    kinds: dict[str, Any] = {name: payload}
    try:
        raw = side.compose(sender if side.chain.rules[name].signed else "", **kinds).raw
    except Refused:  # larger than any transaction may be
        return
    first = side.submit(raw)
    again = side.submit(raw)
    assert first.code == again.code or not side.chain.rules[name].signed


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_operation_stops_a_ledger(data: st.DataObject) -> None:
    """An operation of any kind, with odd values in every field, from anybody."""
    side = data.draw(st.sampled_from(pair().sides))
    name = data.draw(st.sampled_from(sorted(side.chain.rules)))
    sender = data.draw(st.sampled_from(AUTHORS))
    payload = getattr(side.chain.operation_type(), name)
    run(side, sender, name, data.draw(filled(payload)))
    for judge in side.chain.invariants.values():
        assert judge(side.ledger.state) == []


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_change_that_members_vote_for_stops_a_ledger(data: st.DataObject) -> None:
    """Whatever a member proposes and all vote for: it is refused, or in force and judged by."""
    side = data.draw(st.sampled_from(pair().sides))
    council = Council(pair())
    kind, name, value, content = data.draw(st.sampled_from(CHANGES))
    salt = data.draw(st.binary(min_size=32, max_size=32))
    change = council.proposal(
        kind, name, side=side, proposer="core", value=value, content=content, salt=salt
    )
    for field, odd in data.draw(st.lists(st.sampled_from(ODD), max_size=2)):
        change = replace(change, **{field: data.draw(odd)})
    if council.propose(change, side) is None:
        assert council.vote(change, "core", approve=True, side=side) is None
    pair().carry()
    pair().reserve(pair().trade("bob", "alice", lot_id="lot-alice", amount=data.draw(AMOUNTS)))
    for chain in pair().sides:
        check_invariants(chain)


@pytest.mark.parametrize("kind", ["lot", "party", "receipt"])
@pytest.mark.parametrize("subject", ["𝔘" * 200, "é" * 200, "x" * 200, "a b", "a/b", "", "A"])
def test_a_hold_names_an_id_and_nothing_else(kind: str, subject: str) -> None:
    """A subject is named by an id of the ledger's own form: no other text can be its key."""
    side = pair().business
    operation = business_pb.PlaceHold(
        subject_kind=kind, subject_id=subject, case_id="case-1", ground="a dispute"
    )
    assert side.do("warehouse", place_hold=operation) is Reason.INVALID_ARGUMENT


def test_holds_of_a_subject_that_is_not_there_yet_are_recorded() -> None:
    """The longest id a lot can have is an id a hold can name."""
    made = furnished()
    made.hold("lot", "l" * 64)
    made.carry()
    assert made.asset.ledger.header.inbox_last == made.business.ledger.header.outbox_last


@pytest.mark.parametrize("name", ["commit_transfer", "settle_transfer", "approve_party"])
def test_a_name_longer_than_any_key_is_not_remembered(name: str) -> None:
    """Absent rows are remembered by key: strangers' names of 60 kB would fill the memory."""
    side = furnished().business
    payload = getattr(side.chain.operation_type(), name)
    field = payload.DESCRIPTOR.fields[0]
    longest = "x" * 60_000 if field.type == FieldDescriptor.TYPE_STRING else bytes(60_000)
    setattr(payload, field.name, longest)
    run(side, "operator", name, payload)
    assert max(map(len, side.ledger.state._values)) <= KEY_BYTES_MAX
