"""A node that lies: the real service of an honest node, with every answer passed through a lie.

It has a valid certificate of the network and all the data of an honest node; it lacks only the keys
of the others. `lie` changes the answers of one method in place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from google.protobuf.message import Message

from common.crypto.pki import PeerKind
from common.network import Network, NetworkChain, NetworkNode
from common.node.process import NodeProcess
from common.rpc.ledger_service import LEDGER_SERVICE, LedgerService
from common.rpc.proofs import BlockProofs
from common.rpc.server import USERS, RpcServer
from common.v1 import ledger_service_pb2 as pb
from common.v1.ledger_service_pb2_grpc import add_LedgerServiceServicer_to_server
from tests.kit.served import AUTHORITY, HOST, NETWORK, ServedCluster

Lie = Callable[[Any], None]

SILENCE = "Silence"
"""The method of a liar that takes transactions and never answers."""

SKIPPING = "Skipping"
"""The method of a liar whose watches begin one block late, with true blocks."""

LIAR_ID = "a-liar"
"""First in the order of ids, so that every client asks it first."""


class Liar(LedgerService):
    """Answers as the honest node would, then lies. `lies` counts the answers it changed."""

    def __init__(self, process: NodeProcess, method: str, lie: Lie) -> None:
        assert process._finals is not None
        proofs = BlockProofs(process.node.ledger)
        super().__init__(process.node, process._facts, proofs, process._finals)
        self._method = method
        self._lie = lie
        self.lies = 0

    def _told(self, method: str, answer: Message) -> Any:
        if method == self._method:
            told = type(answer)()
            told.CopyFrom(answer)
            self._lie(told)
            self.lies += told != answer
            return told
        return answer

    async def GetGenesis(self, request: pb.GetGenesisRequest, context: Any) -> Any:  # noqa: N802
        return self._told("GetGenesis", await super().GetGenesis(request, context))

    async def GetState(self, request: pb.GetStateRequest, context: Any) -> Any:  # noqa: N802
        return self._told("GetState", await super().GetState(request, context))

    async def GetBlock(self, request: pb.GetBlockRequest, context: Any) -> Any:  # noqa: N802
        return self._told("GetBlock", await super().GetBlock(request, context))

    async def GetTransaction(  # noqa: N802
        self, request: pb.GetTransactionRequest, context: Any
    ) -> Any:
        return self._told("GetTransaction", await super().GetTransaction(request, context))

    async def WatchBlocks(  # noqa: N802
        self, request: pb.WatchBlocksRequest, context: Any
    ) -> AsyncIterator[Any]:
        if self._method == SKIPPING:
            self.lies += 1
            request.from_height += 1
        async for answer in super().WatchBlocks(request, context):
            yield self._told("WatchBlocks", answer)

    async def _batch(
        self, request: pb.SubmitBatchRequest, context: Any, seconds: float | None
    ) -> Any:
        if self._method == SILENCE:
            self.lies += 1
            await asyncio.Event().wait()
        return self._told("Submit", await super()._batch(request, context, seconds))


@asynccontextmanager
async def lying(
    cluster: ServedCluster, method: str, lie: Lie, *, alone: bool = False
) -> AsyncIterator[tuple[Liar, Network]]:
    """A liar beside the nodes of a cluster, and the network of a client that asks it first.

    The liar has the leader's data, so that it can answer a submission. `alone`: the network names
    no other node.
    """
    liar = Liar(cluster.processes[cluster.leader_id()], method, lie)
    credential = AUTHORITY.issue(PeerKind.NODE, LIAR_ID)
    pem = AUTHORITY.credential.certificate_pem
    server = RpcServer(credential, pem, NETWORK, "tally", _raise)
    server.offer(LEDGER_SERVICE, USERS, partial(add_LedgerServiceServicer_to_server, liar))
    port = server.bind(f"{HOST}:0")
    await server.start()
    honest = cluster.network.chains[0]
    place = NetworkNode(LIAR_ID, f"{HOST}:{port}")
    nodes = (place,) if alone else (place, *honest.nodes)
    chain = NetworkChain(honest.name, honest.chain_id, nodes)
    try:
        yield liar, Network(NETWORK, pem, (chain,))
    finally:
        await server.stop(0)


def _raise(error: Exception) -> None:
    raise error
