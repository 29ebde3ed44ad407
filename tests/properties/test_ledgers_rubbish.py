"""Rubbish in, a numbered refusal out: whatever bytes or values come, and nothing is written."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from assetchain.contracts.holdings.types import TitleLeg
from assetchain.contracts.listings.types import ListedTitleLeg
from assetchain.contracts.lots.types import MintLeg
from bizchain.contracts.cash.types import CashLeg, FeeSchedule, ListedCashLeg
from bizchain.contracts.receipts.types import ReceiptLeg
from common.encoding import decode, encode
from common.errors import Refused
from common.governance.types import Proposal
from common.ledger.block import Block, Event, Header, TransactionReceipt, decode_leaf
from common.ledger.certificate import Certificate, HeaderVote, NodeSet
from common.ledger.compose import compose
from common.ledger.genesis import Genesis
from common.ledger.holds import HoldNotice
from common.ledger.identity import Party
from common.ledger.outbox import Message as OneWayMessage
from common.ledger.transaction import parse
from common.ledger.versions import Enactment
from common.transfer.facts import CashFacts, ReceiptFacts
from common.transfer.machine import TransferRecord
from common.transfer.terms import Terms, read_terms
from common.v1.transaction_pb2 import SignedTransaction, TransactionBody
from tests.kit import cast
from tests.kit.forgery import Spoil, spoiled
from tests.kit.pair import Pair, furnished

CANONICAL: list[type[Any]] = [
    Block, CashFacts, CashLeg, Certificate, Enactment, Event, FeeSchedule, Genesis, Header,
    HeaderVote, HoldNotice, ListedCashLeg, ListedTitleLeg, MintLeg, NodeSet, OneWayMessage, Party,
    Proposal, ReceiptFacts, ReceiptLeg, Terms,
    TitleLeg, TransactionReceipt, TransferRecord,
]  # fmt: skip
INTEGERS = st.sampled_from([0, 1, -1, 2**31, 2**63 - 1, -(2**63), 1_800_000_000_000])
BYTES = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([b"", bytes(32), bytes(31), b"\xff" * 32, bytes(600), bytes(5_000)]),
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["alice", "bob", "bank", "EUR", "GRM", "lot-alice", "receipt-alice", "a/b",
                     "", "x" * 600, "\U0001f600" * 200, "party"]),
)  # fmt: skip


@cache
def pair() -> Pair:
    return furnished()


def deal_terms() -> bytes:
    return encode(pair().trade("bob", "alice", lot_id="lot-alice").terms)


# --- decoders -----------------------------------------------------------------------------------


def decode_or_refuse(kind: type[Any], data: bytes) -> None:
    """What decodes is exactly what would be encoded."""
    try:
        value = decode(kind, data)
    except Refused:
        return
    assert encode(value) == data


@pytest.mark.parametrize("kind", CANONICAL, ids=lambda kind: kind.__name__)
@settings(max_examples=25)
@given(data=BYTES)
def test_a_canonical_decoder_refuses_rubbish(kind: type[Any], data: bytes) -> None:
    decode_or_refuse(kind, data)
    decode_or_refuse(kind, b"\x95" + data)
    decode_or_refuse(kind, b"\xdc\x00" + bytes([len(kind.__struct_fields__)]) + data)


@given(value=st.recursive(st.one_of(INTEGERS, BYTES, TEXTS, st.none(), st.booleans()), st.lists))
def test_decoders_refuse_well_formed_values_of_another_kind(value: Any) -> None:
    data = encode(value)
    for kind in CANONICAL:
        decode_or_refuse(kind, data)
    for read in (read_terms, decode_leaf):
        try:
            read(data)
        except Refused:
            continue


@given(at=st.integers(0, 400), byte=st.integers(0, 255), cut=st.integers(0, 3))
def test_terms_with_another_byte_are_refused_or_other_terms(at: int, byte: int, cut: int) -> None:
    good = deal_terms()
    changed = bytearray(good)
    changed[at % len(good)] = byte
    data = bytes(changed)[: len(good) - cut]
    try:
        terms = read_terms(data)
    except Refused:
        return
    assert encode(terms) == data


# --- transactions -------------------------------------------------------------------------------


@settings(max_examples=300)
@given(raw=BYTES, inner=BYTES, sender=TEXTS, valid_until=INTEGERS)
def test_any_bytes_are_parsed_or_refused(
    raw: bytes, inner: bytes, sender: str, valid_until: int
) -> None:
    body = TransactionBody(
        chain_id=bytes(32), sender=sender, request_id=bytes(16), valid_until_unix_ms=valid_until,
        operation=inner,
    ).SerializeToString()  # fmt: skip
    envelopes = [
        raw,
        SignedTransaction(body=raw).SerializeToString(),
        SignedTransaction(body=body, public_key=inner, signature=raw).SerializeToString(),
        SignedTransaction(body=body).SerializeToString() + raw,
    ]
    for side in pair().sides:
        for envelope in envelopes:
            try:
                parse(envelope, side.chain.operation_type)
            except Refused:
                continue


def values_of(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    kinds: dict[int, st.SearchStrategy[Any]] = {
        FieldDescriptor.TYPE_INT64: INTEGERS,
        FieldDescriptor.TYPE_BOOL: st.booleans(),
        FieldDescriptor.TYPE_STRING: TEXTS,
        FieldDescriptor.TYPE_BYTES: st.one_of(BYTES, st.builds(deal_terms)),
    }
    inner = field.message_type
    one = kinds[field.type] if inner is None else messages_of(inner)
    return st.lists(one, max_size=3) if field.is_repeated else one


def messages_of(descriptor: Descriptor) -> st.SearchStrategy[Message]:
    fields = {field.name: values_of(field) for field in descriptor.fields}
    return st.fixed_dictionaries({}, optional=fields).map(
        lambda chosen: GetMessageClass(descriptor)(**chosen)
    )


def operations() -> list[tuple[str, str]]:
    return [
        (side.name, field.name)
        for side in furnished().sides
        for field in side.chain.operation_type.DESCRIPTOR.fields
    ]


SENDERS = ("alice", "bank", "operator", "regulator", "warehouse")


@pytest.mark.parametrize(("chain", "kind"), operations())
@settings(max_examples=20)
@given(data=st.data())
def test_an_operation_with_any_values_is_refused_or_carried_out(
    chain: str, kind: str, data: st.DataObject
) -> None:
    """In one block with others; and a block in which all were refused changed no state."""
    twin = pair().twin()
    side = twin.business if chain == "bizchain" else twin.asset
    rule = side.chain.rules[kind]
    raws = []
    for sender in SENDERS if rule.signed else ("",):
        operation = data.draw(messages_of(rule.payload.DESCRIPTOR))
        author = cast.author(sender)
        raws.append(
            compose(
                side.chain_id,
                side.chain.operation_type(**{kind: operation}),
                request_id=bytes(16),
                valid_until_unix_ms=side.now + 60_000,
                author=author,
            ).raw
        )
    applied = side.block(*raws)
    before = side.ledger.header_at(applied.height - 1)
    if all(receipt.code for receipt in applied.receipts):
        assert applied.header.state_root == before.state_root


@settings(max_examples=150)
@given(spot=st.integers(0, 60), how=st.sampled_from(list(Spoil)), step=st.integers(0, 5))
def test_a_spoiled_step_of_a_transfer_is_refused_or_harmless(
    spot: int, how: Spoil, step: int
) -> None:
    """One field of one operation is changed: it is refused, or it does what it always did."""
    twin = pair().twin()
    deal = twin.trade("bob", "alice", lot_id="lot-alice", amount=7)
    reservation = twin.reservation(deal)
    kinds: list[tuple[str, Any]] = [("reserve_transfer", reservation)]
    if step:
        assert twin.business.do(reserve_transfer=reservation) is None
        twin.carry()
        kinds += [
            ("reserve_and_commit_transfer", twin.decision(deal)),
            ("decline_transfer", twin.refusal(deal, "alice")),
            ("expire_transfer", twin.expiry(deal)),
        ]
    kind, operation = kinds[step % len(kinds)]
    side = twin.asset if step and step % len(kinds) else twin.business
    broken = spoiled(operation, spot, how, operation)
    accepted = side.do(**{kind: broken}) is None
    for name, invariant in side.chain.invariants.items():
        assert not invariant(side.ledger.state), name
    if accepted and not step:
        assert twin.business.state_of(deal.transfer_id) == "RESERVED"
