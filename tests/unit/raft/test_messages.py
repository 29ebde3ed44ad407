"""The formats of Raft are fixed, and nothing else decodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.encoding import Malformed, decode, encode
from common.raft.messages import (
    NODE_ID_CHARACTERS_MAX,
    Append,
    AppendReply,
    Entry,
    HardState,
    Message,
    PreVote,
    PreVoteReply,
    TimeoutNow,
    Vote,
    VoteReply,
    decode_message,
    encode_message,
)

NUMBERS = st.integers(0, 2**63 - 1)
NODE_IDS = st.text(max_size=NODE_ID_CHARACTERS_MAX)
KINDS = (PreVote, PreVoteReply, Vote, VoteReply, Append, AppendReply, TimeoutNow)
ENTRIES = st.builds(Entry, NUMBERS, NUMBERS, st.binary(max_size=40))
FIELDS = {"int": NUMBERS, "str": NODE_IDS, "bool": st.booleans()}

MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(PreVote, NODE_IDS, NODE_IDS, NUMBERS, NUMBERS, NUMBERS),
    st.builds(PreVoteReply, NODE_IDS, NODE_IDS, NUMBERS, st.booleans()),
    st.builds(Vote, NODE_IDS, NODE_IDS, NUMBERS, NUMBERS, NUMBERS, st.booleans()),
    st.builds(VoteReply, NODE_IDS, NODE_IDS, NUMBERS, st.booleans()),
    st.builds(
        Append,
        NODE_IDS,
        NODE_IDS,
        NUMBERS,
        NUMBERS,
        NUMBERS,
        st.lists(ENTRIES, max_size=3).map(tuple),
        NUMBERS,
        NUMBERS,
    ),
    st.builds(
        AppendReply,
        NODE_IDS,
        NODE_IDS,
        NUMBERS,
        NUMBERS,
        st.booleans(),
        NUMBERS,
        NUMBERS,
        NUMBERS,
        NUMBERS,
    ),
    st.builds(TimeoutNow, NODE_IDS, NODE_IDS, NUMBERS),
)

GOLDEN: list[tuple[Message, str]] = [
    (PreVote("a", "b", 3, 2, 1), "9601a161a162030201"),
    (PreVoteReply("a", "b", 3, granted=True), "9502a161a16203c3"),
    (Vote("a", "b", 3, 2, 1, transfer=False), "9703a161a162030201c2"),
    (VoteReply("a", "b", 3, granted=False), "9504a161a16203c2"),
    (
        Append("a", "b", 3, 1, 2, (Entry(3, 2, b"x"),), 1, 300),
        "9905a161a16203010291930302c4017801cd012c",
    ),
    (AppendReply("a", "b", 3, 9, True, 2, 0, 0, 4), "9a06a161a1620309c302000004"),
    (TimeoutNow("a", "b", 3), "9409a161a16203"),
]


@pytest.mark.parametrize(("message", "encoded"), GOLDEN, ids=lambda value: type(value).__name__)
def test_the_bytes_of_each_message_are_fixed(message: Message, encoded: str) -> None:
    assert encode_message(message).hex() == encoded
    assert decode_message(bytes.fromhex(encoded)) == message


def test_every_kind_of_message_has_golden_bytes() -> None:
    assert {type(message) for message, _ in GOLDEN} == set(KINDS)


def test_the_bytes_of_what_is_stored_are_fixed() -> None:
    assert encode(HardState(3, "a")).hex() == "9203a161"
    assert encode(Entry(3, 2, b"x")).hex() == "930302c40178"
    assert decode(HardState, bytes.fromhex("9203a161")) == HardState(3, "a")


@given(MESSAGES)
def test_a_message_survives_its_encoding(message: Message) -> None:
    assert decode_message(encode_message(message)) == message


@given(MESSAGES, st.data())
def test_other_bytes_are_another_message_or_none(message: Message, data: st.DataObject) -> None:
    encoded = bytearray(encode_message(message))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    try:
        other = decode_message(bytes(encoded))
    except Malformed:
        return
    assert other != message


@given(st.binary(max_size=60))
def test_rubbish_is_refused(data: bytes) -> None:
    try:
        message = decode_message(data)
    except Malformed:
        return
    assert encode_message(message) == data


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "9407a161a16203",  # a kind nobody knows
        "9409a161a162ff",  # a negative term
        "9409a161a162cf8000000000000000",  # a term of 2**63
        "9409a161a162cd0003",  # the number 3 in three bytes
        "9509a161a1620300",  # a field too many
        "9309a161a162",  # a field too few
        "9409a161a1620300",  # a byte left over
        "9409d941" + "61" * 65 + "a16203",  # a node id of 65 characters
    ],
)
def test_bytes_that_are_no_message_are_refused(encoded: str) -> None:
    with pytest.raises(Malformed):
        decode_message(bytes.fromhex(encoded))
