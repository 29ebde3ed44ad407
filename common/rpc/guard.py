"""Around every handler of a server: who may call, for how long, how often, and how it ends.

Default deny: a service the guard was not told of is closed, and a caller must be one the service
was opened for. A unary call ends by its own deadline or `UNARY_SECONDS_MAX`, whichever is first. A
`Refused` becomes a rich status; a broken invariant or a failed disk is handed to the owner of the
server, which stops; any other error is logged and answered INTERNAL, and tells the caller nothing.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias, cast

import grpc
import structlog

from common.errors import CommonReason, InvariantBroken, Refused, StorageFailed
from common.rpc.access import calling
from common.rpc.callers import Allow, Caller, caller_of
from common.rpc.limits import CallCounter
from common.rpc.status import DETAILS_KEY, status_of

__all__ = ["Guard", "abort"]

UNARY_SECONDS_MAX = 60
UNARY_CALLS_PER_CALLER_MAX = 1_024
STREAMS_PER_CALLER_MAX = 128

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_log = structlog.get_logger(__name__)


async def abort(context: Context, refused: Refused, domain: str) -> None:
    """End a call with the rich status of a refusal. Never returns."""
    code, text, details = status_of(refused, domain)
    await context.abort(code, text, ((DETAILS_KEY, details),))


class Guard(grpc.aio.ServerInterceptor):
    """The interceptor. `access` maps full service names to who may use them; closed otherwise."""

    def __init__(
        self,
        network: str,
        domain: str,
        access: Mapping[str, Allow],
        on_broken: Callable[[Exception], None],
    ) -> None:
        self._network = network
        self._domain = domain
        self._access = access
        self._on_broken = on_broken
        self._unary_calls = CallCounter(UNARY_CALLS_PER_CALLER_MAX)
        self._streams = CallCounter(STREAMS_PER_CALLER_MAX)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """The handler of the call, with the guard around it."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        behaviour = cast("Callable[[Any, Context], Any]", _behaviour(handler))
        if handler.response_streaming:
            guarded: Callable[..., Any] = self._stream(method, behaviour)
        else:
            guarded = self._unary(method, behaviour, request_streaming=handler.request_streaming)
        return _maker(handler)(guarded, handler.request_deserializer, handler.response_serializer)

    def _unary(
        self, method: str, behaviour: Callable[[Any, Context], Any], *, request_streaming: bool
    ) -> Callable[[Any, Context], Awaitable[Any]]:
        counter = self._streams if request_streaming else self._unary_calls

        async def guarded(request: Any, context: Context) -> Any:
            async with self._ending(method, context):
                identity = self._admit(method, context).identity
                with counter.one(identity.uri), calling(identity):
                    if request_streaming:
                        return await behaviour(request, context)
                    async with asyncio.timeout(_seconds_left(context)):
                        return await behaviour(request, context)

        return guarded

    def _stream(
        self, method: str, behaviour: Callable[[Any, Context], Any]
    ) -> Callable[[Any, Context], Awaitable[None]]:
        async def guarded(request: Any, context: Context) -> None:
            async with self._ending(method, context):
                identity = self._admit(method, context).identity
                with self._streams.one(identity.uri), calling(identity):
                    answers = behaviour(request, context)
                    if not inspect.isasyncgen(answers):
                        await answers
                        return
                    async with aclosing(answers):
                        async for answer in answers:
                            await context.write(answer)

        return guarded

    def _admit(self, method: str, context: Context) -> Caller:
        """The caller, once it may use the service of `method`. Raises `Refused`."""
        caller = caller_of(context)
        allow = self._access.get(method.split("/")[1])
        if caller.identity.network != self._network or allow is None or not allow(caller):
            message = f"{caller.identity.uri} may not call {method}"
            raise Refused(CommonReason.PERMISSION_DENIED, message)
        return caller

    @asynccontextmanager
    async def _ending(self, method: str, context: Context) -> AsyncIterator[None]:
        """Turn what a handler raises into the status the caller sees."""
        try:
            yield
        except Refused as refused:
            await abort(context, refused, self._domain)
        except TimeoutError:
            late = Refused(CommonReason.DEADLINE_EXCEEDED, f"{method} took too long here")
            await abort(context, late, self._domain)
        except (InvariantBroken, StorageFailed) as error:
            self._on_broken(error)
            stopped = Refused(CommonReason.NOT_READY, "this node stops")
            await abort(context, stopped, self._domain)
        except grpc.aio.BaseError:
            raise
        except Exception:  # noqa: BLE001 (the edge: told to people, not to callers)
            _log.exception("handler failed", method=method)
            await context.abort(grpc.StatusCode.INTERNAL, "internal error")


def _seconds_left(context: Context) -> float:
    """Until the caller's own deadline, at most `UNARY_SECONDS_MAX`."""
    remaining: float | None = context.time_remaining()
    return UNARY_SECONDS_MAX if remaining is None else min(remaining, UNARY_SECONDS_MAX)


def _behaviour(handler: Handler) -> object:
    return (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )


def _maker(handler: Handler) -> Callable[..., Handler]:
    return {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
