"""Frames between the nodes of one chain: a stream out to each peer, a stream in from each.

Delivery is best effort. A frame waits in a bounded queue while its peer is slow or away, and the
oldest goes first when the queue is full: Raft and the exchange of certificates make good what is
lost, and newer frames say more than older ones. A stream that ends is opened again.

    links = PeerLinks({"bank-1": "127.0.0.1:17401"}, credential, authority_pem)
    links.send("bank-1", frame)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, Callable, Mapping

import grpc
import structlog

from common.crypto.pki import Credential, PeerKind
from common.ledger.certificate import NodeSet
from common.rpc.callers import Allow, Caller, caller_of
from common.rpc.channels import open_channel
from common.v1 import peer_service_pb2_grpc
from common.v1.peer_service_pb2 import ExchangeRequest, ExchangeResponse

__all__ = ["PEER_SERVICE", "PeerInbox", "PeerLinks", "allow_members"]

PEER_SERVICE = "common.v1.PeerService"
QUEUE_FRAMES_MAX = 1_024
QUEUE_BYTES_MAX = 8 * 1024 * 1024
REQUEST_BYTES_MAX = 2 * 1024 * 1024
"""Frames are put together up to this size; one frame alone may be larger, up to a message."""
RETRY_SECONDS = 0.1

_log = structlog.get_logger(__name__)


def allow_members(node_set: NodeSet) -> Allow:
    """Let in the nodes of a set, each with the TLS key the set pins for it."""

    def allow(caller: Caller) -> bool:
        entry = node_set.node(caller.identity.name)
        is_node = caller.identity.kind is PeerKind.NODE and entry is not None
        return is_node and entry is not None and entry.tls_key_hash == caller.tls_key_hash

    return allow


class PeerInbox(peer_service_pb2_grpc.PeerServiceServicer):
    """The server's end: hands each frame to `receive`, with the proven id of its sender."""

    def __init__(self, receive: Callable[[str, bytes], None]) -> None:
        self._receive = receive

    async def Exchange(  # noqa: N802 (the name is the protocol's)
        self,
        request_iterator: AsyncIterable[ExchangeRequest],
        context: grpc.aio.ServicerContext[ExchangeRequest, ExchangeResponse],
    ) -> ExchangeResponse:
        """Take frames until the peer closes the stream."""
        sender = caller_of(context).identity.name
        async for request in request_iterator:
            for frame in request.frames:
                self._receive(sender, frame)
        return ExchangeResponse()


class PeerLinks:
    """The streams out. `start` runs them in the current event loop until `stop`."""

    def __init__(self, credential: Credential, authority_pem: bytes) -> None:
        self._credential = credential
        self._authority_pem = authority_pem
        self._links: dict[str, PeerLink] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, addresses: Mapping[str, str]) -> None:
        """Keep a stream open to each peer, by node id."""
        for node_id, address in sorted(addresses.items()):
            channel = open_channel(address, self._credential, self._authority_pem)
            link = self._links[node_id] = PeerLink(node_id, channel)
            self._tasks.append(asyncio.create_task(link.run(), name=f"to {node_id}"))

    def send(self, node_id: str, frame: bytes) -> None:
        """Send a frame to a peer, or lose it."""
        link = self._links.get(node_id)
        if link is not None:
            link.send(frame)

    @property
    def frames_dropped(self) -> int:
        """Frames that found a full queue, since the start."""
        return sum(link.frames_dropped for link in self._links.values())

    async def stop(self) -> None:
        """Close the streams. Idempotent."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        links, self._links = self._links, {}
        for link in links.values():
            await link.channel.close()


class PeerLink:
    """One stream out, and the queue before it."""

    def __init__(self, node_id: str, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.frames_dropped = 0
        self._node_id = node_id
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()

    def send(self, frame: bytes) -> None:
        """Queue a frame; the oldest are dropped where the queue would overflow."""
        self._frames.append(frame)
        self._bytes += len(frame)
        while len(self._frames) > QUEUE_FRAMES_MAX or (
            self._bytes > QUEUE_BYTES_MAX and len(self._frames) > 1
        ):
            self._bytes -= len(self._frames.popleft())
            self.frames_dropped += 1
        self._filled.set()

    async def run(self) -> None:
        """Send what is queued, for ever, over one stream after another."""
        stub = peer_service_pb2_grpc.PeerServiceStub(self.channel)
        while True:
            call = stub.Exchange(wait_for_ready=True)
            try:
                await call.wait_for_connection()
                _log.info("stream to peer opened", peer=self._node_id)
                await self._pump(call)
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError) as error:
                _log.info("stream to peer ended", peer=self._node_id, why=type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)
            finally:
                call.cancel()

    async def _pump(
        self, call: grpc.aio.StreamUnaryCall[ExchangeRequest, ExchangeResponse]
    ) -> None:
        while True:
            await self._filled.wait()
            await call.write(ExchangeRequest(frames=self._take()))

    def _take(self) -> list[bytes]:
        """The oldest frames, as many as go together."""
        taken = [self._frames.popleft()]
        size = len(taken[0])
        while self._frames and size + len(self._frames[0]) <= REQUEST_BYTES_MAX:
            frame = self._frames.popleft()
            size += len(frame)
            taken.append(frame)
        self._bytes -= size
        if not self._frames:
            self._filled.clear()
        return taken
