"""Trace context across processes and through records, and what a span may hold."""

import pytest
from didymos_kit.telemetry import tracing
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"  # the example of W3C Trace Context 3.2
UNSAMPLED = CALLER[:-1] + "0"


def test_a_span_continues_the_trace_it_is_given() -> None:
    with tracing.recorded() as spans, tracing.span("a.b", parent=CALLER):
        assert tracing.trace_id() == "4bf92f3577b34da6a3ce929d0e0e4736"
        ours = tracing.traceparent()
    assert ours is not None
    assert ours.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert ours != CALLER
    (made,) = spans.named("a.b")
    assert made.parent is not None
    assert f"{made.parent.span_id:016x}" == "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "header",
    ["", "x", "ff-" + CALLER[3:], "00-" + "0" * 32 + CALLER[35:], CALLER[:36] + "0" * 16 + "-01", CALLER.upper()],
)
def test_a_header_that_cannot_be_read_begins_a_new_trace(header: str) -> None:
    with tracing.recorded(), tracing.span("outer.x"), tracing.span("a.b", parent=header):
        assert tracing.trace_id() not in ("", "4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32)


def test_a_record_carries_the_trace_only_when_it_is_sampled() -> None:
    headers: dict[str, bytes] = {}
    tracing.inject(headers)
    assert headers == {}
    with tracing.recorded(), tracing.span("a.b"):
        tracing.inject(headers)
    assert tracing.extract(headers) == headers["traceparent"]
    assert tracing.extract({"traceparent": UNSAMPLED.encode()}) is None
    assert tracing.extract({}) is None
    assert not tracing.is_sampled(b"01")


def test_the_callers_flag_decides_for_its_trace() -> None:
    memory = InMemorySpanExporter()
    tracing.configure("identity", sample_ratio=0.0, exporter=memory)
    with tracing.span("forced.x", parent=CALLER), tracing.span("forced.inner"):
        pass
    with tracing.span("unforced.x", parent=UNSAMPLED), tracing.span("unforced.inner"):
        assert tracing.trace_id() == "4bf92f3577b34da6a3ce929d0e0e4736"
    tracing.shutdown()
    assert {span.name for span in memory.get_finished_spans()} == {"forced.x", "forced.inner"}
    assert memory.get_finished_spans()[0].resource.attributes["service.name"] == "identity"


def test_a_failure_marks_its_span_with_the_type_and_never_with_the_text() -> None:
    with tracing.recorded() as spans, pytest.raises(KeyError), tracing.span("a.b", ledger__entries=3):
        raise KeyError("reading 5.5 of somebody")
    (made,) = spans.named("a.b")
    assert (made.status.status_code, made.status.description) == (StatusCode.ERROR, "KeyError")
    assert made.events == ()
    assert dict(made.attributes or {}) == {"ledger.entries": 3}


def test_a_slice_names_at_most_32_producers() -> None:
    with tracing.recorded() as spans, tracing.span("a.b", links=[CALLER, "x", *[CALLER] * 60]):
        pass
    (made,) = spans.named("a.b")
    assert len(made.links) == 31


def test_outside_of_a_span_there_is_no_trace() -> None:
    assert (tracing.trace_id(), tracing.traceparent()) == ("", None)


def test_an_exporter_for_a_collector_can_be_made() -> None:
    tracing.otlp_exporter("http://127.0.0.1:4317").shutdown()
