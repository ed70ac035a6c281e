"""A problem as `google.rpc.Status` and back. The details travel in the trailer `grpc-status-details-bin`."""

from collections.abc import Iterable
from typing import Any, Final, NoReturn

import grpc
from didymos_contracts.errors import Problem, Row, catalogue_row
from didymos_contracts.errors.platform import (
    PLATFORM_DEADLINE,
    PLATFORM_FORBIDDEN,
    PLATFORM_INTERNAL,
    PLATFORM_MALFORMED,
    PLATFORM_METHOD_NOT_ALLOWED,
    PLATFORM_NOT_FOUND,
    PLATFORM_OVERLOADED,
    PLATFORM_UNAUTHENTICATED,
    PLATFORM_UNAVAILABLE,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status

from didymos_kit.errors import DOMAIN, field_errors, retry_after, spell, unspell, values_of

DETAILS: Final = "grpc-status-details-bin"
MESSAGE_BYTES: Final = 4 * 1024 * 1024  # of one message, for servers and for who calls them
MAX_BYTES: Final = 5 * 1024  # base64 makes 6.7 KiB of it, of trailers that hold 8 KiB in all
_FOREIGN: Final[dict[int, Row]] = {
    grpc.StatusCode[name].value[0]: row
    for name, row in {
        "INVALID_ARGUMENT": PLATFORM_MALFORMED,
        "UNAUTHENTICATED": PLATFORM_UNAUTHENTICATED,
        "PERMISSION_DENIED": PLATFORM_FORBIDDEN,
        "NOT_FOUND": PLATFORM_NOT_FOUND,
        "UNIMPLEMENTED": PLATFORM_METHOD_NOT_ALLOWED,
        "RESOURCE_EXHAUSTED": PLATFORM_OVERLOADED,
        "UNAVAILABLE": PLATFORM_UNAVAILABLE,
        "CANCELLED": PLATFORM_UNAVAILABLE,
        "DEADLINE_EXCEEDED": PLATFORM_DEADLINE,
    }.items()
}


def to_status(problem: Problem, trace_id: str) -> Status:
    """`ErrorInfo` with the code and values, `BadRequest` where fields are named, `RetryInfo` where waiting helps."""
    row = problem.row
    info = ErrorInfo(reason=row.code, domain=DOMAIN)
    for name, value in values_of(problem).items():
        if name != "errors":
            info.metadata[name] = spell(value)
    details: list[Message] = [info]
    fields = field_errors(problem)
    if fields:
        details.append(BadRequest(field_violations=[_violation(entry) for entry in fields]))
    seconds = retry_after(problem)
    if seconds is not None:
        retry = RetryInfo()
        retry.retry_delay.seconds = seconds
        details.append(retry)
    if trace_id:
        details.append(RequestInfo(request_id=trace_id))
    return _fitting(getattr(grpc.StatusCode, row.grpc).value[0], row.title, details)


def _violation(entry: dict[str, str]) -> BadRequest.FieldViolation:
    return BadRequest.FieldViolation(field=entry["pointer"], reason=entry["code"], description=entry["detail"])


def _fitting(code: int, title: str, details: list[Message]) -> Status:
    """The status, without the values of the case when all of it would not fit into the trailers."""
    status = Status(code=code, message=title)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    if status.ByteSize() > MAX_BYTES:
        first = details[0]
        short = ErrorInfo(reason=first.reason, domain=DOMAIN) if isinstance(first, ErrorInfo) else first
        rest = [detail for detail in details[1:] if isinstance(detail, RetryInfo | RequestInfo)]
        return _fitting(code, title, [short, *rest])
    return status


def from_status(status: Status) -> Problem:
    """The problem that `to_status` printed; a status of another making maps by its gRPC code."""
    info, values, errors = ErrorInfo(), dict[str, Any](), list[dict[str, str]]()
    for packed in status.details:
        bad = BadRequest()
        if packed.Unpack(info):
            values.update({name: unspell(text) for name, text in info.metadata.items()})
        elif packed.Unpack(bad):
            errors = [
                {"pointer": found.field, "code": found.reason, "detail": found.description}
                for found in bad.field_violations
            ]
    if info.domain != DOMAIN:
        return _foreign(status.code, status.message)
    if errors and "pointer" not in values:
        values["errors"] = errors
    return Problem(catalogue_row(info.reason), values)


def trace_of(status: Status) -> str:
    """The trace id that the answer names, or ""."""
    found = RequestInfo()
    return next((found.request_id for packed in status.details if packed.Unpack(found)), "")


def _foreign(code: int, message: str) -> Problem:
    """What the library itself answers: no connection, no time, no such method."""
    return Problem(_FOREIGN.get(code, PLATFORM_INTERNAL), {"detail": message})


def problem_of_call(error: grpc.aio.AioRpcError) -> Problem:
    """The problem behind a failed call."""
    found = status_in(error.trailing_metadata() or ())
    return _foreign(error.code().value[0], error.details() or "") if found is None else from_status(found)


def status_in(trailers: Iterable[Any]) -> Status | None:
    """The rich status of these trailers, if they carry one that can be read."""
    for name, value in trailers:
        if name == DETAILS and isinstance(value, bytes):
            try:
                return Status.FromString(value)
            except DecodeError:
                return None
    return None


async def abort(context: grpc.aio.ServicerContext[Any, Any], problem: Problem, trace_id: str) -> NoReturn:
    """End the call with `problem`. Raises what grpc raises to end it."""
    status = to_status(problem, trace_id)
    trailers = (*(context.trailing_metadata() or ()), (DETAILS, status.SerializeToString()))
    await context.abort(getattr(grpc.StatusCode, problem.row.grpc), problem.row.title, trailers)
    raise AssertionError("abort returned")  # pragma: no cover - it raises
