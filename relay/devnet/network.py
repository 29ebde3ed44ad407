"""A running local network: nine processes, ready, linked, and shaken when asked.

async with LocalNetwork(data, tell) as network:
await network.start()
await network.link()
leader = await network.leader("bizchain")
await network.kill(leader)
await network.bring_back(leader)
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from assetchain.client import AssetClient
from bizchain.client import BusinessClient
from common.crypto.keyfile import load_signing_key
from common.crypto.pki import load_credential
from common.crypto.signing import sign
from common.encoding import encode
from common.errors import CommonReason, Refused
from common.ledger.genesis import Genesis
from common.ledger.lightclient import link_digest
from common.networkfile import load_network
from common.rpc.client import LedgerClient
from common.rpc.typed import TypedClient
from common.v1.transfer_pb2 import Link, PartySignature
from relay.client import RelayClient
from relay.devnet.founding import CHAINS, MEMBERS
from relay.devnet.layout import DataFolder
from relay.devnet.provision import CLIENT_NAME, HOST, relay_address
from relay.devnet.supervisor import Process, Supervisor

__all__ = ["RELAY", "LocalNetwork", "free_base_port"]

RELAY = "relay"
READY_SECONDS = 60
LINK_SECONDS = 60.0
POLL_SECONDS = 0.2
PORTS_STEP = 20
PORTS_TRIED_MAX = 100

Tell = Callable[[str], None]


class LocalNetwork:
    """The processes of a provisioned data folder. Use as an asynchronous context."""

    def __init__(self, data: DataFolder, tell: Tell) -> None:
        self.data = data
        self.network = load_network(data.network)
        self._tell = tell
        self._opened = AsyncExitStack()
        self.supervisor = Supervisor(self._processes())
        self.chains: Mapping[str, LedgerClient] = {}
        self._relay: RelayClient | None = None

    async def __aenter__(self) -> Self:
        self._refuse_taken_ports()
        await self._opened.enter_async_context(self.supervisor)
        credential = load_credential(self.data.keys.path, CLIENT_NAME)
        relay = RelayClient(relay_address(self.data), credential, self.network.authority_pem)
        self._relay = await self._opened.enter_async_context(relay)
        self.chains = {
            chain: await self._opened.enter_async_context(
                LedgerClient(self.network, chain, credential)
            )
            for chain in CHAINS
        }
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._opened.aclose()

    @property
    def relay(self) -> RelayClient:
        """The client of this network's relay."""
        assert self._relay is not None, "the network is entered first"
        return self._relay

    async def start(self) -> None:
        """Wait until every process serves and every chain has a final block."""
        names = self.supervisor.names
        serving = asyncio.create_task(self.supervisor.ready())
        told = -1
        async with asyncio.timeout(READY_SECONDS):
            while not serving.done():
                if self.supervisor.ready_count != told:
                    told = self.supervisor.ready_count
                    self._tell(f"  {told} of {len(names)} processes serve")
                await asyncio.wait({serving}, timeout=POLL_SECONDS)
            await serving
            for chain in CHAINS:
                leader = await self.leader(chain)
                self._tell(f"  {chain} is led by {leader}")

    async def leader(self, chain: str) -> str:
        """The node that leads a chain and has made a final block. Waits for an election."""
        client = self.chains[chain]
        while True:
            for node in self.network.chain(chain).nodes:
                try:
                    status = await client.status(node.node_id)
                except Refused:
                    continue
                if status.role == "leader" and status.final_height > 0:
                    return node.node_id
            await asyncio.sleep(POLL_SECONDS)

    async def link(self) -> None:
        """Make each chain known to the other, signed by every member. Once; later it is a no-op."""
        books = BusinessClient(self.chains["bizchain"], seconds=LINK_SECONDS)
        assets = AssetClient(self.chains["assetchain"], seconds=LINK_SECONDS)
        pair: tuple[TypedClient, TypedClient] = (books, assets)
        geneses = [await client.ledger.genesis() for client in pair]
        for client, own, peer in zip(pair, geneses, reversed(geneses), strict=True):
            try:
                outcome = await client.act_unsigned(link=self._link(client, peer))
            except Refused as refused:
                if refused.reason is not CommonReason.ALREADY_LINKED:
                    raise
            else:
                self._tell(
                    f"  {own.chain_name} {outcome.height}: linked to {peer.chain_name},"
                    f" signed by {len(MEMBERS)} of {len(MEMBERS)} members"
                )

    async def kill(self, name: str) -> None:
        """SIGKILL a process, and keep it down."""
        await self.supervisor.kill(name)

    async def bring_back(self, name: str) -> None:
        """Start a killed process again, and wait until it serves."""
        self.supervisor.bring_back(name)
        await self.supervisor.ready(name)

    def _link(self, client: TypedClient, peer: Genesis) -> Link:
        digest = link_digest(client.ledger.chain_id, peer)
        keys = {
            member.member_id: load_signing_key(self.data.keys.member(member.member_id))
            for member in MEMBERS
        }
        return Link(
            peer_genesis=encode(peer),
            signatures=[
                PartySignature(
                    party=member_id, public_key=key.public_key, signature=sign(key, digest)
                )
                for member_id, key in keys.items()
            ],
        )

    def _processes(self) -> list[Process]:
        nodes = [
            Process(
                node.node_id,
                (
                    *_python("common.node.main"),
                    "--app",
                    f"{chain.name}.node:APP",
                    "--folder",
                    str(self.data.node(node.node_id)),
                    "--stop-with-stdin",
                ),
                self.data.log(node.node_id),
            )
            for chain in self.network.chains
            for node in chain.nodes
        ]
        arguments = (
            *_python("relay.main"),
            "--folder",
            str(self.data.relay),
            "--stop-with-stdin",
        )
        return [*nodes, Process(RELAY, arguments, self.data.log(RELAY))]

    def _refuse_taken_ports(self) -> None:
        places = [
            (node.node_id, node.address) for chain in self.network.chains for node in chain.nodes
        ]
        for name, address in [*places, (RELAY, relay_address(self.data))]:
            port = int(address.rpartition(":")[2])
            if not _is_free(port):
                raise Refused(
                    CommonReason.NOT_READY,
                    f"port {port} of {name} is taken: does this network run already?"
                    " Stop it, or start another: --data FOLDER --base-port PORT",
                )


def free_base_port(start: int) -> int:
    """The first of some base ports from `start` on whose nine ports are free.

    Raises `Refused(NOT_READY)` where there is none.
    """
    for base in range(start, start + PORTS_TRIED_MAX * PORTS_STEP, PORTS_STEP):
        if all(_is_free(port) for port in range(base, base + len(CHAINS) * len(MEMBERS) + 1)):
            return base
    raise Refused(CommonReason.NOT_READY, f"no nine ports in a row are free from {start} on")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _python(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module)
