"""Spans and W3C trace context. platform.md 8; every OpenTelemetry name of the house is spelled here."""

import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags

SERVER: Final = SpanKind.SERVER
CLIENT: Final = SpanKind.CLIENT
PRODUCER: Final = SpanKind.PRODUCER
CONSUMER: Final = SpanKind.CONSUMER
LINKS: Final = 32  # a slice names at most this many of its producers
_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


class _Tracing:
    """The provider in use. Without `configure` nothing is sampled, and every request still has a trace id."""

    def __init__(self) -> None:
        self.use(_provider("didymos", 0.0))

    def use(self, provider: TracerProvider) -> None:
        self.provider = provider
        self.tracer = provider.get_tracer("didymos")


def _provider(service: str, ratio: float) -> TracerProvider:
    sampler = ParentBased(TraceIdRatioBased(ratio))
    return TracerProvider(sampler=sampler, resource=Resource({"service.name": service}), shutdown_on_exit=False)


_tracing = _Tracing()


def configure(service: str, *, sample_ratio: float, exporter: SpanExporter | None = None) -> None:
    """Sample `sample_ratio` of the traces that begin here (a caller's flag decides its own) and export them."""
    provider = _provider(service, sample_ratio)
    if exporter is not None:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    _tracing.use(provider)


def otlp_exporter(endpoint: str) -> SpanExporter:
    """Spans to a collector over gRPC. An `http://` endpoint is spoken to in clear."""
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"), timeout=5)


def shutdown() -> None:
    """Flush what is finished, within the exporter's own timeout."""
    _tracing.provider.shutdown()


@contextmanager
def recorded() -> Iterator["Spans"]:
    """Every span of the block, sampled or not: for tests. The provider before comes back afterwards."""
    before, memory = _tracing.provider, InMemorySpanExporter()
    provider = _provider("didymos", 1.0)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    _tracing.use(provider)
    try:
        yield Spans(memory)
    finally:
        provider.shutdown()
        _tracing.use(before)


class Spans:
    """Finished spans, in the order in which they ended."""

    def __init__(self, memory: InMemorySpanExporter) -> None:
        self._memory = memory

    def all(self) -> Sequence[ReadableSpan]:
        return self._memory.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]

    def trace_ids(self) -> set[str]:
        return {f"{span.context.trace_id:032x}" for span in self.all()}


@contextmanager
def span(  # one way to make a span: name, kind, where it comes from, what it is linked to
    name: str,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    parent: str | bytes | None = None,
    links: Sequence[str | bytes] = (),
    **attributes: str | bool | int | float | None,
) -> Iterator[Span]:
    """A span around the block: child of `parent` (a traceparent) or else of the current span.

    An exception marks it with its type only: messages may hold personal data.
    """
    origin = None if parent is None else _context(parent)
    named = {name.replace("__", "."): value for name, value in attributes.items() if value is not None}
    linked = [Link(found) for found in map(_span_context, links[:LINKS]) if found is not None]
    with _tracing.tracer.start_as_current_span(
        name, context=origin, kind=kind, attributes=named, links=linked, record_exception=False,
        set_status_on_exception=False,
    ) as current:  # fmt: skip
        try:
            yield current
        except Exception as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def describe_http(span: Span, method: str, route: str, status: int) -> None:
    """Name a server span by its route template and say how it was answered (OTel HTTP conventions)."""
    if span.is_recording():
        span.update_name(f"{method} {route}")
        span.set_attributes({"http.request.method": method, "http.route": route, "http.response.status_code": status})
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))


def trace_id() -> str:
    """32 hex digits of the current trace; "" outside of any."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def traceparent() -> str | None:
    """The `traceparent` header of the current span (W3C Trace Context 3.2)."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def current_is_sampled() -> bool:
    """Whether there is a span now whose trace is kept."""
    return trace.get_current_span().get_span_context().trace_flags.sampled


def inject(headers: MutableMapping[str, bytes]) -> None:
    """Add `traceparent` to the headers of a record, if there is a span."""
    current = traceparent()
    if current is not None:
        headers["traceparent"] = current.encode()


def extract(headers: Mapping[str, bytes]) -> bytes | None:
    """The `traceparent` of a record if its trace is sampled, else None: an unsampled record costs one comparison."""
    found = headers.get("traceparent")
    return found if found is not None and is_sampled(found) else None


def is_sampled(found: bytes) -> bool:
    """The sampled bit, without parsing the rest."""
    return found[53:55] in (b"01", b"03") and len(found) >= 55


def _span_context(found: str | bytes) -> SpanContext | None:
    text = found.decode("ascii", "replace") if isinstance(found, bytes) else found
    match = _TRACEPARENT.fullmatch(text)
    if match is None:
        return None
    context = SpanContext(
        int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=TraceFlags(int(match[3], 16))
    )
    return context if context.is_valid else None


def _context(found: str | bytes) -> Context:
    """A context whose current span is the remote one; an unreadable header begins a new trace, as W3C asks."""
    context = _span_context(found)
    return Context() if context is None else trace.set_span_in_context(NonRecordingSpan(context), Context())
