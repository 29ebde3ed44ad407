"""One stream of batches to the leader: followed when it moves, opened again when it breaks.

Callers put transactions in a queue; whatever has gathered when the stream is free goes out as one
batch, and each transaction is answered on its own. A transaction that was not decided goes back to
the queue, the same bytes, until it is decided or its caller stops waiting: the ledger answers a
repeat with the recorded result, so sending again is always safe.

What ends a wait: a result that is proven and settled (for whoever asks again on its own: proven is
enough), or a refusal that enough nodes give at their doors (`Verifier.ends_a_wait`). One node's
word does not: it could pass the transaction on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import grpc
import structlog

from common.errors import CommonReason, Reason, Refused, reason_of
from common.ledger.block import BLOCK_TRANSACTIONS_MAX
from common.ledger.compose import Composed
from common.rpc.channels import NodeChannel, Nodes
from common.rpc.status import refused_by
from common.rpc.verifier import Outcome, Untrue, Verifier
from common.v1.ledger_service_pb2 import (
    CertifiedHeader,
    SubmitBatchRequest,
    SubmitBatchResponse,
    TransactionResult,
)

__all__ = ["Submitter"]

BATCH_BYTES_MAX = 2 * 1024 * 1024
BATCHES_IN_FLIGHT_MAX = 32
QUEUE_TRANSACTIONS_MAX = 100_000
PAUSE_SECONDS_MIN = 0.02
PAUSE_SECONDS_MAX = 1.0
SILENCE_SECONDS_MAX = 10.0
OPINION_SECONDS = 2.0

Stream = grpc.aio.StreamStreamCall[SubmitBatchRequest, SubmitBatchResponse]

_SAME_NODE_LATER: tuple[Reason, ...] = (CommonReason.BUSY, CommonReason.OUTCOME_UNKNOWN)
"""What the same node may answer otherwise a little later; for all else, and where it has long said
nothing else, another node is tried."""

_log = structlog.get_logger(__name__)


class Ticket(NamedTuple):
    """A transaction, whoever waits for it, and why which nodes refuse it at their doors.

    `once` says that what any block says is enough, though a later one might say otherwise.
    """

    composed: Composed
    outcome: asyncio.Future[Outcome]
    refusing: dict[str, Reason]
    once: bool


class Submitter:
    """Submits for one client. `nodes` is its own: the current node is taken to be the leader."""

    def __init__(self, nodes: Nodes, verifier: Verifier) -> None:
        self._nodes = nodes
        self._verifier = verifier
        self._queue: deque[Ticket] = deque()
        self._filled = asyncio.Event()
        self._in_flight: dict[int, list[Ticket]] = {}
        self._landed = asyncio.Event()
        self._batch_number = 0
        self._answers = 0
        self._pause_seconds = 0.0
        self._task = asyncio.create_task(self._run(), name="submitter")

    def submit(self, composed: Composed, *, once: bool = False) -> asyncio.Future[Outcome]:
        """Queue a transaction. Its outcome follows; cancel that to wait no longer.

        With `once`, what the first block says, for whoever asks again on its own.

        Raises `Refused(BUSY)` where too many transactions of this client wait already.
        """
        if self._task.done():
            raise Refused(CommonReason.NOT_READY, "the client is closed")
        if len(self._queue) >= QUEUE_TRANSACTIONS_MAX:
            raise Refused(CommonReason.BUSY, f"{len(self._queue)} transactions wait already")
        ticket = Ticket(composed, asyncio.get_running_loop().create_future(), {}, once)
        self._queue.append(ticket)
        self._filled.set()
        return ticket.outcome

    async def close(self) -> None:
        """Stop. Transactions that are still undecided end in `Refused(OUTCOME_UNKNOWN)`."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._requeue_all()
        for ticket in self._queue:
            if not ticket.outcome.done():
                ticket.outcome.set_exception(_unknown(ticket))
        self._queue.clear()

    # --- streams, one after another

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            node = self._nodes.current
            call = node.ledger.SubmitStream()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._write(call))
                    group.create_task(self._read(call, node, group))
                    group.create_task(self._watch_silence())
            except* (grpc.aio.AioRpcError, asyncio.InvalidStateError) as errors:
                self._leave(node, errors.exceptions[0])
            except* Refused as errors:
                self._leave(node, errors.exceptions[0])
            finally:
                call.cancel()
                self._requeue_all()
            await asyncio.sleep(self._pause_seconds)

    async def _write(self, call: Stream) -> None:
        while True:
            await self._filled.wait()
            while len(self._in_flight) >= BATCHES_IN_FLIGHT_MAX:
                self._landed.clear()
                await self._landed.wait()
            if self._pause_seconds:
                await asyncio.sleep(self._pause_seconds)
            tickets = self._take()
            if not tickets:
                continue
            self._batch_number += 1
            self._in_flight[self._batch_number] = tickets
            transactions = [ticket.composed.raw for ticket in tickets]
            await call.write(
                SubmitBatchRequest(batch_number=self._batch_number, transactions=transactions)
            )

    async def _read(self, call: Stream, node: NodeChannel, group: asyncio.TaskGroup) -> None:
        async for answer in call:
            tickets = self._in_flight.pop(answer.batch_number, [])
            self._landed.set()
            self._answers += 1
            undecided = self._settle(tickets, answer, node)
            for ticket in tickets:
                if _is_doubted(ticket, node):
                    group.create_task(self._ask_others(ticket, node))
            if undecided is None:
                self._pause_seconds = 0.0
            elif undecided.reason in _SAME_NODE_LATER and self._pause_seconds < PAUSE_SECONDS_MAX:
                self._pause_longer()
            else:
                raise undecided
        raise Refused(CommonReason.NOT_READY, "the node closed the stream")

    async def _ask_others(self, ticket: Ticket, refusing: NodeChannel) -> None:
        """Hear what the other nodes think of a transaction that one of them refuses.

        Where none agrees it is sent again, after a pause: it may be on its way already, or its
        signer news to the others; and to bring in what the leader keeps out is not theirs.
        """
        self._batch_number += 1
        number = self._batch_number
        self._in_flight[number] = [ticket]
        request = SubmitBatchRequest(transactions=[ticket.composed.raw])
        for node in self._nodes.others_than(refusing):
            with suppress(grpc.aio.AioRpcError, Untrue):
                answer = await node.ledger.SubmitBatch(request, timeout=OPINION_SECONDS)
                blocks = {self._verifier.certified(one).height: one for one in answer.blocks}
                for result in answer.results[:1]:
                    self._decide(ticket, result, blocks, node)
            if ticket.outcome.done():
                break
        else:
            await asyncio.sleep(PAUSE_SECONDS_MAX)
        self._put_back(self._in_flight.pop(number))

    async def _watch_silence(self) -> None:
        """Leave a node that answers nothing while batches wait."""
        while True:
            seen = self._answers
            await asyncio.sleep(SILENCE_SECONDS_MAX)
            if self._in_flight and self._answers == seen:
                raise Refused(CommonReason.NOT_READY, "the node is silent")

    def _settle(
        self, tickets: Sequence[Ticket], answer: SubmitBatchResponse, node: NodeChannel
    ) -> Refused | None:
        """Hand out what is decided; put the rest back. Returns why there is a rest."""
        try:
            blocks = {self._verifier.certified(block).height: block for block in answer.blocks}
            if len(answer.results) != len(tickets):
                raise Untrue(CommonReason.BAD_PROOF, "not one result for each transaction")
            results = zip(tickets, answer.results, strict=True)
            undecided = [pair for pair in results if not self._decide(*pair, blocks, node)]
        except Untrue as untrue:
            _log.warning("a node shows untrue results", node=node.node_id, why=str(untrue))
            self._put_back(tickets)
            return untrue
        except Refused as refused:  # the chain itself cannot be trusted: every waiter is told
            for ticket in tickets:
                _end(ticket, refused)
            return refused
        rest = [
            (ticket, result)
            for ticket, result in undecided
            if node.node_id not in ticket.refusing and not ticket.outcome.done()
        ]
        if not rest:
            return None
        self._put_back([ticket for ticket, _ in rest])
        told = [result for _, result in rest]
        elsewhere = [one for one in told if reason_of(one.code) not in _SAME_NODE_LATER]
        why = (elsewhere or told)[0]
        return Refused(reason_of(why.code), why.message, leader_node_id=answer.leader_id)

    def _decide(
        self,
        ticket: Ticket,
        result: TransactionResult,
        blocks: dict[int, CertifiedHeader],
        node: NodeChannel,
    ) -> bool:
        """Whether the result, with what other nodes have said, ends the wait."""
        composed = ticket.composed
        outcome = self._verifier.outcome(
            result, blocks.get(result.height), composed.transaction_id, composed.body_hash
        )
        if outcome.height > 0:
            is_enough = outcome.is_settled or ticket.once
        else:
            is_enough = self._verifier.ends_a_wait(node.node_id, outcome, ticket.refusing)
        if not is_enough:
            return False
        if not ticket.outcome.done():
            ticket.outcome.set_result(outcome)
        return True

    # --- between streams

    def _leave(self, node: NodeChannel, error: BaseException) -> None:
        """Choose the node for the next stream, and how long to wait before it."""
        if isinstance(error, grpc.aio.AioRpcError):
            error = refused_by(error)
        leader_id = error.metadata.get("leader_node_id") if isinstance(error, Refused) else None
        _log.debug("stream to leader ended", node=node.node_id, why=str(error), leader=leader_id)
        if not leader_id or leader_id == node.node_id or not self._nodes.move_to(leader_id):
            self._nodes.move_on()
            self._pause_longer()

    def _pause_longer(self) -> None:
        longer = max(PAUSE_SECONDS_MIN, 2 * self._pause_seconds)
        self._pause_seconds = min(PAUSE_SECONDS_MAX, longer)

    # --- the queue

    def _take(self) -> list[Ticket]:
        """The oldest transactions somebody still waits for, as many as make a batch."""
        taken: list[Ticket] = []
        size = 0
        while self._queue and len(taken) < BLOCK_TRANSACTIONS_MAX and size < BATCH_BYTES_MAX:
            ticket = self._queue.popleft()
            if not ticket.outcome.done():
                taken.append(ticket)
                size += len(ticket.composed.raw)
        if not self._queue:
            self._filled.clear()
        return taken

    def _put_back(self, tickets: Sequence[Ticket]) -> None:
        """To the head of the queue, in their order."""
        waiting = [ticket for ticket in tickets if not ticket.outcome.done()]
        self._queue.extendleft(reversed(waiting))
        if self._queue:
            self._filled.set()

    def _requeue_all(self) -> None:
        for number in sorted(self._in_flight, reverse=True):
            self._put_back(self._in_flight.pop(number))


def _is_doubted(ticket: Ticket, node: NodeChannel) -> bool:
    """Whether this node's refusal has to be heard from another one, too."""
    return node.node_id in ticket.refusing and not ticket.outcome.done()


def _end(ticket: Ticket, refused: Refused) -> None:
    if not ticket.outcome.done():
        ticket.outcome.set_exception(refused)


def _unknown(ticket: Ticket) -> Refused:
    return Refused(
        CommonReason.OUTCOME_UNKNOWN,
        "the client was closed; ask by the transaction's id",
        transaction_id=ticket.composed.transaction_id.hex(),
    )
