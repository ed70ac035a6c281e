"""No row, no metric: the registry, what is made of it, and what the generator refuses."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from didymos_contracts.metric_row import MetricRow
from didymos_contracts.metrics import (
    HTTP_REQUEST_SECONDS,
    IDENTITY_TWINS_TOTAL,
    METRICS,
    PROCESS_READY,
    SERVICES,
    TWIN_READINGS_APPLIED_TOTAL,
)
from didymos_kit.telemetry.metrics import MetricError, Metrics, service_label

ROOT = Path(__file__).parents[4]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("metrics_generator", ROOT / "tools/metrics.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_generated_is_what_the_registry_says() -> None:
    command = [sys.executable, "tools/metrics.py", "--check"]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def row(**changes: Any) -> dict[str, Any]:
    return {"name": "didymos_twin_x_total", "kind": "counter", "owner": "kit", "help": "What", **changes}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"name": "twin_x_total"}, "names are"),
        ({"name": "didymos_twin_x"}, "end in _total"),
        ({"name": "didymos_twin_x_total", "kind": "gauge"}, "end in _total"),
        ({"name": "didymos_x_seconds", "kind": "histogram"}, "set of buckets"),
        ({"labels": {"twin": ["a"]}}, "would grow"),
        ({"labels": {"outcome": []}}, "empty"),
        ({"labels": {"outcome": "@nobody"}}, "unknown"),
        ({"owner": "somebody"}, "neither kit nor a service"),
        ({"unit": "s"}, "a row has"),
    ],
)
def test_the_generator_refuses_a_row_that_breaks_a_rule(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(SystemExit, match=match):
        generator().checked(row(**changes), {"buckets": {}}, {"services": ["identity"]})


@pytest.mark.parametrize("found", METRICS, ids=lambda found: found.name)
def test_every_row_can_be_made_and_is_exposed(found: MetricRow) -> None:
    metrics = Metrics()
    labels = {name: values[0] for name, values in found.labels}
    make = {"counter": metrics.counter, "gauge": metrics.gauge, "histogram": metrics.histogram}[found.kind]
    assert make(found, **labels) is make(found, **labels)
    assert f"# TYPE {found.name} {found.kind}".encode() in metrics.exposition()


def test_the_series_of_a_process_stay_few() -> None:
    """At most 3,000 in one process that runs everything: the closed lists bound them."""
    total = 0
    for found in METRICS:
        combinations = 1
        for _, values in found.labels:
            combinations *= len(values)
        total += combinations * (len(found.buckets) + 3 if found.kind == "histogram" else 1)
    assert total <= 3000


def test_a_label_outside_its_list_another_label_and_another_kind_are_refused() -> None:
    metrics = Metrics()
    with pytest.raises(MetricError, match="takes one of"):
        metrics.counter(TWIN_READINGS_APPLIED_TOTAL, outcome="did:key:zAlice")
    with pytest.raises(MetricError, match="has the labels"):
        metrics.counter(TWIN_READINGS_APPLIED_TOTAL)
    with pytest.raises(MetricError, match="is a counter"):
        metrics.gauge(IDENTITY_TWINS_TOTAL)


def test_values_are_counted_set_and_observed() -> None:
    metrics = Metrics()
    metrics.counter(IDENTITY_TWINS_TOTAL).inc(2)
    metrics.gauge(PROCESS_READY).set(1)
    metrics.histogram(HTTP_REQUEST_SECONDS, service="identity").observe(0.03)
    assert metrics.sample("didymos_identity_twins_total") == 2
    assert metrics.sample("didymos_process_ready") == 1
    assert metrics.sample("didymos_http_request_seconds_bucket", service="identity", le="0.05") == 1
    assert metrics.sample("didymos_http_request_seconds_bucket", service="identity", le="0.025") == 0


def test_two_processes_in_one_test_do_not_share_figures() -> None:
    one, other = Metrics(), Metrics()
    one.counter(IDENTITY_TWINS_TOTAL).inc()
    other.counter(IDENTITY_TWINS_TOTAL)
    assert other.sample("didymos_identity_twins_total") == 0


def test_a_service_that_is_not_listed_counts_as_other() -> None:
    assert [service_label(name) for name in ("identity", "made-yesterday")] == ["identity", "other"]
    assert "other" in SERVICES
