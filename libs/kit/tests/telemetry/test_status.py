"""The status page says what the dashboards show, of the rows of the registry, and nothing that never was."""

import math

from didymos_contracts.metrics import (
    CONSENT_STALENESS_SECONDS,
    HTTP_REQUEST_SECONDS,
    HTTP_REQUESTS_TOTAL,
    LOG_LAG_RECORDS,
    METRICS,
)
from didymos_kit.telemetry.metrics import Metrics
from didymos_kit.telemetry.status import LINES, as_page, status_of


def test_every_line_is_of_a_row_of_the_registry() -> None:
    names = {row.name for row in METRICS} | {f"{row.name}_{part}" for row in METRICS for part in ("sum", "count")}
    for line in LINES:
        assert line.sample in names or line.sample.startswith("process_"), line
        assert not line.over or line.over in names, line


def test_labels_are_added_up_and_told_apart() -> None:
    metrics = Metrics()
    metrics.counter(HTTP_REQUESTS_TOTAL, service="identity", status="2xx").inc(3)
    metrics.counter(HTTP_REQUESTS_TOTAL, service="identity", status="5xx")
    for seconds in (0.1, 0.3):
        metrics.histogram(HTTP_REQUEST_SECONDS, service="identity").observe(seconds)
    metrics.gauge(LOG_LAG_RECORDS, group="ledger.collect").set(7)
    said = status_of(metrics)
    assert said["surfaces"] == {"REST requests": {"identity 2xx": 3}, "REST mean seconds": {"identity": 0.2}}
    assert said["event log"] == {"records behind": {"ledger.collect": 7}}


def test_what_is_not_known_yet_is_null() -> None:
    metrics = Metrics()
    metrics.watch(CONSENT_STALENESS_SECONDS, lambda: math.inf)
    said = status_of(metrics)
    assert said["identity and consent"] == {"age of consent, seconds": None}
    assert "not known yet" in as_page(said, {})


def test_a_process_says_only_what_it_counts() -> None:
    assert set(status_of(Metrics())) == {"process"}
    assert all(math.isfinite(value) for value in status_of(Metrics())["process"].values() if isinstance(value, float))


def test_the_page_says_why_a_process_is_not_ready() -> None:
    page = as_page(status_of(Metrics()), {"identity": "database: <schema behind>"})
    assert "not ready: identity: database: &lt;schema behind&gt;" in page
    assert "memory bytes" in page
