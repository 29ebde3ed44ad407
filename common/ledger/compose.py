"""Making a transaction: the one place where a body is built and signed.

    composed = compose(chain_id, operation, request_id=random_bytes(16),
                       valid_until_unix_ms=now_unix_ms + 300_000, author=Author("acme", key))
    composed.raw                                       # to submit, and to submit again unchanged
    composed.transaction_id                            # to ask by

The bytes are made once. Whoever retries sends the very same bytes: protobuf is not canonical, and a
body written anew under the same request id would be refused as another one.
"""

from __future__ import annotations

from typing import NamedTuple

from google.protobuf.message import Message

from common.crypto.signing import SigningKey, sign
from common.errors import CommonReason, Refused
from common.ledger.block import TRANSACTION_BYTES_MAX
from common.ledger.transaction import REQUEST_ID_BYTES, body_digest, transaction_id_of
from common.v1.transaction_pb2 import SignedTransaction, TransactionBody

__all__ = ["Author", "Composed", "compose"]


class Author(NamedTuple):
    """Who signs: a party and the key of one of its users."""

    party_id: str
    key: SigningKey


class Composed(NamedTuple):
    """A transaction ready to submit. `raw` is a serialised SignedTransaction."""

    transaction_id: bytes
    body_hash: bytes
    raw: bytes
    valid_until_unix_ms: int


def compose(
    chain_id: bytes,
    operation: Message,
    *,
    request_id: bytes,
    valid_until_unix_ms: int,
    author: Author | None = None,
) -> Composed:
    """The transaction that asks `chain_id` for `operation` (the chain's `Operation` message).

    Signed by `author`, or unsigned where the operation carries its own justification. `request_id`
    is 16 unpredictable bytes, new for each intended effect. Raises `Refused(INVALID_ARGUMENT)` for
    another length, `Refused(TOO_LARGE)` for more than `TRANSACTION_BYTES_MAX`.
    """
    if len(request_id) != REQUEST_ID_BYTES:
        raise Refused(CommonReason.INVALID_ARGUMENT, f"a request id has {REQUEST_ID_BYTES} bytes")
    sender = author.party_id if author else ""
    body = TransactionBody(
        chain_id=chain_id,
        sender=sender,
        request_id=request_id,
        valid_until_unix_ms=valid_until_unix_ms,
        operation=operation.SerializeToString(deterministic=True),
    ).SerializeToString(deterministic=True)
    body_hash = body_digest(body)
    envelope = SignedTransaction(body=body)
    if author:
        envelope.public_key = author.key.public_key
        envelope.signature = sign(author.key, body_hash)
    raw = envelope.SerializeToString(deterministic=True)
    if len(raw) > TRANSACTION_BYTES_MAX:
        raise Refused(CommonReason.TOO_LARGE, f"more than {TRANSACTION_BYTES_MAX} bytes")
    transaction_id = transaction_id_of(chain_id, sender, request_id, body_hash)
    return Composed(transaction_id, body_hash, raw, valid_until_unix_ms)
