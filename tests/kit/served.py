"""A served cluster for tests: four node processes' worth of nodes in one event loop, real TLS and
LMDB, ports the system chose. The chain is the tiny one of `tests.kit.tally`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from common.crypto.pki import (
    DAY_MS,
    Credential,
    PeerIdentity,
    PeerKind,
    Validity,
    create_authority,
    issue,
    tls_key_hash,
)
from common.ledger.certificate import NodeSet
from common.ledger.compose import Author
from common.ledger.genesis import Genesis, chain_id_of
from common.network import Network, NetworkChain, NetworkNode
from common.node.app import NodeApp
from common.node.folder import format_node
from common.node.process import NodeProcess
from common.node.settings import ProcessSettings
from common.rpc.client import LedgerClient
from tests.kit.tally import CHAIN, NODE_IDS, key_of, make_genesis

NETWORK = "test"
HOST = "127.0.0.1"
SECONDS_MAX = 20
APP = NodeApp(chain=CHAIN)


class Authority:
    """Issues certificates of one network that hold now: TLS judges them by the machine's clock."""

    def __init__(self, network: str = NETWORK) -> None:
        self.network = network
        self._chance = random.Random(network).randbytes
        now_unix_ms = time.time_ns() // 1_000_000
        self._validity = Validity(now_unix_ms - DAY_MS, now_unix_ms + DAY_MS)
        self.credential = create_authority(network, self._validity, self._chance)

    def issue(self, kind: PeerKind, name: str) -> Credential:
        identity = PeerIdentity(self.network, kind, name)
        hosts = (HOST,) if kind.serves else ()
        return issue(self.credential, identity, hosts, self._validity, self._chance)


AUTHORITY = Authority()
NODE_CREDENTIALS = {node_id: AUTHORITY.issue(PeerKind.NODE, node_id) for node_id in NODE_IDS}
CLIENT = AUTHORITY.issue(PeerKind.ADMIN, "acme")
"""Who operates the network, and reads everything."""


def served_genesis() -> Genesis:
    """The genesis of the tiny chain, created now, with the TLS keys of its nodes pinned."""
    genesis = make_genesis(network=NETWORK)
    nodes = tuple(
        replace(node, tls_key_hash=tls_key_hash(NODE_CREDENTIALS[node.node_id].certificate))
        for node in genesis.node_set.nodes
    )
    node_set = NodeSet(genesis.node_set.epoch, nodes, genesis.node_set.quorum)
    return replace(genesis, node_set=node_set, created_unix_ms=time.time_ns() // 1_000_000)


def network_of(genesis: Genesis, addresses: dict[str, str]) -> Network:
    nodes = tuple(NetworkNode(node_id, address) for node_id, address in sorted(addresses.items()))
    chain = NetworkChain(genesis.chain_name, chain_id_of(genesis), nodes)
    return Network(NETWORK, AUTHORITY.credential.certificate_pem, (chain,))


class ServedCluster:
    """The running nodes, by id. Any of them can be closed and opened again on its folder."""

    def __init__(self, path: Path, app: NodeApp = APP, genesis: Genesis | None = None) -> None:
        self.path = path
        self.app = app
        self.genesis = genesis or served_genesis()
        self.addresses: dict[str, str] = {}
        self.processes: dict[str, NodeProcess] = {}

    @property
    def network(self) -> Network:
        return network_of(self.genesis, self.addresses)

    def format(self) -> None:
        unknown = network_of(self.genesis, dict.fromkeys(NODE_IDS, f"{HOST}:1"))
        for node_id in NODE_IDS:
            settings = ProcessSettings(
                chain_name=self.genesis.chain_name,
                node_id=node_id,
                listen=f"{HOST}:0",
                tick_ms=20,
                election_ticks_min=10,
                election_ticks_max=20,
                idle_block_ms=200,
            )
            credential = NODE_CREDENTIALS[node_id]
            folder = self.path / node_id
            format_node(folder, settings, self.genesis, key_of(node_id), credential, unknown)

    def bind(self, node_id: str) -> NodeProcess:
        """Open a node on its folder and take its address, the one it had where it had one."""
        process = NodeProcess.open(self.path / node_id, self.app)
        port = process.bind(self.addresses.get(node_id))
        self.addresses[node_id] = f"{HOST}:{port}"
        self.processes[node_id] = process
        return process

    async def start(self, node_id: str) -> None:
        peers = {other: place for other, place in self.addresses.items() if other != node_id}
        await self.processes[node_id].start(peers)

    async def close(self, node_id: str) -> None:
        await self.processes.pop(node_id).close()

    async def until_final(self, height: int) -> None:
        """Return once this height is final on every running node."""
        async with asyncio.timeout(SECONDS_MAX):
            for process in self.processes.values():
                assert process._finals is not None
                await process._finals.until_certified(height)

    def leader_id(self) -> str:
        [leader] = {process.node.leader_id for process in self.processes.values()}
        assert leader is not None
        return leader

    def client(self, party: str = "acme", network: Network | None = None) -> LedgerClient:
        author = Author(party, key_of(party))
        return LedgerClient(network or self.network, self.genesis.chain_name, CLIENT, author=author)


@asynccontextmanager
async def served(
    path: Path, app: NodeApp = APP, genesis: Genesis | None = None
) -> AsyncIterator[ServedCluster]:
    """A cluster of four nodes that has elected a leader. The tiny chain, unless told otherwise."""
    cluster = ServedCluster(path, app, genesis)
    cluster.format()
    for node_id in NODE_IDS:
        cluster.bind(node_id)
    try:
        for node_id in NODE_IDS:
            await cluster.start(node_id)
        await cluster.until_final(1)
        yield cluster
    finally:
        await asyncio.gather(*(cluster.close(node_id) for node_id in list(cluster.processes)))
