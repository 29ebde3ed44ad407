"""Connections to nodes: mutual TLS, quick to come back, and not fooled by a silent peer.

nodes = Nodes(network, "bizchain", credential)
await nodes.current.ledger.GetStatus(GetStatusRequest(), timeout=5)
nodes.move_on()                                    # the next one, by turns
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from common.crypto.pki import Credential
from common.errors import CommonReason, Refused
from common.network import Network
from common.rpc.server import MESSAGE_BYTES_MAX
from common.v1.ledger_service_pb2_grpc import LedgerServiceStub

if TYPE_CHECKING:
    from common.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub

__all__ = ["CHANNEL_OPTIONS", "NodeChannel", "Nodes", "open_channel"]

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.use_local_subchannel_pool", 1),  # one connection for each channel, with its own identity
)


def open_channel(address: str, credential: Credential, authority_pem: bytes) -> grpc.aio.Channel:
    """A channel to the node at `host:port`, as the holder of `credential`. Connects when used."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=authority_pem,
        private_key=credential.private_key_pem,
        certificate_chain=credential.certificate_pem,
    )
    return grpc.aio.secure_channel(address, credentials, options=CHANNEL_OPTIONS)


@dataclass(frozen=True, slots=True)
class NodeChannel:
    """A connection to one node. Contracts make their own stubs over `channel`."""

    node_id: str
    channel: grpc.aio.Channel
    ledger: LedgerServiceAsyncStub


class Nodes:
    """Connections to all nodes of a chain, one of them current. Made in an event loop."""

    def __init__(self, network: Network, chain_name: str, credential: Credential) -> None:
        chain = network.chain(chain_name)
        self._nodes: list[NodeChannel] = []
        for node in chain.nodes:
            channel = open_channel(node.address, credential, network.authority_pem)
            self._nodes.append(NodeChannel(node.node_id, channel, LedgerServiceStub(channel)))
        self._current = 0

    def fork(self) -> Nodes:
        """The same connections with a current node of its own. Only the original is closed."""
        return copy.copy(self)

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def current(self) -> NodeChannel:
        """The node to ask now."""
        return self._nodes[self._current]

    def move_on(self) -> NodeChannel:
        """Make the next node the current one."""
        self._current = (self._current + 1) % len(self._nodes)
        return self.current

    def move_to(self, node_id: str) -> bool:
        """Make this node the current one. False where the network does not name it."""
        for index, node in enumerate(self._nodes):
            if node.node_id == node_id:
                self._current = index
                return True
        return False

    def others_than(self, node: NodeChannel) -> list[NodeChannel]:
        """Every other node, in their order."""
        return [other for other in self._nodes if other.node_id != node.node_id]

    def get(self, node_id: str) -> NodeChannel:
        """The node with this id. Raises `Refused(NOT_FOUND)`."""
        for node in self._nodes:
            if node.node_id == node_id:
                return node
        raise Refused(CommonReason.NOT_FOUND, f"the network names no node {node_id!r}")

    async def close(self) -> None:
        """Close every connection."""
        for node in self._nodes:
            await node.channel.close()
