"""Bytes of a transaction: what parses, and what is refused with which reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bizchain.v1.operation_pb2 import Operation
from common.crypto.digest import Tag, tagged
from common.errors import CommonReason, Refused
from common.ledger.block import TRANSACTION_BYTES_MAX
from common.ledger.compose import compose
from common.ledger.transaction import body_digest, parse, transaction_id_of
from common.v1.transaction_pb2 import SignedTransaction, TransactionBody
from tests.kit import tally
from tests.kit.tally_ledger import TallyLedger

CHAIN_ID = TallyLedger().chain_id
GOOD = tally.make_transaction(CHAIN_ID, "bank", tally.deposit("acme", 5), 7)
UNKNOWN_FIELD = b"\xf8\x3f\x01"  # field 1023, a varint


def changed(change: Callable[[SignedTransaction, TransactionBody], object]) -> bytes:
    """The good transaction after a change of its envelope or body (the signature stays)."""
    envelope = SignedTransaction.FromString(GOOD.raw)
    body = TransactionBody.FromString(envelope.body)
    change(envelope, body)
    envelope.body = body.SerializeToString()
    return envelope.SerializeToString()


def test_a_transaction_comes_back_as_it_was_made() -> None:
    parsed = parse(GOOD.raw, Operation)
    assert parsed.transaction_id == GOOD.transaction_id
    assert parsed.body_hash == GOOD.body_hash == body_digest(GOOD_BODY)
    assert (parsed.kind, parsed.sender, parsed.chain_id) == ("deposit_cash", "bank", CHAIN_ID)
    assert parsed.payload == tally.deposit("acme", 5).deposit_cash


GOOD_BODY = SignedTransaction.FromString(GOOD.raw).body


def test_the_id_is_made_of_chain_sender_and_request_and_of_nothing_else() -> None:
    other_body = tally.make_transaction(CHAIN_ID, "bank", tally.deposit("zeta", 9), 7)
    assert other_body.transaction_id == GOOD.transaction_id
    assert other_body.body_hash != GOOD.body_hash
    ids = {
        tally.make_transaction(chain, sender, tally.deposit("acme", 5), number).transaction_id
        for chain in (CHAIN_ID, bytes(32))
        for sender in ("bank", "acme")
        for number in (7, 8)
    }
    assert len(ids) == 8
    assert GOOD.transaction_id == tagged(
        Tag.TRANSACTION_ID, CHAIN_ID, (7).to_bytes(16, "big"), b"bank"
    )
    assert transaction_id_of(CHAIN_ID, "", bytes(16), b"hash") == b"hash"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", CommonReason.UNKNOWN_OPERATION),
        (b"\x00", CommonReason.MALFORMED),
        (b"\x0a\xff", CommonReason.MALFORMED),
        (b"rubbish, and more of it", CommonReason.MALFORMED),
        (GOOD.raw[:-1], CommonReason.MALFORMED),
        (bytes(TRANSACTION_BYTES_MAX + 1), CommonReason.TOO_LARGE),
        (GOOD.raw + UNKNOWN_FIELD, CommonReason.MALFORMED),
        (
            changed(lambda _, body: body.MergeFromString(UNKNOWN_FIELD)),
            CommonReason.MALFORMED,
        ),
        (
            changed(lambda _, body: setattr(body, "operation", UNKNOWN_FIELD)),
            CommonReason.MALFORMED,
        ),
        (
            changed(lambda _, body: setattr(body, "operation", b"\xff")),
            CommonReason.MALFORMED,
        ),
        (
            changed(lambda _, body: setattr(body, "operation", b"")),
            CommonReason.UNKNOWN_OPERATION,
        ),
        (
            changed(lambda _, body: setattr(body, "chain_id", bytes(31))),
            CommonReason.MALFORMED,
        ),
        (
            changed(lambda _, body: setattr(body, "chain_id", b"")),
            CommonReason.MALFORMED,
        ),
        (
            changed(lambda _, body: setattr(body, "request_id", bytes(17))),
            CommonReason.MALFORMED,
        ),
        (
            changed(lambda _, body: setattr(body, "valid_until_unix_ms", 0)),
            CommonReason.MALFORMED,
        ),
        (
            changed(lambda _, body: setattr(body, "valid_until_unix_ms", -5)),
            CommonReason.MALFORMED,
        ),
        (
            changed(lambda _, body: setattr(body, "valid_until_unix_ms", 2**62)),
            CommonReason.MALFORMED,
        ),
        (
            changed(lambda _, body: setattr(body, "sender", "a" * 41)),
            CommonReason.MALFORMED,
        ),
        (changed(lambda _, body: setattr(body, "sender", "")), CommonReason.UNSIGNED),
        (
            changed(lambda envelope, _: setattr(envelope, "signature", bytes(63))),
            CommonReason.UNSIGNED,
        ),
        (
            changed(lambda envelope, _: setattr(envelope, "public_key", b"")),
            CommonReason.UNSIGNED,
        ),
    ],
)
def test_what_is_no_transaction_is_refused_with_a_reason(raw: bytes, reason: CommonReason) -> None:
    with pytest.raises(Refused) as refused:
        parse(raw, Operation)
    assert refused.value.reason is reason


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(raw: bytes) -> None:
    try:
        parse(raw, Operation)
    except Refused:
        return


@given(st.integers(0, len(GOOD.raw) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_the_id_the_body_or_the_signature(
    place: int, difference: int
) -> None:
    spoiled = bytearray(GOOD.raw)
    spoiled[place] ^= difference
    good = parse(GOOD.raw, Operation)
    try:
        parsed = parse(bytes(spoiled), Operation)
    except Refused:
        return
    named = (parsed.body_hash, parsed.public_key, parsed.signature)
    assert named != (good.body_hash, good.public_key, good.signature)


def test_composing_refuses_what_no_node_would_take() -> None:
    with pytest.raises(Refused):
        compose(CHAIN_ID, Operation(), request_id=bytes(15), valid_until_unix_ms=1)
    huge = tally.deposit("x" * TRANSACTION_BYTES_MAX, 1)
    with pytest.raises(Refused):
        compose(CHAIN_ID, huge, request_id=bytes(16), valid_until_unix_ms=1)
