"""Transactions: from the bytes a client sent to a typed operation, without judging it yet.

The signature is over a tagged hash of exactly the body's bytes. The id is made of what must be
unique: (chain, sender, request id), so one request id has one effect, whatever else the body says.
Operations that carry their own justification (a proof, consents) have no sender; their id is their
body's hash.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message

from common.crypto.digest import DIGEST_BYTES, Tag, tagged
from common.deadline import UNIX_MS_MAX
from common.errors import CommonReason, Refused
from common.ledger.block import TRANSACTION_BYTES_MAX
from common.v1.transaction_pb2 import SignedTransaction, TransactionBody

__all__ = ["REQUEST_ID_BYTES", "Transaction", "body_digest", "parse", "transaction_id_of"]

M = TypeVar("M", bound=Message)

REQUEST_ID_BYTES = 16
SIGNATURE_BYTES = 64
SENDER_CHARACTERS_MAX = 40


class Transaction(NamedTuple):
    """A parsed transaction. `payload` is the message set in the operation's oneof, `kind` its
    field.
    """

    transaction_id: bytes
    body_hash: bytes
    chain_id: bytes
    sender: str
    valid_until_unix_ms: int
    kind: str
    payload: Message
    public_key: bytes
    signature: bytes


def body_digest(body: bytes) -> bytes:
    """The 32 bytes a user's signature is over; also the body's hash in receipts."""
    return tagged(Tag.TRANSACTION, body)


def transaction_id_of(chain_id: bytes, sender: str, request_id: bytes, body_hash: bytes) -> bytes:
    """The id of a transaction: 32 bytes."""
    if not sender:
        return body_hash
    return tagged(Tag.TRANSACTION_ID, chain_id, request_id, sender.encode())


def parse(raw: bytes, operation_type: type[Message]) -> Transaction:
    """The transaction in `raw`. Raises `Refused` (MALFORMED, TOO_LARGE, UNKNOWN_OPERATION,
    UNSIGNED).

    `operation_type` is the chain's `Operation` message. Nothing is said about signature or rules
    yet.
    """
    if len(raw) > TRANSACTION_BYTES_MAX:
        raise Refused(
            CommonReason.TOO_LARGE, f"a transaction has at most {TRANSACTION_BYTES_MAX} B"
        )
    envelope = _read(SignedTransaction, raw)
    body = _read(TransactionBody, envelope.body)
    operation = _read(operation_type, body.operation)
    kind = operation.WhichOneof("kind")
    if kind is None:
        raise Refused(
            CommonReason.UNKNOWN_OPERATION, "the operation names nothing this chain knows"
        )
    _check_shape(envelope, body)
    body_hash = body_digest(envelope.body)
    return Transaction(
        transaction_id_of(body.chain_id, body.sender, body.request_id, body_hash),
        body_hash,
        body.chain_id,
        body.sender,
        body.valid_until_unix_ms,
        kind,
        getattr(operation, kind),
        envelope.public_key,
        envelope.signature,
    )


def _read(kind: type[M], data: bytes) -> M:
    message = kind()
    try:
        message.ParseFromString(data)
    except DecodeError:
        raise Refused(CommonReason.MALFORMED, f"not a {kind.DESCRIPTOR.full_name}") from None
    size = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != size:
        raise Refused(CommonReason.MALFORMED, f"unknown fields in {kind.DESCRIPTOR.full_name}")
    return message


def _check_shape(envelope: SignedTransaction, body: TransactionBody) -> None:
    if len(body.chain_id) != DIGEST_BYTES:
        raise Refused(CommonReason.MALFORMED, "chain_id has 32 bytes")
    if len(body.request_id) != REQUEST_ID_BYTES:
        raise Refused(CommonReason.MALFORMED, "request_id has 16 bytes")
    if not 0 < body.valid_until_unix_ms <= UNIX_MS_MAX:
        raise Refused(CommonReason.MALFORMED, "valid_until_unix_ms lies before the year 10000")
    if len(body.sender) > SENDER_CHARACTERS_MAX:
        raise Refused(CommonReason.MALFORMED, "sender is a party id")
    signed = (len(envelope.public_key), len(envelope.signature))
    if signed != ((DIGEST_BYTES, SIGNATURE_BYTES) if body.sender else (0, 0)):
        raise Refused(
            CommonReason.UNSIGNED,
            "a body with a sender has one key of 32 and one signature of 64 bytes, others none",
        )
