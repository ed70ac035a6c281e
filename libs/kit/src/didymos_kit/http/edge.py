"""The outermost layer of a service's REST app: one place where a request is counted, traced, bounded and answered."""

from time import perf_counter
from typing import Final

from didymos_contracts.errors.platform import PLATFORM_INTERNAL
from didymos_contracts.metrics import HTTP_REQUEST_SECONDS, HTTP_REQUESTS_TOTAL
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from didymos_kit import log
from didymos_kit.access import Guard
from didymos_kit.errors import log_mistake, problem_of
from didymos_kit.http.body import limited
from didymos_kit.http.problems import problem_response
from didymos_kit.telemetry import tracing
from didymos_kit.telemetry.metrics import Metrics, service_label

_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")


class Edge:
    """ASGI middleware. What a handler raises leaves as a problem; what fails after the answer began breaks it off."""

    def __init__(self, app: ASGIApp, service: str, guard: Guard | None, metrics: Metrics) -> None:
        self._app, self._service, self._guard = app, service, guard
        label = service_label(service)
        self._seconds = metrics.histogram(HTTP_REQUEST_SECONDS, service=label)
        self._answers = {kind: metrics.counter(HTTP_REQUESTS_TOTAL, service=label, status=kind) for kind in _CLASSES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, answer = perf_counter(), _Answer(send, self._guard)
        parent = next((value for name, value in scope["headers"] if name == b"traceparent"), None)
        with (
            log.fields(service=self._service),
            tracing.span(f"{self._service}.http", kind=tracing.SERVER, parent=parent) as span,
        ):
            try:
                await self._app(scope, limited(scope, receive), answer.send)
            except Exception as error:
                await self._failed(error, scope, receive, answer)
            finally:
                tracing.describe_http(span, scope["method"], _route(scope), answer.status)
                self._seconds.observe(perf_counter() - begun)
                self._answers[f"{answer.status // 100}xx"].inc()

    async def _failed(self, error: Exception, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if answer.begun:
            log_mistake(error)
            raise error
        await problem_response(problem_of(error))(scope, receive, answer.send)


class _Answer:
    """The way out of one request: remembers its status, adds the headers that every answer has."""

    def __init__(self, send: Send, guard: Guard | None) -> None:
        self._send, self._guard = send, guard
        self.begun, self.status = False, PLATFORM_INTERNAL.http

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            headers = MutableHeaders(scope=message)
            headers.setdefault("cache-control", "no-store")
            headers.setdefault("x-content-type-options", "nosniff")
            if self._guard is not None:
                headers["dpop-nonce"] = self._guard.nonce()
        await self._send(message)


def _route(scope: Scope) -> str:
    """The template of the route, never the path: that holds identifiers."""
    return getattr(scope.get("route"), "path", "") or "unknown"
