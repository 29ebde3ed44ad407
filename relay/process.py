"""One relay process: a folder opened, a reconciler driven, its service served, until it stops.

process = RelayProcess.open(folder)
port = await process.start()
error = await process.failed                       # only where the relay cannot go on
await process.close()
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

from google.protobuf.message import Message

from assetchain.v1.operation_pb2 import Operation as AssetOperation
from bizchain.v1.operation_pb2 import Operation as BusinessOperation
from common.rpc.client import LedgerClient
from common.rpc.server import USERS, RpcServer
from relay.clock import system_clock
from relay.driver import RelayDriver
from relay.folder import OpenRelay, open_relay
from relay.ledgers import GrpcLedger
from relay.metrics import RelayMetrics, facts_of
from relay.reconciler import ChainPlan, Reconciler
from relay.service import RELAY_SERVICE, RelayService
from relay.v1.relay_service_pb2_grpc import add_RelayServiceServicer_to_server

__all__ = ["RelayProcess"]

DOMAIN = "relay"
GRACE_SECONDS = 0.5
CARE_SECONDS = 5.0

_random = secrets.SystemRandom()


class RelayProcess:
    """Everything of one relay that runs in this process. Made inside the event loop."""

    def __init__(self, opened: OpenRelay) -> None:
        settings, network = opened.settings, opened.network
        business = network.chain(settings.business_chain)
        asset = network.chain(settings.asset_chain)
        self.settings = settings
        self._opened = opened
        self._care: asyncio.Task[None] | None = None
        clock = system_clock()
        kinds: dict[str, type[Message]] = {
            business.name: BusinessOperation,
            asset.name: AssetOperation,
        }
        self._ledgers = {
            name: GrpcLedger(name, LedgerClient(network, name, opened.credential), kind, clock)
            for name, kind in kinds.items()
        }
        plans = (
            ChainPlan(business.name, business.chain_id, heeds_holds=False),
            ChainPlan(asset.name, asset.chain_id, heeds_holds=True),
        )
        self.reconciler = Reconciler(plans, settings.policy, _random.randint)
        self._driver = RelayDriver(
            self.reconciler, opened.journal, self._ledgers, clock, settings.tick_ms
        )
        self._server = RpcServer(
            opened.credential, network.authority_pem, network.name, DOMAIN, self._driver.fail
        )
        service = RelayService(
            self._driver, (business.chain_id, asset.chain_id), business.name, asset.name
        )
        self._server.offer(
            RELAY_SERVICE, USERS, partial(add_RelayServiceServicer_to_server, service)
        )

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The relay in `folder`. Raises as `open_relay`; then nothing is left open."""
        opened = open_relay(folder, secrets.token_bytes)
        try:
            return cls(opened)
        except BaseException:
            opened.journal.close()
            raise

    @property
    def failed(self) -> asyncio.Future[BaseException]:
        """Done once the relay cannot go on, with the error."""
        return self._driver.failed

    async def start(self) -> int:
        """Go to work and serve. Returns the port. Raises `Refused` where it cannot be had."""
        port = self._server.bind(self.settings.listen)
        await self._server.start()
        self._driver.start()
        self._care = asyncio.create_task(self._take_care())
        await self._server.set_serving(serving=True)
        return port

    async def close(self) -> None:
        """Stop serving, stop working, release the folder."""
        await self._server.stop(GRACE_SECONDS)
        if self._care is not None:
            self._care.cancel()
            with suppress(asyncio.CancelledError):
                await self._care
        await self._driver.close()
        for ledger in self._ledgers.values():
            await ledger.close()
        self._opened.journal.close()

    async def _take_care(self) -> None:
        """Metrics and the upkeep of the journal, now and then."""
        metrics = RelayMetrics(self.settings.relay_id)
        port = self.settings.metrics_port
        stop = metrics.serve(port) if port else None
        try:
            while True:
                metrics.show(facts_of(self.reconciler))
                self._opened.journal.maintain()
                await asyncio.sleep(CARE_SECONDS)
        except Exception as error:  # noqa: BLE001 (whatever it is, the process must not go on half)
            self._driver.fail(error)
        finally:
            if stop is not None:
                stop()
