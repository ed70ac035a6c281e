"""The outermost layer of every gRPC method: who calls, how long, what it counts, and errors from the catalogue."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, TypeAlias

import grpc
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_MALFORMED, PLATFORM_UNAUTHENTICATED, PLATFORM_UNAVAILABLE
from didymos_contracts.metrics import RPC_REQUEST_SECONDS, RPC_REQUESTS_TOTAL
from google.protobuf.message import DecodeError

from didymos_kit import log
from didymos_kit.access import Credentials, Guard, Principal
from didymos_kit.errors import problem_of
from didymos_kit.rpc.status import abort
from didymos_kit.telemetry import tracing
from didymos_kit.telemetry.metrics import Metrics, service_label

NONCE: Final = "dpop-nonce"
ADMITTED: Final = "didymos-admitted"
UNARY_SECONDS: Final = 30.0  # for a caller that sets no deadline
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_caller: ContextVar[Principal | None] = ContextVar("caller", default=None)


def caller() -> Principal:
    """Who calls the method that runs. Raises PLATFORM_UNAUTHENTICATED in a public one."""
    found = _caller.get()
    if found is None:
        raise PLATFORM_UNAUTHENTICATED.problem(detail="this method is open: nobody was asked for")
    return found


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a service of this process. `guard` is None for a public one."""

    path: str
    service: str
    guard: Guard | None


class Edge(grpc.aio.ServerInterceptor):  # type: ignore[type-arg] # generic in its stubs only
    """Wraps each method once. Methods that are not ours (health, reflection) pass untouched."""

    def __init__(self, methods: Mapping[str, Method], nonces: Mapping[str, Guard], metrics: Metrics) -> None:
        self._methods, self._nonces = methods, nonces
        self._streams: set[asyncio.Timeout] = set()
        self._drains = False
        self._wrapped: dict[str, Handler] = {}
        labels = {method.service: service_label(method.service) for method in methods.values()}
        self._seconds = {name: metrics.histogram(RPC_REQUEST_SECONDS, service=label) for name, label in labels.items()}
        self._calls = {
            (name, outcome): metrics.counter(RPC_REQUESTS_TOTAL, service=label, outcome=outcome)
            for name, label in labels.items()
            for outcome in ("ok", "refused", "failed", "cancelled")
        }

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        path = handler_call_details.method
        if path not in self._wrapped:
            handler = await continuation(handler_call_details)
            method = self._methods.get(path)
            if method is None:
                return handler
            self._wrapped[path] = self._wrap(handler, method)
        return self._wrapped[path]

    def _wrap(self, handler: Handler, method: Method) -> Handler:
        """The same method taking raw bytes, so that bytes which do not parse are the caller's problem, not ours."""
        decode, encode = handler.request_deserializer, handler.response_serializer
        if decode is None:
            raise TypeError(f"{method.path} takes raw bytes")
        taken = _decoded_stream if handler.request_streaming else _decoded
        inner: Any = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

        async def unary(request: Any, context: Context) -> Any:  # noqa: ANN401 - bytes in, a message out
            async with self._edge(method, context), asyncio.timeout(_unary_limit(context)):
                return await inner(taken(request, decode), context)

        async def stream(request: Any, context: Context) -> None:  # noqa: ANN401 - bytes in
            async with self._edge(method, context), self._until_end(method):
                answers = inner(taken(request, decode), context)
                async with aclosing(answers):
                    async for answer in answers:
                        await context.write(answer)

        make: Any = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]
        wrapped: Handler = make(stream if handler.response_streaming else unary, None, encode)
        return wrapped

    @asynccontextmanager
    async def _edge(self, method: Method, context: Context) -> AsyncIterator[None]:
        begun, outcome = perf_counter(), "failed"
        given = _Given(context)
        with (
            log.fields(service=method.service),
            tracing.span(method.path[1:], kind=tracing.SERVER, parent=given.first("traceparent")),
        ):
            try:
                await self._admit(method, given, context)
                yield
                outcome = "ok"
            except grpc.aio.AbortError:
                outcome = "refused"
                raise
            except asyncio.CancelledError:
                outcome = "cancelled"
                raise
            except Exception as error:
                problem = problem_of(error)
                outcome = "refused" if problem.row.http < 500 else "failed"
                await abort(context, problem, tracing.trace_id())
            finally:
                self._seconds[method.service].observe(perf_counter() - begun)
                self._calls[method.service, outcome].inc()

    def drain(self, seconds: float) -> None:
        """End every open stream in `seconds`, so that its caller dials another process."""
        self._drains = True
        at = asyncio.get_running_loop().time() + seconds
        for limit in self._streams:
            when = limit.when()
            limit.reschedule(at if when is None else min(at, when))

    @asynccontextmanager
    async def _until_end(self, method: Method) -> AsyncIterator[None]:
        """A stream lives as long as the token that opened it; the caller opens the next one with a fresh token."""
        known = _caller.get()
        seconds = None if known is None or method.guard is None else method.guard.seconds_left(known)
        try:
            async with asyncio.timeout(seconds) as limit:
                self._streams.add(limit)
                try:
                    yield
                finally:
                    self._streams.discard(limit)
        except TimeoutError:
            if not limit.expired():
                raise
            if self._drains:
                raise PLATFORM_UNAVAILABLE.problem(detail="this process drains; dial again") from None
            raise PLATFORM_UNAUTHENTICATED.problem(detail="the token of this stream expired") from None

    async def _admit(self, method: Method, given: "_Given", context: Context) -> None:
        """Find out who calls. Then let the headers go: a client that streams waits for them before it sends."""
        offering = self._nonces.get(method.service)
        if offering is not None:
            context.set_trailing_metadata(((NONCE, offering.nonce()),))
        _caller.set(None)
        if method.guard is not None:
            url = method.guard.origin + method.path
            credentials = Credentials(given.all("authorization"), given.all("dpop"))
            _caller.set(await method.guard.admit(credentials, "POST", url))
        await context.send_initial_metadata(((ADMITTED, "1"),))


class _Given:
    """The metadata that came with a call."""

    def __init__(self, context: Context) -> None:
        self._pairs: list[tuple[str, str | bytes]] = [
            (name, said) for name, said in context.invocation_metadata() or ()
        ]

    def all(self, name: str) -> list[str]:
        return [said for key, said in self._pairs if key == name and isinstance(said, str)]

    def first(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


def _unary_limit(context: Context) -> float:
    left: float | None = context.time_remaining()
    return UNARY_SECONDS if left is None else left


def _decoded(raw: bytes, decode: Callable[[bytes], Any]) -> Any:  # noqa: ANN401 - the message of the method
    try:
        return decode(raw)
    except DecodeError as error:
        raise _undecodable() from error


async def _decoded_stream(raws: AsyncIterator[bytes], decode: Callable[[bytes], Any]) -> AsyncIterator[Any]:
    async for raw in raws:
        yield _decoded(raw, decode)


def _undecodable() -> Problem:
    return PLATFORM_MALFORMED.problem(detail="these bytes are no such message")
