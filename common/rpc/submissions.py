"""From submitted bytes to results with proofs, at one node.

What a proof alone justifies needs no user's signature, so nobody answers for it with a key: such
transactions are limited by the connection's identity. Everything else is the node's to judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from google.protobuf.message import DecodeError

from common.crypto.pki import PeerKind
from common.errors import CommonReason, Refused, reason_of
from common.ledger.block import TransactionReceipt, decode_leaf
from common.node.node import Node
from common.node.ports import SUBMITTED_MAX, Result
from common.rpc.callers import Caller
from common.rpc.finals import FinalHeights
from common.rpc.limits import TokenBuckets
from common.rpc.proofs import BlockProofs
from common.v1.ledger_service_pb2 import CertifiedHeader, TransactionResult
from common.v1.transaction_pb2 import SignedTransaction

__all__ = ["Submissions"]

OUTCOME_SECONDS_MAX = 45
ANSWER_SECONDS = 0.05
"""Kept back from a caller's deadline, so that "not known" still reaches it."""

UNSIGNED_PER_SECOND = 200
UNSIGNED_BURST = 1_000
UNSIGNED_PER_SECOND_RELAY = 5_000
UNSIGNED_BURST_RELAY = 10_000
CALLERS_MAX = 1_024


class Submissions:
    """The transactions of all callers of one node. Lives in the node's event loop."""

    def __init__(self, node: Node, proofs: BlockProofs, finals: FinalHeights) -> None:
        self._node = node
        self._proofs = proofs
        self._finals = finals
        self._buckets = TokenBuckets(UNSIGNED_PER_SECOND, UNSIGNED_BURST, CALLERS_MAX)
        self._relay_buckets = TokenBuckets(
            UNSIGNED_PER_SECOND_RELAY, UNSIGNED_BURST_RELAY, CALLERS_MAX
        )

    async def decide(
        self, raws: Sequence[bytes], caller: Caller, seconds: float | None
    ) -> Sequence[Result]:
        """One result for each transaction, in order, once every one is decided.

        `seconds` is what the caller still waits. Whatever has not been decided by then is
        OUTCOME_UNKNOWN: it may yet take effect.
        """
        try:
            if len(raws) > SUBMITTED_MAX:
                message = f"a batch has at most {SUBMITTED_MAX} transactions"
                raise Refused(CommonReason.TOO_LARGE, message)
            self._limit(raws, caller)
        except Refused as refused:
            return [_refused(refused) for _ in raws]
        answered: asyncio.Future[Sequence[Result]] = asyncio.get_running_loop().create_future()
        self._node.submit(raws, lambda results: _answer(answered, results))
        wait = OUTCOME_SECONDS_MAX if seconds is None else min(seconds, OUTCOME_SECONDS_MAX)
        try:
            async with asyncio.timeout(max(wait - ANSWER_SECONDS, 0)):
                results = await answered
                for height in sorted({result.height for result in results if result.height}):
                    await self._finals.until_certified(height)
                return results
        except TimeoutError:
            message = "not final in time; ask by the transaction's id, or send it again unchanged"
            unknown = Refused(CommonReason.OUTCOME_UNKNOWN, message)
            return [_refused(unknown) for _ in raws]

    async def recorded(self, transaction_id: bytes) -> Result:
        """The recorded result of a signed transaction, once it is final.

        Raises `Refused(NOT_IN_WINDOW)` where none is recorded here.
        """
        ledger = self._node.ledger
        place = ledger.place_of(transaction_id)
        if place is None:
            message = "no result is recorded here; the transaction may still take effect"
            raise Refused(CommonReason.NOT_IN_WINDOW, message)
        height, position = place
        await self._finals.until_certified(height)
        receipt = decode_leaf(self._proofs.leaves(height)[position])
        assert isinstance(receipt, TransactionReceipt), "receipts come first among the leaves"
        reason = reason_of(receipt.code) if receipt.code else None
        return Result(transaction_id, reason, receipt.message, height, position)

    def prove(self, results: Sequence[Result]) -> list[TransactionResult]:
        """The results as messages, each with the proof of its receipt."""
        return [self._prove(result) for result in results]

    def blocks(self, results: Sequence[Result]) -> list[CertifiedHeader]:
        """The certified headers of all heights the results name, each once."""
        heights = sorted({result.height for result in results if result.height})
        return [self._proofs.certified(height) for height in heights]

    def _prove(self, result: Result) -> TransactionResult:
        reason = result.reason
        # Its place is that of the first body of the id: no receipt there speaks of this one.
        if result.height == 0 or reason is CommonReason.REQUEST_ID_REUSED:
            assert reason is not None, "what took effect stands in a block"
            return TransactionResult(
                transaction_id=result.transaction_id,
                code=reason.number,
                reason=reason.name,
                message=result.message,
            )
        return TransactionResult(
            transaction_id=result.transaction_id,
            code=0 if reason is None else reason.number,
            reason="" if reason is None else reason.name,
            message=result.message,
            height=result.height,
            receipt=self._proofs.leaf(result.height, result.position),
        )

    def _limit(self, raws: Sequence[bytes], caller: Caller) -> None:
        """Count what nobody signed against the caller's rate. Raises `Refused(BUSY)`."""
        unsigned = sum(1 for raw in raws if not _is_signed(raw))
        if unsigned:
            relay = caller.identity.kind is PeerKind.RELAY
            buckets = self._relay_buckets if relay else self._buckets
            now_seconds = asyncio.get_running_loop().time()
            buckets.take(caller.identity.uri, unsigned, now_seconds)


def _is_signed(raw: bytes) -> bool:
    try:
        return bool(SignedTransaction.FromString(raw).signature)
    except DecodeError:
        return False


def _refused(refused: Refused) -> Result:
    return Result(b"", refused.reason, refused.message, metadata=refused.metadata)


def _answer(answered: asyncio.Future[Sequence[Result]], results: Sequence[Result]) -> None:
    if not answered.done():
        answered.set_result(results)
