"""Metrics of one process, made from rows of the registry: no row, no metric. The only import of the client library."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Protocol, TypeVar

import prometheus_client
from didymos_contracts.metric_row import MetricKind, MetricRow
from didymos_contracts.metrics import SERVICES
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # one more series a counter, of no use
CONTENT_TYPE = CONTENT_TYPE_LATEST
Metric = TypeVar("Metric", prometheus_client.Counter, prometheus_client.Gauge, prometheus_client.Histogram)


class Counter(Protocol):
    """Only grows."""

    def inc(self, amount: float = 1) -> None: ...


class Gauge(Protocol):
    """What is so now."""

    def set(self, value: float) -> None: ...
    def inc(self, amount: float = 1) -> None: ...
    def dec(self, amount: float = 1) -> None: ...


class Histogram(Protocol):
    """How often values fell into which bucket."""

    def observe(self, amount: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Sample:
    """One number that is exported."""

    name: str
    labels: Mapping[str, str]
    value: float


class MetricError(ValueError):
    """A use that the registry does not know: another kind, label or label value."""


def service_label(name: str) -> str:
    """The label of a service: its name, or `other` for one that the registry does not list yet."""
    return name if name in SERVICES else "other"


class Metrics:
    """The metrics of a process. Bind children at bootstrap, not in a handler: binding costs more than observing.

    `metrics.counter(IDENTITY_TWINS_TOTAL)`, `metrics.counter(ROW, outcome="applied")`.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)  # processor, memory, open files
        self._made: dict[str, prometheus_client.Counter | prometheus_client.Gauge | prometheus_client.Histogram] = {}
        self._lock = Lock()

    def counter(self, row: MetricRow, **labels: str) -> Counter:
        """The counter of `row` for these label values. Raises MetricError."""
        return self._bound(row, "counter", labels, prometheus_client.Counter)

    def gauge(self, row: MetricRow, **labels: str) -> Gauge:
        """The gauge of `row` for these label values. Raises MetricError."""
        return self._bound(row, "gauge", labels, prometheus_client.Gauge)

    def histogram(self, row: MetricRow, **labels: str) -> Histogram:
        """The histogram of `row` for these label values. Raises MetricError."""
        return self._bound(row, "histogram", labels, prometheus_client.Histogram)

    def watch(self, row: MetricRow, read: Callable[[], float], **labels: str) -> None:
        """Ask `read` whenever the gauge of `row` is scraped; the last one that watches counts. Raises MetricError."""
        self._bound(row, "gauge", labels, prometheus_client.Gauge).set_function(read)

    def exposition(self) -> bytes:
        """All of it as a scraper reads it."""
        return generate_latest(self._registry)

    def samples(self) -> Iterator[Sample]:
        """Every exported sample, gauges that are watched asked now."""
        for family in self._registry.collect():
            for one in family.samples:
                yield Sample(one.name, one.labels, one.value)

    def sample(self, name: str, **labels: str) -> float | None:
        """One exported sample, as `didymos_x_seconds_count`; None while nothing bound it."""
        return self._registry.get_sample_value(name, labels)

    def _bound(self, row: MetricRow, kind: MetricKind, labels: dict[str, str], cls: type[Metric]) -> Metric:
        _check(row, kind, labels)
        with self._lock:
            made = self._made.get(row.name)
            if made is None:
                made = self._made[row.name] = self._make(row)
        if not isinstance(made, cls):
            raise MetricError(f"{row.name} was made as another kind")
        return made.labels(**labels) if labels else made

    def _make(
        self, row: MetricRow
    ) -> prometheus_client.Counter | prometheus_client.Gauge | prometheus_client.Histogram:
        names = [name for name, _ in row.labels]
        if row.kind == "counter":
            return prometheus_client.Counter(row.name, row.help, names, registry=self._registry)
        if row.kind == "gauge":
            return prometheus_client.Gauge(row.name, row.help, names, registry=self._registry)
        return prometheus_client.Histogram(row.name, row.help, names, registry=self._registry, buckets=row.buckets)


def _check(row: MetricRow, kind: MetricKind, labels: dict[str, str]) -> None:
    if row.kind != kind:
        raise MetricError(f"{row.name} is a {row.kind}, not a {kind}")
    allowed = dict(row.labels)
    if labels.keys() != allowed.keys():
        raise MetricError(f"{row.name} has the labels {sorted(allowed)}, not {sorted(labels)}")
    for name, value in labels.items():
        if value not in allowed[name]:
            raise MetricError(f"{row.name}: label {name} takes one of {allowed[name]}, not {value!r}")
