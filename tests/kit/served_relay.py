"""A relay served over gRPC, over the two ledgers of a test, and clients of it.

async with running(MemoryJournal(KEY, secrets.token_bytes)) as relay:
    await relay.client.start_transfer(package)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from random import Random

from common.crypto.digest import sha256
from common.crypto.pki import PeerKind
from common.rpc.server import USERS, RpcServer
from relay.client import RelayClient
from relay.driver import RelayDriver
from relay.journal import LmdbJournal, MemoryJournal
from relay.reconciler import ChainPlan, Policy, Reconciler
from relay.service import RELAY_SERVICE, RelayService
from relay.v1.relay_service_pb2_grpc import add_RelayServiceServicer_to_server
from tests.kit.pair_ledger import PairHub
from tests.kit.served import AUTHORITY, CLIENT, HOST, NETWORK
from tests.kit.two_chains import TwoChains

KEY = sha256(b"sealing key")
SECONDS = 10.0
RELAY = AUTHORITY.issue(PeerKind.RELAY, "relay-1")


class Running:
    """A relay over a pair, and a client of it."""

    def __init__(
        self, hub: PairHub, driver: RelayDriver, client: RelayClient, address: str
    ) -> None:
        self.hub = hub
        self.pair = hub.pair
        self.driver = driver
        self.client = client
        self.address = address

    @asynccontextmanager
    async def called_by(self, name: str) -> AsyncIterator[RelayClient]:
        """A client whose certificate names a party."""
        credential = AUTHORITY.issue(PeerKind.CLIENT, name)
        authority = AUTHORITY.credential.certificate_pem
        async with RelayClient(self.address, credential, authority) as client:
            yield client

    async def seen(self) -> None:
        """Return once the relay has seen both chains."""

        async def look() -> bool:
            return all(queue.head for queue in self.driver.reconciler.queues.values())

        await self.until(look)

    async def until(self, look: Callable[[], Awaitable[bool]], tick_ms: int = 0) -> None:
        """Return once something is so. Lets `tick_ms` pass on both chains each time it is not."""
        async with asyncio.timeout(SECONDS):
            while True:
                if await look():
                    return
                if tick_ms:
                    self.hub.tick(tick_ms)
                await asyncio.sleep(0)


@asynccontextmanager
async def running(
    journal: LmdbJournal | MemoryJournal,
    pair: TwoChains | None = None,
    policy: Policy | None = None,
) -> AsyncIterator[Running]:
    hub = PairHub(pair or TwoChains())
    books, assets = hub.pair.chains
    plans = (
        ChainPlan(books.name, books.chain_id, heeds_holds=False),
        ChainPlan(assets.name, assets.chain_id, heeds_holds=True),
    )
    reconciler = Reconciler(plans, policy or Policy(), Random(1).randint)
    driver = RelayDriver(reconciler, journal, hub.ledgers, lambda: hub.pair.now, tick_ms=10)
    service = RelayService(driver, (books.chain_id, assets.chain_id), books.name, assets.name)
    authority = AUTHORITY.credential.certificate_pem
    server = RpcServer(RELAY, authority, NETWORK, "relay", driver.fail)
    server.offer(RELAY_SERVICE, USERS, partial(add_RelayServiceServicer_to_server, service))
    port = server.bind(f"{HOST}:0")
    await server.start()
    driver.start()
    try:
        async with RelayClient(f"{HOST}:{port}", CLIENT, authority) as client:
            yield Running(hub, driver, client, f"{HOST}:{port}")
    finally:
        await server.stop(0)
        await driver.close()
