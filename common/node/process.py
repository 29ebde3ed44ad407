"""One node process: a folder opened, a node driven, its services served, until it stops.

    process = NodeProcess.open(folder, load_app("bizchain.node:APP"))
    process.bind()
    await process.start()
    reason = await process.stopped                     # only where the node cannot go on
    await process.close()

The process serves as long as its node runs. A node that stops takes the process with it: what it
answered would no longer be watched over by its own rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Self

from common.crypto.verifymemo import VerifyMemo
from common.node.app import NodeApp
from common.node.driver import NodeDriver
from common.node.facts import ProcessFacts
from common.node.folder import OpenNode, open_node
from common.node.node import Node
from common.node.settings import ProcessSettings
from common.rpc.finals import FinalHeights
from common.rpc.ledger_service import LEDGER_SERVICE, LedgerService
from common.rpc.peers import PEER_SERVICE, PeerInbox, PeerLinks, allow_members
from common.rpc.proofs import BlockProofs
from common.rpc.reads import LedgerReads, Service
from common.rpc.server import USERS, RpcServer
from common.telemetry.metrics import NodeMetrics
from common.v1.ledger_service_pb2_grpc import add_LedgerServiceServicer_to_server
from common.v1.peer_service_pb2_grpc import add_PeerServiceServicer_to_server

__all__ = ["NodeProcess"]

VERDICTS_REMEMBERED_MAX = 50_000
GRACE_SECONDS = 0.5
METRICS_SECONDS = 5


class NodeProcess:
    """Everything of one node that runs in this process. Made inside the event loop."""

    def __init__(self, folder: Path, opened: OpenNode, app: NodeApp) -> None:
        settings, genesis, network = opened.settings, opened.genesis, opened.network
        log, state = opened.data.open_log(), opened.data.open_state()
        memo = VerifyMemo(VERDICTS_REMEMBERED_MAX)
        self._opened = opened
        self._app = app
        self._finals: FinalHeights | None = None
        self._metrics: asyncio.Task[None] | None = None
        self._stop_metrics: Callable[[], None]
        self._links = PeerLinks(opened.credential, network.authority_pem)
        self._driver = NodeDriver(log, state, memo, self._links.send, self._on_final)
        self.node = Node(
            settings.node_id,
            app.chain,
            genesis,
            opened.signing_key,
            log,
            state,
            self._driver,
            settings.for_node(),
            verify=memo.verify,
        )
        self._facts = ProcessFacts(folder, settings, self.node, log, self._driver, self._links)
        self._server = RpcServer(
            opened.credential,
            network.authority_pem,
            network.name,
            genesis.chain_name,
            self._driver.fail,
        )

    @classmethod
    def open(cls, folder: Path, app: NodeApp) -> Self:
        """The node in `folder`. Raises as `open_node`; then nothing is left open."""
        opened = open_node(folder)
        try:
            return cls(folder, opened, app)
        except BaseException:
            opened.data.close()
            raise

    @property
    def stopped(self) -> asyncio.Future[str]:
        """Done once the node cannot go on, with the reason."""
        return self._driver.stopped

    @property
    def settings(self) -> ProcessSettings:
        """The settings this process was started with."""
        return self._opened.settings

    def bind(self, address: str | None = None) -> int:
        """Take the address of the settings, or another. Returns the port."""
        return self._server.bind(address or self._opened.settings.listen)

    async def start(self, peers: Mapping[str, str] | None = None) -> None:
        """Recover, join the peers (those of the network, or others by node id), and serve.

        A node that cannot recover is stopped when this returns: see `stopped`.
        """
        self._links.start(self._peers() if peers is None else peers)
        self._driver.start(self.node)
        if self.node.is_stopped:
            return
        self._offer_services()
        await self._server.start()
        await self._server.set_serving(serving=True)
        port = self._opened.settings.metrics_port
        if port:
            self._serve_metrics(port)

    async def close(self) -> None:
        """End everything in order: callers, node, peers, disk. Idempotent."""
        if self._metrics is not None:
            self._metrics.cancel()
            await asyncio.to_thread(self._stop_metrics)
            self._metrics = None
        await self._server.stop(GRACE_SECONDS)
        await self._driver.close()
        await self._links.stop()
        self._opened.data.close()

    def _offer_services(self) -> None:
        server, ledger = self._server, self.node.ledger
        proofs = BlockProofs(ledger)
        self._finals = FinalHeights(ledger)
        service = LedgerService(self.node, self._facts, proofs, self._finals)
        server.offer(LEDGER_SERVICE, USERS, partial(add_LedgerServiceServicer_to_server, service))
        members = allow_members(self._opened.genesis.node_set)
        inbox = PeerInbox(self._receive)
        server.offer(PEER_SERVICE, members, partial(add_PeerServiceServicer_to_server, inbox))
        reads = LedgerReads(ledger, proofs)
        for offered in self._app.services:
            self._offer(offered, reads)

    def _offer(self, service: Service, reads: LedgerReads) -> None:
        self._server.offer(service.name, USERS, lambda server: service.register(server, reads))

    def _receive(self, sender: str, frame: bytes) -> None:
        self._driver.guarded(partial(self.node.receive, sender, frame))

    def _on_final(self, _height: int) -> None:
        if self._finals is not None:
            self._finals.notice()

    def _peers(self) -> dict[str, str]:
        """Where the other nodes answer, as far as the network says."""
        chain = self._opened.network.chain(self._opened.genesis.chain_name)
        own = self._opened.settings.node_id
        return {node.node_id: node.address for node in chain.nodes if node.node_id != own}

    def _serve_metrics(self, port: int) -> None:
        """Raises `Refused(INVALID_ARGUMENT)` where the port cannot be had."""
        metrics = NodeMetrics(self._app.chain.name, self._opened.settings.node_id)
        metrics.show(self._facts.metrics())
        self._stop_metrics = metrics.serve(port)
        self._metrics = asyncio.create_task(self._show_metrics(metrics), name="metrics")

    async def _show_metrics(self, metrics: NodeMetrics) -> None:
        while True:
            await asyncio.sleep(METRICS_SECONDS)
            metrics.show(self._facts.metrics())
