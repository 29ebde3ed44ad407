"""A gRPC server of the network: mutual TLS, the guard, health and reflection.

    server = RpcServer(credential, network.authority_pem, "devnet", "bizchain", on_broken)
    server.offer(LEDGER_SERVICE, allow_kinds(PeerKind.CLIENT), add_ledger_service)
    port = server.bind("127.0.0.1:17400")
    await server.start()
    server.set_serving(True)

Services are opened one by one, each for named callers; whatever is not opened is closed.
"""

from __future__ import annotations

from collections.abc import Callable

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from common.crypto.pki import Credential, PeerKind
from common.errors import CommonReason, Refused
from common.rpc.callers import Allow, allow_kinds
from common.rpc.guard import Guard

__all__ = ["MESSAGE_BYTES_MAX", "SERVER_OPTIONS", "USERS", "RpcServer"]

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
METADATA_BYTES_MAX = 16 * 1024
STREAMS_PER_CONNECTION_MAX = 1_024
CALLS_MAX = 4_096
PING_INTERVAL_MS_MIN = 1_000

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.max_concurrent_streams", STREAMS_PER_CONNECTION_MAX),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MS_MIN),
    ("grpc.so_reuseport", 0),  # a second server on the port is an error, not a partner
)

USERS = allow_kinds(PeerKind.CLIENT, PeerKind.RELAY, PeerKind.ADMIN)
"""Those who use a chain from outside."""

ANYBODY = allow_kinds(*PeerKind)


class RpcServer:
    """One server on one address. `domain` stands in errors: the name of the chain or service."""

    def __init__(
        self,
        credential: Credential,
        authority_pem: bytes,
        network: str,
        domain: str,
        on_broken: Callable[[Exception], None],
    ) -> None:
        """`on_broken` is told of a broken invariant or failed disk that a handler met."""
        self._credentials = grpc.ssl_server_credentials(
            [(credential.private_key_pem, credential.certificate_pem)],
            root_certificates=authority_pem,
            require_client_auth=True,
        )
        self._access: dict[str, Allow] = {}
        self._server = grpc.aio.server(
            interceptors=[Guard(network, domain, self._access, on_broken)],
            options=SERVER_OPTIONS,
            maximum_concurrent_rpcs=CALLS_MAX,
        )
        self._health = health.aio.HealthServicer()
        self.offer(health.SERVICE_NAME, ANYBODY, self._add_health)

    def offer(self, service: str, allow: Allow, add: Callable[[grpc.aio.Server], None]) -> None:
        """Open the service with this full name for the callers that `allow` lets in."""
        assert service not in self._access, f"{service} is offered twice"
        self._access[service] = allow
        add(self._server)

    def bind(self, address: str) -> int:
        """Take `host:port`; port 0 is any free one. Returns the port.

        Raises `Refused(INVALID_ARGUMENT)` where the address cannot be had.
        """
        try:
            port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError:
            port = 0
        if port == 0:
            raise Refused(CommonReason.INVALID_ARGUMENT, f"cannot listen on {address}")
        return port

    async def start(self) -> None:
        """Answer calls; not serving yet, as far as health is asked."""
        self._access[reflection.SERVICE_NAME] = USERS
        reflection.enable_server_reflection(sorted(self._access), self._server)
        await self.set_serving(serving=False)
        await self._server.start()

    async def set_serving(self, *, serving: bool) -> None:
        """Say in the health service, for every service, whether this process serves."""
        states = health_pb2.HealthCheckResponse
        state = states.SERVING if serving else states.NOT_SERVING
        for service in ("", *sorted(self._access)):
            await self._health.set(service, state)

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new calls, and end open ones after the grace."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_seconds)

    def _add_health(self, server: grpc.aio.Server) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
