"""The guard around every handler: default deny, limits, deadlines, and how each call ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from common.crypto.pki import PeerKind
from common.errors import CommonReason, InvariantBroken, Refused
from common.rpc import guard
from common.rpc.callers import allow_kinds
from common.rpc.channels import open_channel
from common.rpc.server import RpcServer
from common.rpc.status import refused_by
from tests.kit.served import AUTHORITY, CLIENT, HOST, NETWORK

SERVICE = "tests.Echo"
HIDDEN = "tests.Hidden"
PEM = AUTHORITY.credential.certificate_pem
SECONDS_MAX = 10


class Echo:
    """Handlers that end in every way a handler can."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.ended = asyncio.Event()

    async def echo(self, request: bytes, _: Any) -> bytes:
        return request

    async def refuse(self, request: bytes, _: Any) -> bytes:
        raise Refused(CommonReason.NOT_FOUND, "there is none", asked=request.decode())

    async def fail(self, request: bytes, _: Any) -> bytes:
        raise KeyError(f"secret {request!r}")

    async def breaks(self, request: bytes, _: Any) -> bytes:
        raise InvariantBroken(request.decode())

    async def hang(self, _: bytes, __: Any) -> bytes:
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        return b""

    async def count(self, request: bytes, _: Any) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield str(number).encode()
        raise Refused(CommonReason.BUSY, "enough")


@asynccontextmanager
async def serving(echo: Echo, broken: list[Exception] | None = None) -> AsyncIterator[str]:
    """The address of a server that offers `tests.Echo` to clients, and `tests.Hidden` to nobody."""
    met = [] if broken is None else broken
    server = RpcServer(AUTHORITY.issue(PeerKind.NODE, "echo"), PEM, NETWORK, "tally", met.append)
    methods: dict[str, Any] = {
        name: grpc.unary_unary_rpc_method_handler(getattr(echo, name))
        for name in ("echo", "refuse", "fail", "breaks", "hang")
    }
    methods["count"] = grpc.unary_stream_rpc_method_handler(echo.count)
    handler = grpc.method_handlers_generic_handler(SERVICE, methods)
    hidden = grpc.method_handlers_generic_handler(HIDDEN, methods)

    def add(target: grpc.aio.Server) -> None:
        target.add_generic_rpc_handlers([handler, hidden])

    server.offer(SERVICE, allow_kinds(PeerKind.CLIENT, PeerKind.ADMIN), add)
    server._access.pop("grpc.health.v1.Health")
    port = server.bind(f"{HOST}:0")
    await server._server.start()
    try:
        yield f"{HOST}:{port}"
    finally:
        await server._server.stop(0)


async def call(
    address: str, method: str, request: bytes = b"", *, service: str = SERVICE, **options: Any
) -> bytes:
    async with open_channel(address, CLIENT, PEM) as channel:
        ask: Any = channel.unary_unary(f"/{service}/{method}")
        answer: bytes = await ask(request, **options)
        return answer


async def refusal(address: str, method: str, request: bytes = b"", **options: Any) -> Refused:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(address, method, request, **options)
    return refused_by(caught.value)


async def test_a_service_nobody_was_named_for_is_closed() -> None:
    async with serving(Echo()) as address:
        assert await call(address, "echo", b"hello") == b"hello"
        refused = await refusal(address, "echo", b"hello", service=HIDDEN)
        assert refused.reason is CommonReason.PERMISSION_DENIED
        health = await refusal(address, "Check", service="grpc.health.v1.Health")
        assert health.reason is CommonReason.PERMISSION_DENIED


async def test_another_kind_of_caller_than_named_is_kept_out() -> None:
    relay = AUTHORITY.issue(PeerKind.RELAY, "relay-1")
    async with serving(Echo()) as address, open_channel(address, relay, PEM) as channel:
        ask: Any = channel.unary_unary(f"/{SERVICE}/echo")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(b"hello")
        assert refused_by(caught.value).reason is CommonReason.PERMISSION_DENIED


async def test_a_refusal_arrives_whole() -> None:
    async with serving(Echo()) as address:
        refused = await refusal(address, "refuse", b"coil-7")
        assert refused.reason is CommonReason.NOT_FOUND
        assert refused.message == "there is none"
        assert refused.metadata == {"asked": "coil-7"}


async def test_an_unexpected_error_tells_the_caller_nothing() -> None:
    async with serving(Echo()) as address:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(address, "fail", b"key material")
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert caught.value.details() == "internal error"


async def test_a_broken_invariant_is_told_to_the_owner_of_the_server() -> None:
    broken: list[Exception] = []
    async with serving(Echo(), broken) as address:
        refused = await refusal(address, "breaks", b"two books differ")
        assert refused.reason is CommonReason.NOT_READY
        assert "books" not in refused.message
    assert [str(error) for error in broken] == ["two books differ"]


async def test_a_call_without_a_deadline_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "UNARY_SECONDS_MAX", 0.05)
    echo = Echo()
    async with serving(echo) as address:
        refused = await refusal(address, "hang")
        assert refused.reason is CommonReason.DEADLINE_EXCEEDED
        assert echo.ended.is_set()


async def test_a_caller_with_too_many_calls_open_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard, "UNARY_CALLS_PER_CALLER_MAX", 1)
    echo = Echo()
    async with serving(echo) as address:
        hanging = asyncio.create_task(call(address, "hang"))
        async with asyncio.timeout(SECONDS_MAX):
            await echo.entered.wait()
        assert (await refusal(address, "echo")).reason is CommonReason.BUSY
        hanging.cancel()
        async with asyncio.timeout(SECONDS_MAX):
            await echo.ended.wait()


async def test_a_stream_ends_in_its_refusal_after_what_it_said() -> None:
    async with serving(Echo()) as address, open_channel(address, CLIENT, PEM) as channel:
        ask: Any = channel.unary_stream(f"/{SERVICE}/count")
        answers = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            async for answer in ask(b"3"):
                answers.append(answer)
        assert answers == [b"0", b"1", b"2"]
        assert refused_by(caught.value).reason is CommonReason.BUSY


async def test_an_address_that_is_taken_is_refused() -> None:
    async with serving(Echo()) as address:
        server = RpcServer(AUTHORITY.issue(PeerKind.NODE, "echo"), PEM, NETWORK, "tally", print)
        with pytest.raises(Refused) as caught:
            server.bind(address)
        assert caught.value.reason is CommonReason.INVALID_ARGUMENT
