"""Watching final blocks across nodes, without a gap and without trust.

One node streams; when it ends, falls silent or shows what is not true, the next one goes on at the
height that is due. Every header must be certified, be the next one, and name the one before it.

The leader has certificates first: once a client knows it, its watches go there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import NamedTuple, cast

import grpc
import structlog

from common.errors import CommonReason, Refused
from common.ledger.block import Event
from common.ledger.evidence import Final, verify_follows
from common.rpc.channels import NodeChannel, Nodes
from common.rpc.status import refused_by
from common.rpc.verifier import ProvenLeaf, Untrue, Verifier
from common.v1.ledger_service_pb2 import (
    CertifiedHeader,
    WatchBlocksRequest,
    WatchBlocksResponse,
)

__all__ = ["WatchedBlock", "watch"]

SILENCE_SECONDS_MAX = 25.0
"""An idle chain makes a block every 10 s: a longer silence is the node's."""
PAUSE_SECONDS = 0.1

Stream = grpc.aio.UnaryStreamCall[WatchBlocksRequest, WatchBlocksResponse]

_log = structlog.get_logger(__name__)


class WatchedBlock(NamedTuple):
    """A final block, with the leaves that were asked for."""

    final: Final
    leaves: list[ProvenLeaf]
    certified: CertifiedHeader


async def watch(
    nodes: Nodes,
    verifier: Verifier,
    from_height: int,
    kinds: Sequence[str],
    leader: Callable[[], NodeChannel],
) -> AsyncGenerator[WatchedBlock, None]:
    """Final blocks from `from_height` (at least 1) on, for ever. `nodes` is the watch's own.

    `leader` tells where transactions are sent; the watch moves there whenever that has changed.
    Raises `Refused`: INVALID_ARGUMENT as a node does; HEADER_CONFLICT where final blocks do not
    follow each other, so that the chain itself cannot be trusted.
    """
    height = max(from_height, 1)
    before: Final | None = None
    known_leader = nodes.current
    while True:
        node = nodes.current
        request = WatchBlocksRequest(from_height=height, event_kinds=kinds)
        call = node.ledger.WatchBlocks(request)
        try:
            while True:
                try:
                    block = _judge(verifier, await _next(call), height, frozenset(kinds))
                except Refused as refused:
                    _leave(node, refused)
                    break
                if before is not None:
                    verify_follows(before, block.final)
                yield block
                before, height = block.final, height + 1
                if leader() is not known_leader:
                    break
        finally:
            call.cancel()
        if leader() is not known_leader:
            known_leader = leader()
            nodes.move_to(known_leader.node_id)
        else:
            nodes.move_on()
            await asyncio.sleep(PAUSE_SECONDS)


async def _next(call: Stream) -> WatchBlocksResponse:
    """The next block of a stream. Raises `Refused` however the stream ends."""
    try:
        async with asyncio.timeout(SILENCE_SECONDS_MAX):
            response = await call.read()
    except grpc.aio.AioRpcError as error:
        raise refused_by(error) from None
    except TimeoutError:
        raise Refused(CommonReason.NOT_READY, "the node is silent") from None
    if response is grpc.aio.EOF:
        raise Refused(CommonReason.NOT_READY, "the node ended the stream")
    return cast("WatchBlocksResponse", response)


def _judge(
    verifier: Verifier, response: WatchBlocksResponse, height: int, kinds: frozenset[str]
) -> WatchedBlock:
    """The block due at `height`, with all its leaves or the events of the kinds. Or `Untrue`."""
    final = verifier.certified(response.block)
    if final.height != height:
        raise Untrue(CommonReason.BAD_PROOF, f"block {final.height} where {height} is due")
    if not kinds:
        verifier.leaves(response.block, [proof.leaf for proof in response.events])
    leaves = [verifier.proven(final, proof) for proof in response.events]
    if kinds and not all(isinstance(leaf, Event) and leaf.kind in kinds for leaf, _ in leaves):
        raise Untrue(CommonReason.BAD_PROOF, "a leaf that was not asked for")
    return WatchedBlock(final, leaves, response.block)


def _leave(node: NodeChannel, refused: Refused) -> None:
    """Go on with another node, unless no node can help."""
    conflict = refused.reason is CommonReason.HEADER_CONFLICT
    if conflict or not (isinstance(refused, Untrue) or refused.reason.transient):
        raise refused
    level = _log.warning if isinstance(refused, Untrue) else _log.info
    level("watching goes on at another node", left=node.node_id, why=str(refused))
