"""Node processes on this machine, made and kept as `wutong up` does, with ledgers loaded in bulk.

    data = prepare(folder, population, ("bizchain",))
    async with deployed(data, ("bizchain",)) as deployment:
        await deployment.groups()                   # process ids: leader, followers

The rows are built into the first node's folder; the others get a copy of its state, which is the
same on all nodes of a chain. Two chains are linked from the start, and have a relay between them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import chain as chained
from pathlib import Path

from common.crypto.pki import load_credential
from common.crypto.signing import verify
from common.encoding import decode
from common.ledger.genesis import Genesis
from common.ledger.ledger import Ledger
from common.network import Network
from common.networkfile import load_network
from common.node.app import NodeApp, load_app
from common.node.folder import DATA_FOLDER, GENESIS_FILE, open_node
from common.rpc.client import LedgerClient
from relay.client import RelayClient
from relay.devnet.layout import DataFolder
from relay.devnet.network import free_base_port
from relay.devnet.provision import CLIENT_NAME, provision, relay_address
from relay.devnet.supervisor import Process, Supervisor
from tests.bench.population import Population, link_rows

__all__ = [
    "BOTH_CHAINS",
    "Deployment",
    "app_of",
    "client_of",
    "copy_of_one_node",
    "deployed",
    "prepare",
    "relay_of",
]

BASE_PORT = 27_400
READY_SECONDS = 180.0
POLL_SECONDS = 0.1
RELAY = "relay"
BOTH_CHAINS = ("bizchain", "assetchain")
STATE_PARTS = ("state", "session")
"""What of a node's data follows from the log alone: the same on every node of a chain."""


class Deployment:
    """Running processes of a data folder."""

    def __init__(self, data: DataFolder, chains: Sequence[str], supervisor: Supervisor) -> None:
        self.data = data
        self.network: Network = load_network(data.network)
        self._chains = chains
        self._supervisor = supervisor

    def node_ids(self, chain: str) -> list[str]:
        return [node.node_id for node in self.network.chain(chain).nodes]

    def pid(self, name: str) -> int:
        pid = self._supervisor.pid(name)
        assert pid is not None, f"{name} is down"
        return pid

    async def leader(self, chain: str) -> str:
        """The node that leads and has made a final block. Waits for an election."""
        async with asyncio.timeout(READY_SECONDS), client_of(self.data, chain) as client:
            while True:
                for node_id in self.node_ids(chain):
                    status = await client.status(node_id)
                    if status.role == "leader" and status.final_height > 0:
                        return node_id
                await asyncio.sleep(POLL_SECONDS)

    async def groups(self) -> dict[str, Sequence[int]]:
        """Process ids by what they do: the leader of each chain, its followers, the relay."""
        found: dict[str, Sequence[int]] = {}
        for chain in self._chains:
            leader = await self.leader(chain)
            others = [node_id for node_id in self.node_ids(chain) if node_id != leader]
            found[f"{chain} leader"] = [self.pid(leader)]
            found[f"{chain} followers"] = [self.pid(node_id) for node_id in others]
        if RELAY in self._supervisor.names:
            found[RELAY] = [self.pid(RELAY)]
        return found


def prepare(folder: Path, population: Population, chains: Sequence[str]) -> DataFolder:
    """A new data folder whose ledgers of these chains begin with the population."""
    data = DataFolder(folder / "data")
    provision(
        data,
        base_port=free_base_port(BASE_PORT),
        now_unix_ms=time.time_ns() // 1_000_000,
        random_bytes=os.urandom,
    )
    for chain in chains:
        _load(data, chain, population)
    return data


def copy_of_one_node(data: DataFolder, chain: str, folder: Path) -> DataFolder:
    """A data folder with a copy of one node of this chain, and nothing else that could run."""
    copy = DataFolder(folder / "data")
    node_id = load_network(data.network).chain(chain).nodes[0].node_id
    copy.node(node_id).parent.mkdir(parents=True)
    _copy(data.network, copy.network)
    _copy(data.node(node_id), copy.node(node_id))
    return copy


@asynccontextmanager
async def deployed(
    data: DataFolder, chains: Sequence[str], *, profiled: str = ""
) -> AsyncIterator[Deployment]:
    """The nodes of one chain, or of both with a relay, running.

    The process `profiled` writes a profile into the folder as it ends.
    """
    network = load_network(data.network)
    processes = [
        _node(data, chain, node.node_id, profiled)
        for chain in chains
        for node in network.chain(chain).nodes
    ]
    if chains == BOTH_CHAINS:
        arguments = ("relay.main", "--folder", str(data.relay))
        processes.append(_process(data, RELAY, arguments, profiled))
    async with Supervisor(processes) as supervisor:
        async with asyncio.timeout(READY_SECONDS):
            await supervisor.ready()
        deployment = Deployment(data, chains, supervisor)
        for chain in chains:
            await deployment.leader(chain)
        yield deployment


def client_of(data: DataFolder, chain: str) -> LedgerClient:
    """A client with the command line's own credential."""
    credential = load_credential(data.keys.path, CLIENT_NAME)
    return LedgerClient(load_network(data.network), chain, credential)


def relay_of(data: DataFolder) -> RelayClient:
    """A client of the relay, with the same credential."""
    network = load_network(data.network)
    credential = load_credential(data.keys.path, CLIENT_NAME)
    return RelayClient(relay_address(data), credential, network.authority_pem)


def app_of(chain: str) -> NodeApp:
    """What a node of this chain runs."""
    return load_app(_app_place(chain))


def _app_place(chain: str) -> str:
    return f"{chain}.node:APP"


def _load(data: DataFolder, chain: str, population: Population) -> None:
    """Make height 0 with this population in the folder of every node of a chain."""
    folders = {
        name: [data.node(node.node_id) for node in load_network(data.network).chain(name).nodes]
        for name in BOTH_CHAINS
    }
    [other] = [name for name in BOTH_CHAINS if name != chain]
    rows = population.business_rows() if chain == BOTH_CHAINS[0] else population.asset_rows()
    first, *others = folders[chain]
    _build(first, chain, chained(rows, link_rows(_genesis(folders[other][0]))))
    for target in others:
        for part in STATE_PARTS:
            _copy(first / DATA_FOLDER / part, target / DATA_FOLDER / part)


def _genesis(folder: Path) -> Genesis:
    return decode(Genesis, (folder / GENESIS_FILE).read_bytes())


def _build(folder: Path, chain: str, rows: Iterable[tuple[bytes, bytes]]) -> None:
    opened = open_node(folder)
    try:
        store = opened.data.open_state()
        Ledger.open(app_of(chain).chain, opened.genesis, store, verify, further_rows=rows)
    finally:
        opened.data.close()


def _copy(source: Path, target: Path) -> None:
    """A copy in place of what is there; holes of a file stay holes."""
    if target.is_dir():
        shutil.rmtree(target)
    subprocess.run(
        ["cp", "-r", "--sparse=always", "--no-target-directory", source, target], check=True
    )


def _node(data: DataFolder, chain: str, node_id: str, profiled: str) -> Process:
    place, folder = _app_place(chain), str(data.node(node_id))
    arguments = ("common.node.main", "--app", place, "--folder", folder)
    return _process(data, node_id, arguments, profiled)


def _process(data: DataFolder, name: str, arguments: Sequence[str], profiled: str) -> Process:
    profile = ("-m", "tests.bench.profiled", str(data.path / f"{name}.prof"))
    start = profile if name == profiled else ("-m",)
    command = (sys.executable, *start, *arguments, "--stop-with-stdin")
    return Process(name, command, data.log(name))
