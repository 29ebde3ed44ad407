"""Refusals cross gRPC whole: the same reason, message and metadata on both sides."""

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from common.errors import CommonReason, Kind, Reason, Refused, TransferReason
from common.rpc.status import CODES, DETAILS_KEY, refused_by, status_of

reasons = st.sampled_from([*CommonReason, *TransferReason])
metadata = st.dictionaries(
    st.from_regex(r"[a-z_]{1,20}", fullmatch=True).filter(
        lambda key: key not in {"reason", "message", "self"}
    ),
    st.text(max_size=50),
    max_size=4,
)


def ended(code: grpc.StatusCode, text: str, details: bytes | None = None) -> grpc.aio.AioRpcError:
    trailing = grpc.aio.Metadata() if details is None else grpc.aio.Metadata((DETAILS_KEY, details))
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, text)


def cross(refused: Refused) -> Refused:
    return refused_by(ended(*status_of(refused, "bizchain")))


@given(reasons, st.text(max_size=200), metadata)
def test_a_refusal_comes_out_as_it_went_in(
    reason: Reason, message: str, facts: dict[str, str]
) -> None:
    crossed = cross(Refused(reason, message, **facts))
    assert (crossed.reason, crossed.message, crossed.metadata) == (reason, message, facts)


@given(reasons, metadata)
def test_the_status_holds_exactly_one_error_info(reason: Reason, facts: dict[str, str]) -> None:
    code, text, details = status_of(Refused(reason, "why", **facts), "bizchain")
    status = Status.FromString(details)
    info = ErrorInfo()
    assert len(status.details) == 1
    assert status.details[0].Unpack(info)
    assert (info.reason, info.domain, dict(info.metadata)) == (reason.name, "bizchain", facts)
    assert (status.code, status.message) == (code.value[0], text)
    assert text.startswith(reason.name)


def test_every_kind_of_reason_has_a_code_of_its_own() -> None:
    assert set(CODES) == set(Kind)
    assert len(set(CODES.values())) == len(Kind)
    assert grpc.StatusCode.OK not in CODES.values()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, CommonReason.NOT_READY),
        (grpc.StatusCode.INTERNAL, CommonReason.NOT_READY),
        (grpc.StatusCode.CANCELLED, CommonReason.NOT_READY),
        (grpc.StatusCode.DEADLINE_EXCEEDED, CommonReason.DEADLINE_EXCEEDED),
        (grpc.StatusCode.UNIMPLEMENTED, CommonReason.UNKNOWN_OPERATION),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, CommonReason.BUSY),
    ],
)
def test_a_failure_below_the_service_becomes_a_reason(
    code: grpc.StatusCode, reason: CommonReason
) -> None:
    assert refused_by(ended(code, "no connection")).reason is reason


def test_a_reason_nobody_here_knows_keeps_its_name() -> None:
    status = Status(code=9, message="NEW_REASON: later")
    packed = Any()
    packed.Pack(ErrorInfo(reason="NEW_REASON", domain="bizchain"))
    status.details.append(packed)
    refused = refused_by(
        ended(grpc.StatusCode.FAILED_PRECONDITION, "NEW_REASON: later", status.SerializeToString())
    )
    assert refused.metadata["reason_name"] == "NEW_REASON"
    assert refused.message == "later"


@pytest.mark.parametrize(
    "details",
    [
        b"\xff\xff",
        b"",
        Status(code=3).SerializeToString(),
        Status(code=3, details=[Any(), Any()]).SerializeToString(),
        Status(code=3, details=[Any(type_url="x/y", value=b"z")]).SerializeToString(),
    ],
)
def test_details_that_are_none_are_passed_over(details: bytes) -> None:
    refused = refused_by(ended(grpc.StatusCode.INVALID_ARGUMENT, "bad", details))
    assert refused.reason is CommonReason.INVALID_ARGUMENT
