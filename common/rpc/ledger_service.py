# ruff: noqa: N802, ARG002 (names and arguments of methods are those of the protocol)
"""LedgerService over one node: what a client submits, reads and watches, answered with evidence.

Everything a client is told as a fact is of a final height and carries its proof, except where this
node is asked about itself (`GetStatus`) or for hints: `ListOpenTransfers`, `ListOutbox` and
`GetPeer` list what waits, each row proven, but not that there are no others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from common.crypto.digest import DIGEST_BYTES
from common.encoding import decode, encode
from common.errors import CommonReason, Refused
from common.ledger.block import Block, Header
from common.ledger.certificate import Certificate
from common.node.node import Node
from common.node.ports import Result
from common.rpc.access import Access
from common.rpc.callers import caller_of
from common.rpc.finals import FinalHeights
from common.rpc.ledger_views import LedgerViews
from common.rpc.proofs import BlockProofs
from common.rpc.reads import LedgerReads
from common.rpc.submissions import Submissions
from common.v1 import ledger_service_pb2 as pb
from common.v1.ledger_service_pb2_grpc import LedgerServiceServicer
from common.v1.transaction_pb2 import SignedTransaction, TransactionBody

if TYPE_CHECKING:
    import grpc

__all__ = ["LEDGER_SERVICE", "LedgerService", "NodeFacts"]

LEDGER_SERVICE = pb.DESCRIPTOR.services_by_name["LedgerService"].full_name
BATCHES_IN_FLIGHT_MAX = 64
EVENT_KINDS_MAX = 32
READ_WAIT_SECONDS = 1.0
"""How long a read waits for its `min_height`, which this node may only just not have."""

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class NodeFacts(Protocol):
    """What the process knows of itself and the node does not."""

    def store_bytes(self) -> tuple[int, int]:
        """Bytes in use by the node's stores, and the most they may use."""
        ...

    def block_body(self, height: int) -> bytes:
        """The canonical block of a height above 0, as it stands in the log."""
        ...


class LedgerService(LedgerServiceServicer):
    """The service every node of every chain offers to clients and relays."""

    def __init__(
        self, node: Node, facts: NodeFacts, proofs: BlockProofs, finals: FinalHeights
    ) -> None:
        self._node = node
        self._ledger = node.ledger
        self._facts = facts
        self._proofs = proofs
        self._finals = finals
        self._access = Access(node.ledger)
        self._reads = LedgerReads(node.ledger, proofs, self._access)
        self._views = LedgerViews(node.ledger, proofs, finals)
        self._submissions = Submissions(node, proofs, finals)

    # --- submitting ------------------------------------------------------------------------------

    async def Submit(self, request: pb.SubmitRequest, context: Context) -> pb.SubmitResponse:
        """One transaction. What no block decided is an error, what a block refused an answer."""
        raws = [request.transaction]
        [result] = await self._submissions.decide(raws, caller_of(context), _seconds(context))
        if result.height == 0:
            raise _refusal(result)
        [proven] = self._submissions.prove([result])
        return pb.SubmitResponse(result=proven, block=self._proofs.certified(result.height))

    async def SubmitBatch(
        self, request: pb.SubmitBatchRequest, context: Context
    ) -> pb.SubmitBatchResponse:
        """A batch, answered when every transaction of it has a result."""
        return await self._batch(request, context, _seconds(context))

    async def SubmitStream(  # type: ignore[override]  # it writes instead of yielding
        self, request_iterator: AsyncIterable[pb.SubmitBatchRequest], context: Context
    ) -> None:
        """Batches as they come, each answered when it is decided."""
        slots = asyncio.Semaphore(BATCHES_IN_FLIGHT_MAX)
        writing = asyncio.Lock()

        async def answer(request: pb.SubmitBatchRequest) -> None:
            try:
                response = await self._batch(request, context, None)
                async with writing:
                    await context.write(response)
            finally:
                slots.release()

        async with asyncio.TaskGroup() as group:
            async for request in request_iterator:
                await slots.acquire()
                group.create_task(answer(request))

    async def _batch(
        self, request: pb.SubmitBatchRequest, context: Context, seconds: float | None
    ) -> pb.SubmitBatchResponse:
        caller = caller_of(context)
        results = await self._submissions.decide(request.transactions, caller, seconds)
        leaders = (result.metadata.get("leader_node_id", "") for result in results)
        return pb.SubmitBatchResponse(
            batch_number=request.batch_number,
            results=self._submissions.prove(results),
            blocks=self._submissions.blocks(results),
            leader_id=next(filter(None, leaders), ""),
        )

    async def GetTransaction(
        self, request: pb.GetTransactionRequest, context: Context
    ) -> pb.GetTransactionResponse:
        """The recorded result of a transaction, once it is final, and what was sent."""
        if len(request.transaction_id) != DIGEST_BYTES:
            message = f"a transaction id has {DIGEST_BYTES} bytes"
            raise Refused(CommonReason.INVALID_ARGUMENT, message)
        result = await self._submissions.recorded(request.transaction_id)
        raw = decode(Block, self._facts.block_body(result.height)).transactions[result.position]
        self._check_sender(raw)
        [proven] = self._submissions.prove([result])
        block = self._proofs.certified(result.height)
        return pb.GetTransactionResponse(result=proven, block=block, transaction=raw)

    def _check_sender(self, raw: bytes) -> None:
        """Results are shown to whom their sender's rows are. Raises PERMISSION_DENIED."""
        sight = self._access.sight()
        body = TransactionBody.FromString(SignedTransaction.FromString(raw).body)
        if sight is not None and not sight.sees_any([body.sender]):
            raise sight.refusal("the result of this transaction")

    # --- reading ---------------------------------------------------------------------------------

    async def GetStatus(
        self, request: pb.GetStatusRequest, context: Context
    ) -> pb.GetStatusResponse:
        """Where this node stands."""
        node, ledger = self._node, self._ledger
        final = ledger.header_at(ledger.final_height)
        store_bytes, store_bytes_max = self._facts.store_bytes()
        return pb.GetStatusResponse(
            node_id=node.node_id,
            chain_id=ledger.chain_id,
            chain_name=ledger.chain.name,
            role=node.raft.role.value,
            term=node.raft.term,
            leader_id=node.leader_id or "",
            last_height=node.raft.last_index,
            applied_height=ledger.applied_height,
            final_height=ledger.final_height,
            final_time_unix_ms=final.time_unix_ms,
            state_root=final.state_root,
            header_hash=ledger.hash_at(ledger.final_height),
            store_bytes=store_bytes,
            store_bytes_max=store_bytes_max,
            queue_transactions=node.queued,
            stopped_because=node.stopped_because or "",
        )

    async def GetGenesis(
        self, request: pb.GetGenesisRequest, context: Context
    ) -> pb.GetGenesisResponse:
        """The canonical genesis: whoever pinned the chain id can check it."""
        return pb.GetGenesisResponse(genesis=encode(self._ledger.genesis))

    async def GetBlock(self, request: pb.GetBlockRequest, context: Context) -> pb.GetBlockResponse:
        """One final block, whole. The genesis block has a header only.

        A body shows every operation in the clear: who does not see all is given the header and its
        certificate, without body and leaves.
        """
        height = request.height
        if height == 0:
            header = self._ledger.header_at(0)
            block = pb.CertifiedHeader(header=encode(header))
            return pb.GetBlockResponse(block=block, view=_view(header, self._ledger.hash_at(0)))
        if height < 0 or height > self._ledger.final_height:
            message = f"height {self._ledger.final_height} is final here"
            raise Refused(CommonReason.HEIGHT_NOT_FINAL, message)
        await self._finals.until_certified(height)
        block = self._proofs.certified(height)
        view = _view(self._ledger.header_at(height), self._ledger.hash_at(height))
        votes = decode(Certificate, block.certificate).signatures
        view.signers.extend(vote.node_id for vote in votes)
        body = self._facts.block_body(height)
        view.transactions = len(decode(Block, body).transactions)
        if self._access.sight() is not None:
            return pb.GetBlockResponse(block=block, view=view)
        leaves = self._proofs.leaves(height)
        return pb.GetBlockResponse(block=block, body=body, leaves=leaves, view=view)

    async def GetState(self, request: pb.GetStateRequest, context: Context) -> pb.GetStateResponse:
        """The value of a state key, or its absence, with proof."""
        await self._wait_for(request.min_height)
        return pb.GetStateResponse(evidence=self._reads.entry(request.key, request.min_height))

    async def WatchBlocks(
        self, request: pb.WatchBlocksRequest, context: Context
    ) -> AsyncIterator[pb.WatchBlocksResponse]:
        """Final blocks from a height on (0 means 1), as fast as the caller takes them.

        Events that the caller may not see are left out; all leaves are for those who see all.
        """
        if request.from_height < 0 or len(request.event_kinds) > EVENT_KINDS_MAX:
            message = f"heights begin at 1, kinds are at most {EVENT_KINDS_MAX}"
            raise Refused(CommonReason.INVALID_ARGUMENT, message)
        height = max(request.from_height, 1)
        kinds = frozenset(request.event_kinds)
        while True:
            await self._finals.until_certified(height)
            sight = self._access.sight()  # anew for each block: a grant may end meanwhile
            if sight is not None and not kinds:
                raise sight.refusal("a block with all its leaves (name the kinds of events)")
            yield pb.WatchBlocksResponse(
                block=self._proofs.certified(height),
                events=self._proofs.events(height, kinds, sight),
            )
            height += 1

    # --- what waits ------------------------------------------------------------------------------

    async def GetTransfer(
        self, request: pb.GetTransferRequest, context: Context
    ) -> pb.GetTransferResponse:
        """The latest record of a transfer, proven."""
        await self._wait_for(request.min_height)
        self._reads.height(request.min_height)
        return await self._views.transfer(request.transfer_id)

    async def ListOpenTransfers(
        self, request: pb.ListOpenTransfersRequest, context: Context
    ) -> pb.ListOpenTransfersResponse:
        """Transfers that await something on this chain."""
        return self._views.open_transfers(request.page_size, request.page_token)

    async def ListOutbox(
        self, request: pb.ListOutboxRequest, context: Context
    ) -> pb.ListOutboxResponse:
        """Messages the other chain is not proven to have applied."""
        return self._views.outbox(request.from_number, request.page_size)

    async def GetPeer(self, request: pb.GetPeerRequest, context: Context) -> pb.GetPeerResponse:
        """What the light client knows of the other chain."""
        return self._views.peer()

    # --- inside ----------------------------------------------------------------------------------

    async def _wait_for(self, height: int) -> None:
        """Until a height is final here, or a moment has passed: reads say how far this node is."""
        if height > self._ledger.final_height:
            with suppress(TimeoutError):
                async with asyncio.timeout(READ_WAIT_SECONDS):
                    await self._finals.until_certified(height)


def _seconds(context: Context) -> float | None:
    """Until the caller's deadline, or None where it set none."""
    remaining: float | None = context.time_remaining()
    return remaining


def _refusal(result: Result) -> Refused:
    assert result.reason is not None, "what took effect stands in a block"
    return Refused(result.reason, result.message, **result.metadata)


def _view(header: Header, header_hash: bytes) -> pb.HeaderView:
    return pb.HeaderView(
        height=header.height,
        header_hash=header_hash,
        parent_hash=header.parent_hash,
        time_unix_ms=header.time_unix_ms,
        transaction_root=header.transaction_root,
        event_root=header.event_root,
        state_root=header.state_root,
    )
