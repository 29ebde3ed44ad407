"""Refusals as gRPC statuses, and back. The one table between `Kind` and gRPC codes.

A refused call ends with a `google.rpc.Status` in its trailing metadata that holds exactly one
`ErrorInfo`: `reason` is the name of the reason, `domain` the name of the chain, `metadata` that of
the refusal. The status message begins with the reason's name.

    code, text, trailing = status_of(refused, "bizchain")           # in a server
    raise refused_by(error)                                         # in a client
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from common.errors import CommonReason, Kind, Reason, Refused

__all__ = ["CODES", "DETAILS_KEY", "refusals", "refused_by", "status_of"]

DETAILS_KEY = "grpc-status-details-bin"
"""The metadata key of the binary status. Source: https://github.com/grpc/proposal, A6 and L44."""

TEXT_CHARACTERS_MAX = 1024

CODES: Mapping[Kind, grpc.StatusCode] = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Kind.PRECONDITION: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.LIMIT: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    # gRPC's own words for this code: "the operation may have completed successfully".
    Kind.UNKNOWN: grpc.StatusCode.DEADLINE_EXCEEDED,
}

_BY_CODE: Mapping[grpc.StatusCode, Reason] = {
    grpc.StatusCode.INVALID_ARGUMENT: CommonReason.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED: CommonReason.SIGNER_UNKNOWN,
    grpc.StatusCode.PERMISSION_DENIED: CommonReason.PERMISSION_DENIED,
    grpc.StatusCode.NOT_FOUND: CommonReason.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: CommonReason.REQUEST_ID_REUSED,
    grpc.StatusCode.FAILED_PRECONDITION: CommonReason.NOT_READY,
    grpc.StatusCode.RESOURCE_EXHAUSTED: CommonReason.BUSY,
    grpc.StatusCode.UNIMPLEMENTED: CommonReason.UNKNOWN_OPERATION,
    grpc.StatusCode.DEADLINE_EXCEEDED: CommonReason.DEADLINE_EXCEEDED,
}
"""What a status without an `ErrorInfo` we know is read as. Everything else is NOT_READY."""


def status_of(refused: Refused, domain: str) -> tuple[grpc.StatusCode, str, bytes]:
    """The code, the text and the serialised `google.rpc.Status` of a refusal.

    `domain` is the name of the chain, or of the service, that refuses.
    """
    code = CODES[refused.reason.kind]
    text = str(refused)[:TEXT_CHARACTERS_MAX]
    details = ErrorInfo(reason=refused.reason.name, domain=domain, metadata=refused.metadata)
    packed = Any()
    packed.Pack(details)
    number: int = code.value[0]
    status = Status(code=number, message=text, details=[packed])
    return code, text, status.SerializeToString(deterministic=True)


def refused_by(error: grpc.aio.AioRpcError) -> Refused:
    """The refusal an ended call carries: the very reason where its name is known here.

    A failure below the service (no connection, a deadline) becomes the reason that fits its code.
    """
    info = _error_info(error)
    fallback = _BY_CODE.get(error.code(), CommonReason.NOT_READY)
    text = error.details() or error.code().name
    if info is None:
        return Refused(fallback, text[:TEXT_CHARACTERS_MAX])
    reason = _reason_named(info.reason)
    metadata: dict[str, object] = {key: info.metadata[key] for key in sorted(info.metadata)}
    metadata.pop("reason", None)
    metadata.pop("message", None)
    message = text.removeprefix(f"{info.reason}: ")[:TEXT_CHARACTERS_MAX]
    if reason is None:
        return Refused(fallback, message, reason_name=info.reason, **metadata)
    return Refused(reason, message, **metadata)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn a gRPC call that fails inside into the `Refused` it carries."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise refused_by(error) from None


def _error_info(error: grpc.aio.AioRpcError) -> ErrorInfo | None:
    """The one `ErrorInfo` of an ended call, or None where there is none, or more than one."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return _read_details(value)
    return None


def _read_details(value: bytes) -> ErrorInfo | None:
    try:
        details = Status.FromString(value).details
        info = ErrorInfo()
        return info if len(details) == 1 and details[0].Unpack(info) else None
    except DecodeError:
        return None


def _reason_named(name: str) -> Reason | None:
    for family in Reason.__subclasses__():
        if name in family.__members__:
            return family[name]
    return None
