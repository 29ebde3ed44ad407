"""The client of one chain: signs here, follows the leader, retries safely, believes proofs only.

    async with LedgerClient(network, "bizchain", credential, author=Author("acme", key)) as client:
        outcome = await client.submit(Operation(pay_cash=...))       # final, or Refused
        account = await client.get(CASH, CASH.key("acme", "EUR"))    # proven, or proven absent
        async for block in client.watch_blocks(outcome.height + 1, kinds=("paid",)):
            ...

One lying node is found out: whatever carries value is checked against the chain id of the network
file (`common.ledger.evidence`), and the next node is asked. Answers never go back behind a height
this client has seen. What a single node can still do: refuse, be slow, or, in a list or a watch
filtered by kinds, leave something out.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, NamedTuple, Self, TypeVar

from google.protobuf.message import DecodeError, Message

from common.crypto.pki import Credential
from common.crypto.signing import RandomBytes
from common.crypto.verifymemo import VerifyMemo
from common.encoding import Canonical, decode
from common.errors import CommonReason, Refused
from common.ledger.compose import Author, Composed, compose
from common.ledger.evidence import Final
from common.ledger.genesis import Genesis
from common.ledger.state import Table
from common.ledger.transaction import REQUEST_ID_BYTES, body_digest
from common.network import Network
from common.rpc.asker import CALL_SECONDS, Asker
from common.rpc.channels import NodeChannel, Nodes
from common.rpc.sightings import (
    SeenMessage,
    SeenTransfer,
    messages_in,
    transfer_in,
    transfers_in,
)
from common.rpc.status import refusals
from common.rpc.submitter import Submitter
from common.rpc.verifier import Leaf, Outcome, Untrue, Verifier, judging
from common.rpc.watch import WatchedBlock, watch
from common.v1 import ledger_service_pb2 as pb
from common.v1.transaction_pb2 import SignedTransaction, TransactionBody

__all__ = ["Block", "ClientPorts", "Found", "LedgerClient"]

A = TypeVar("A")
T = TypeVar("T")
V = TypeVar("V", bound=Canonical)

VALID_MS = 300_000
"""How long a transaction may still take effect after it was made, unless said otherwise."""
SUBMIT_SECONDS = 60.0
PAGE_ROWS = 500
VERDICTS_REMEMBERED_MAX = 10_000


def _now_unix_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class ClientPorts:
    """The world of a client: its clock, and chance for request ids."""

    now_unix_ms: Callable[[], int] = _now_unix_ms
    random_bytes: RandomBytes = secrets.token_bytes


class Found(NamedTuple, Generic[V]):
    """A proven read: the value (None: proven absent), its final block, and the evidence."""

    value: V | None
    block: Final
    evidence: pb.Evidence


class Block(NamedTuple):
    """A whole final block: every leaf of its event tree, and its canonical body."""

    final: Final
    leaves: list[Leaf]
    body: bytes
    certified: pb.CertifiedHeader


class Sent(NamedTuple):
    """A recorded transaction: its outcome, and what it asked for, proven by its receipt."""

    outcome: Outcome
    body: TransactionBody


class LedgerClient:
    """A client of one chain. Use as an asynchronous context, inside one event loop.

    `author` signs; without one only operations that carry their own justification can be sent.
    """

    def __init__(
        self,
        network: Network,
        chain_name: str,
        credential: Credential,
        *,
        author: Author | None = None,
        ports: ClientPorts | None = None,
    ) -> None:
        self.chain_id = network.chain(chain_name).chain_id
        self.author = author
        self._ports = ports or ClientPorts()
        memo = VerifyMemo(VERDICTS_REMEMBERED_MAX)
        self._verifier = Verifier(self.chain_id, memo.verify)
        self._nodes = Nodes(network, chain_name, credential)
        self._asker = Asker(self._nodes.fork(), self._verifier)
        self._submitter: Submitter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let the connections go. Waits for outcomes end in OUTCOME_UNKNOWN. Idempotent."""
        if self._submitter is not None:
            await self._submitter.close()
        await self._nodes.close()

    @property
    def seen_height(self) -> int:
        """The highest final height this client has seen; no answer goes back behind it."""
        return self._verifier.height

    @property
    def verifier(self) -> Verifier:
        """What this client believes; for the typed clients of contracts."""
        return self._verifier

    async def genesis(self) -> Genesis:
        """The genesis of the chain, checked against the pinned chain id."""
        return await self._asker.genesis()

    # --- submitting ------------------------------------------------------------------------------

    def prepare(
        self, operation: Message, *, author: Author | None = None, valid_ms: int = VALID_MS
    ) -> Composed:
        """The transaction for an operation, signed, to be sent once or more often unchanged.

        Signed by `author`, or this client's. `valid_ms` is at most an hour.
        """
        return self._compose(operation, author or self.author, valid_ms)

    def prepare_unsigned(self, operation: Message, *, valid_ms: int = VALID_MS) -> Composed:
        """The transaction for an operation that carries its own justification."""
        return self._compose(operation, None, valid_ms)

    async def submit(self, operation: Message, *, seconds: float = SUBMIT_SECONDS) -> Outcome:
        """Sign and send an operation; returns once it has taken effect and is final.

        Raises `Refused` where it was refused, and OUTCOME_UNKNOWN, with the transaction id, where
        that is not known in time: `transaction` answers later.
        """
        outcome = await self.send(self.prepare(operation), seconds=seconds)
        return outcome.require_success()

    async def submit_many(
        self, operations: Sequence[Message], *, seconds: float = SUBMIT_SECONDS
    ) -> list[Outcome]:
        """Sign and send operations that do not depend on one another; their outcomes in order."""
        composed = [self.prepare(operation) for operation in operations]
        return await self.send_many(composed, seconds=seconds)

    async def send(self, composed: Composed, *, seconds: float = SUBMIT_SECONDS) -> Outcome:
        """The outcome of a prepared transaction, success or refusal. May be called again.

        Of a refusal `Outcome.leaves_it_open` nothing is known but that nodes refuse it now.

        Raises `Refused`: OUTCOME_UNKNOWN where it is not known in time.
        """
        await self._asker.genesis()
        try:
            async with asyncio.timeout(seconds):
                return await self.begin(composed)
        except TimeoutError:
            raise Refused(
                CommonReason.OUTCOME_UNKNOWN,
                "not final in time; ask by the transaction's id, or send it again unchanged",
                transaction_id=composed.transaction_id.hex(),
            ) from None

    def begin(self, composed: Composed, *, once: bool = False) -> asyncio.Future[Outcome]:
        """Put a prepared transaction on its way, behind those begun before. Its outcome follows.

        The genesis was asked for before. With `once` a refusal in a block is the outcome even where
        a later block may have it otherwise: a signer who is unknown may join. Who cancels the
        outcome waits no longer, and the transaction is not sent again.
        """
        if self._submitter is None:
            self._submitter = Submitter(self._nodes, self._verifier)
        return self._submitter.submit(composed, once=once)

    async def send_many(
        self, composed: Sequence[Composed], *, seconds: float = SUBMIT_SECONDS
    ) -> list[Outcome]:
        """The outcomes of prepared transactions, in order. Raises as `send`."""
        sending = [self.send(one, seconds=seconds) for one in composed]
        return list(await asyncio.gather(*sending))

    async def transaction(self, transaction_id: bytes) -> Outcome:
        """The recorded outcome of a transaction, once it is final.

        Raises `Refused(NOT_IN_WINDOW)` where the nodes have recorded none: not yet, or never.
        """
        return (await self.sent(transaction_id)).outcome

    async def sent(self, transaction_id: bytes) -> Sent:
        """A recorded transaction, once it is final. Raises as `transaction`."""

        def judge(answer: pb.GetTransactionResponse) -> Sent:
            try:
                raw = SignedTransaction.FromString(answer.transaction).body
                body = TransactionBody.FromString(raw)
            except DecodeError:
                raise Untrue(CommonReason.BAD_PROOF, "this is no transaction") from None
            outcome = self._verifier.recorded(
                answer.result, answer.block, transaction_id, body_digest(raw)
            )
            return Sent(outcome, body)

        request = pb.GetTransactionRequest(transaction_id=transaction_id)
        return await self._asker.ask(
            lambda node: node.ledger.GetTransaction(request, timeout=CALL_SECONDS),
            judge,
            doubted=True,
        )

    # --- reading ---------------------------------------------------------------------------------

    async def get(self, table: Table[V], key: bytes, *, min_height: int = 0) -> Found[V]:
        """The value under a full key of `table`, or its proven absence.

        Of a final height not below `min_height` nor below any this client has seen.
        """
        height = max(min_height, self.seen_height)
        request = pb.GetStateRequest(key=key, min_height=height)

        def judge(answer: pb.GetStateResponse) -> Found[V]:
            raw, final = self._verifier.entry(answer.evidence, key, height)
            with judging():
                value = None if raw is None else decode(table.kind, raw)
            return Found(value, final, answer.evidence)

        return await self._asker.ask(
            lambda node: node.ledger.GetState(request, timeout=CALL_SECONDS), judge
        )

    async def block(self, height: int) -> Block:
        """A final block above the genesis, whole. Its body is checked against the header.

        Raises `Refused(PERMISSION_DENIED)` where nodes show this caller the header alone.
        """

        def judge(answer: pb.GetBlockResponse) -> Block:
            if not answer.body and not answer.leaves:
                final = self._verifier.certified(answer.block)
                message = f"the body of block {final.height} is shown to those who read everything"
                raise Refused(CommonReason.PERMISSION_DENIED, message)
            final, leaves = self._verifier.whole(answer.block, answer.leaves, answer.body, height)
            return Block(final, leaves, answer.body, answer.block)

        request = pb.GetBlockRequest(height=height)
        return await self._asker.ask(
            lambda node: node.ledger.GetBlock(request, timeout=CALL_SECONDS), judge
        )

    async def watch_blocks(
        self, from_height: int, kinds: Sequence[str] = ()
    ) -> AsyncIterator[WatchedBlock]:
        """Final blocks from a height on, each once, in order, whatever becomes of single nodes.

        With `kinds`, only events of these kinds are carried along; without, every leaf, and none
        can be left out. To go on later, begin at the last height seen + 1.
        """
        await self._asker.genesis()
        nodes = self._nodes
        following = watch(nodes.fork(), self._verifier, from_height, kinds, lambda: nodes.current)
        async for block in following:
            yield block

    async def ask(
        self,
        call: Callable[[NodeChannel], Awaitable[A]],
        judge: Callable[[A], T],
        *,
        doubted: bool = False,
    ) -> T:
        """For typed clients of contracts: see `common.rpc.asker`."""
        return await self._asker.ask(call, judge, doubted=doubted)

    async def status(self, node_id: str) -> pb.GetStatusResponse:
        """What one node says of itself. Nothing of it is proven."""
        node = self._nodes.get(node_id)
        with refusals():
            return await node.ledger.GetStatus(pb.GetStatusRequest(), timeout=CALL_SECONDS)

    # --- transfers and messages ------------------------------------------------------------------

    async def transfer(self, transfer_id: bytes, *, min_height: int = 0) -> SeenTransfer:
        """The latest record of a transfer here. Raises `Refused(TRANSFER_UNKNOWN)`.

        Nodes are asked for it as it stands at `min_height` or later, and at what this client has
        seen or later. One lying node can show an earlier record, of a time when it was not decided.
        """
        height = max(min_height, self.seen_height)
        request = pb.GetTransferRequest(transfer_id=transfer_id, min_height=height)
        return await self._asker.ask(
            lambda node: node.ledger.GetTransfer(request, timeout=CALL_SECONDS),
            lambda answer: transfer_in(answer, self._verifier, transfer_id),
            doubted=True,
        )

    async def open_transfers(self) -> list[SeenTransfer]:
        """The transfers that await something here, as one node lists them."""
        found: list[SeenTransfer] = []
        token = ""
        while True:
            request = pb.ListOpenTransfersRequest(page_size=PAGE_ROWS, page_token=token)
            page, token = await self._asker.ask(
                lambda node, request=request: node.ledger.ListOpenTransfers(  # type: ignore[misc]
                    request, timeout=CALL_SECONDS
                ),
                lambda answer: transfers_in(answer, self._verifier),
            )
            found += page
            if not token:
                return found

    async def outbox(self, from_number: int) -> list[SeenMessage]:
        """Messages from a number on that wait for the other chain, in order: one page."""
        request = pb.ListOutboxRequest(from_number=from_number, page_size=PAGE_ROWS)
        return await self._asker.ask(
            lambda node: node.ledger.ListOutbox(request, timeout=CALL_SECONDS),
            lambda answer: messages_in(answer, self._verifier, from_number),
        )

    async def peer(self) -> pb.GetPeerResponse:
        """What one node says its chain knows of the other. Nothing of it is proven."""
        request = pb.GetPeerRequest()
        return await self._asker.ask(
            lambda node: node.ledger.GetPeer(request, timeout=CALL_SECONDS), lambda answer: answer
        )

    def _compose(self, operation: Message, author: Author | None, valid_ms: int) -> Composed:
        return compose(
            self.chain_id,
            operation,
            request_id=self._ports.random_bytes(REQUEST_ID_BYTES),
            valid_until_unix_ms=self._ports.now_unix_ms() + valid_ms,
            author=author,
        )
