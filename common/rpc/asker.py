"""Asking one node after another until an answer stands.

    asker = Asker(nodes, verifier)
    await asker.ask(lambda node: node.ledger.GetPeer(GetPeerRequest(), timeout=5), judge)

`judge` turns an answer into what is believed, or raises `Untrue`: then the next node is asked, as
it is where a node is away, busy or behind. A refusal that no retry can change is passed on; where a
node could gain by it (`doubted`), only once so many nodes say so that one of them is honest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from common.errors import CommonReason, Refused
from common.ledger.genesis import Genesis
from common.rpc.channels import NodeChannel, Nodes
from common.rpc.status import refusals
from common.rpc.verifier import Untrue, Verifier
from common.v1.ledger_service_pb2 import GetGenesisRequest, GetGenesisResponse

__all__ = ["CALL_SECONDS", "Asker"]

A = TypeVar("A")
T = TypeVar("T")

CALL_SECONDS = 5.0
ANSWER_SECONDS = 20.0
"""How long a question is carried from node to node before it is given up."""
PAUSE_SECONDS_MIN = 0.02
PAUSE_SECONDS_MAX = 0.5
TURNS_MAX = 1_000_000

_log = structlog.get_logger(__name__)


class Asker:
    """Questions of one client to the nodes of one chain."""

    def __init__(self, nodes: Nodes, verifier: Verifier) -> None:
        self._nodes = nodes
        self._verifier = verifier
        self._learning = asyncio.Lock()

    async def genesis(self) -> Genesis:
        """The chain's genesis, from any node that shows the pinned one."""
        async with self._learning:
            if self._verifier.genesis is None:
                await self._ask(_get_genesis, self._learn, doubted=False)
        assert self._verifier.genesis is not None, "it was just learned"
        return self._verifier.genesis

    async def ask(
        self,
        call: Callable[[NodeChannel], Awaitable[A]],
        judge: Callable[[A], T],
        *,
        doubted: bool = False,
    ) -> T:
        """The first answer that stands. Raises the last refusal where none does in time."""
        await self.genesis()
        return await self._ask(call, judge, doubted=doubted)

    async def _ask(
        self,
        call: Callable[[NodeChannel], Awaitable[A]],
        judge: Callable[[A], T],
        *,
        doubted: bool,
    ) -> T:
        loop = asyncio.get_running_loop()
        until = loop.time() + ANSWER_SECONDS
        pause = PAUSE_SECONDS_MIN
        refusing: set[str] = set()
        lying: set[str] = set()
        for turn in range(1, TURNS_MAX):
            node = self._nodes.current
            try:
                return judge(await _answer(call, node))
            except Untrue as untrue:
                _log.warning("a node shows what is not true", node=node.node_id, why=str(untrue))
                lying.add(node.node_id)
                last: Refused = untrue
            except Refused as refused:
                last = refused
                if refused.reason is CommonReason.HEADER_CONFLICT:
                    raise
                if not refused.reason.transient:
                    refusing.add(node.node_id)
                    if not doubted or len(refusing) >= self._verifier.quorum:
                        raise
                    message = f"too few nodes say so: {refused}"
                    last = Refused(CommonReason.NO_QUORUM, message)
            hopeless = len(lying) == len(self._nodes)
            if hopeless or loop.time() >= until:
                raise last
            self._nodes.move_on()
            if turn % len(self._nodes) == 0:
                await asyncio.sleep(pause)
                pause = min(PAUSE_SECONDS_MAX, 2 * pause)
        raise AssertionError("time ends before the turns do")

    def _learn(self, response: GetGenesisResponse) -> None:
        self._verifier.learn_genesis(response.genesis)


async def _answer(call: Callable[[NodeChannel], Awaitable[A]], node: NodeChannel) -> A:
    """One call to one node. Raises `Refused` however it fails."""
    try:
        with refusals():
            async with asyncio.timeout(CALL_SECONDS):
                return await call(node)
    except TimeoutError:
        message = f"{node.node_id} did not answer in {CALL_SECONDS} s"
        raise Refused(CommonReason.DEADLINE_EXCEEDED, message) from None


def _get_genesis(node: NodeChannel) -> Awaitable[GetGenesisResponse]:
    return node.ledger.GetGenesis(GetGenesisRequest(), timeout=CALL_SECONDS)
