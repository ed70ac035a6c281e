"""What the dashboards show, of one process and in words: for somebody without Grafana.

Totals since the process began, and what is so now. A line is here only if this process counts it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Final, TypeAlias

from didymos_kit.telemetry.metrics import Metrics, Sample

Number: TypeAlias = float | None  # None: not known yet
Found: TypeAlias = dict[str, Number | dict[str, Number]]


@dataclass(frozen=True, slots=True)
class Line:
    """`sample` under `name`: added up, or apart by the labels `by`; of `over` the mean is `sample` / `over`."""

    area: str
    name: str
    sample: str
    by: tuple[str, ...] = ()
    over: str = ""


def _mean(area: str, name: str, histogram: str, *by: str) -> Line:
    return Line(area, name, f"{histogram}_sum", by, f"{histogram}_count")


LINES: Final = (
    Line("process", "ready", "didymos_process_ready"),
    Line("process", "processor seconds", "process_cpu_seconds_total"),
    Line("process", "memory bytes", "process_resident_memory_bytes"),
    Line("process", "open files", "process_open_fds"),
    Line("process", "free share of the disk", "didymos_process_disk_free_ratio"),
    _mean("process", "event loop late, mean seconds", "didymos_process_loop_late_seconds"),
    Line("surfaces", "REST requests", "didymos_http_requests_total", ("service", "status")),
    _mean("surfaces", "REST mean seconds", "didymos_http_request_seconds", "service"),
    Line("surfaces", "gRPC calls", "didymos_rpc_requests_total", ("service", "outcome")),
    _mean("surfaces", "gRPC mean seconds", "didymos_rpc_request_seconds", "service"),
    Line("surfaces", "live streams", "didymos_http_streams", ("service",)),
    Line("data path", "readings taken in", "didymos_ingestion_readings_total", ("outcome",)),
    Line("data path", "batches", "didymos_ingestion_batches_total", ("outcome",)),
    _mean("data path", "acknowledgement, mean seconds", "didymos_ingestion_accept_seconds"),
    Line("data path", "readings applied", "didymos_twin_readings_applied_total", ("outcome",)),
    Line("data path", "quality", "didymos_twin_quality_readings_total", ("band",)),
    _mean("data path", "from reading to state, mean seconds", "didymos_twin_reading_to_state_seconds"),
    Line("data path", "live changes", "didymos_twin_pushes_total", ("outcome",)),
    Line("data path", "acts of stewards", "didymos_steward_acts_total", ("outcome",)),
    Line("event log", "records behind", "didymos_log_lag_records", ("group",)),
    Line("event log", "partitions held", "didymos_log_held_partitions", ("group",)),
    Line("event log", "dead letters", "didymos_log_dead_letters_total"),
    Line("event log", "records appended", "didymos_log_appended_total", ("topic",)),
    _mean("event log", "append, mean seconds", "didymos_log_append_seconds"),
    Line("event log", "age of outboxes, seconds", "didymos_outbox_age_seconds", ("service",)),
    Line("event log", "age of tails, seconds", "didymos_tail_staleness_seconds", ("topic",)),
    Line("identity and consent", "age of consent, seconds", "didymos_consent_staleness_seconds"),
    Line("identity and consent", "decisions", "didymos_access_decisions_total", ("service", "outcome")),
    Line("identity and consent", "grants", "didymos_identity_grants_total", ("change",)),
    Line("identity and consent", "tokens", "didymos_identity_tokens_total", ("outcome",)),
    Line("learning", "rounds open", "didymos_training_running_rounds"),
    Line("learning", "rounds", "didymos_training_rounds_total", ("outcome",)),
    Line("learning", "sites", "didymos_training_sites"),
    Line("learning", "clients", "didymos_training_clients_total", ("outcome",)),
    Line("learning", "models", "didymos_training_models_total", ("kind", "outcome")),
    Line("learning", "rounds drawn from budgets", "didymos_training_budget_rounds", ("booking",)),
    Line("learning", "most used budget, share", "didymos_training_budget_used_ratio"),
    Line("market and ledger", "in escrow, minor units", "didymos_market_escrow_minor"),
    Line("market and ledger", "gap in the book, minor units", "didymos_market_book_gap_minor"),
    Line("market and ledger", "paid out, minor units", "didymos_market_payouts_minor_total"),
    Line("market and ledger", "settlements", "didymos_market_settlements_total", ("outcome",)),
    Line("market and ledger", "entries", "didymos_ledger_entries_total"),
    Line("market and ledger", "entries without witness", "didymos_ledger_unwitnessed_entries"),
    Line("market and ledger", "age of the checkpoint, seconds", "didymos_ledger_checkpoint_age_seconds"),
    Line("market and ledger", "proofs", "didymos_ledger_proofs_total", ("outcome",)),
)


def status_of(metrics: Metrics) -> dict[str, Found]:
    """By area and line: a number, or numbers by label values. What never happened is left out of the latter."""
    by_name: dict[str, list[Sample]] = defaultdict(list)
    for sample in metrics.samples():
        by_name[sample.name].append(sample)
    found: dict[str, Found] = defaultdict(dict)
    for line in LINES:
        if line.sample in by_name:
            found[line.area][line.name] = _told(line, by_name)
    return dict(found)


def _told(line: Line, by_name: Mapping[str, Iterable[Sample]]) -> Number | dict[str, Number]:
    values = _added(by_name[line.sample], line.by)
    if line.over:
        counts = _added(by_name[line.over], line.by)
        values = {name: value / counts[name] if counts[name] else 0.0 for name, value in values.items()}
    if not line.by:
        return _number(values[""])
    return {name: _number(value) for name, value in values.items() if value}


def _number(value: float) -> Number:
    return round(value, 6) if isfinite(value) else None


def _added(samples: Iterable[Sample], by: tuple[str, ...]) -> dict[str, float]:
    added: dict[str, float] = defaultdict(float)
    for sample in samples:
        added[" ".join(sample.labels[label] for label in by)] += sample.value
    return added


def as_page(said: Mapping[str, Found], not_ready: Mapping[str, str]) -> str:
    """The same for a browser: plain tables, no script."""
    ready = "ready" if not not_ready else "not ready: " + "; ".join(f"{at}: {why}" for at, why in not_ready.items())
    parts = [f"<!doctype html><meta charset=utf-8><title>Didymos: status</title><h1>{escape(ready)}</h1>"]
    for area, lines in said.items():
        rows = "".join(f"<tr><td>{escape(name)}<td>{escape(_shown(value))}" for name, value in lines.items())
        parts.append(f"<h2>{escape(area)}</h2><table>{rows}</table>")
    return "".join(parts)


def _shown(value: Number | dict[str, Number]) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(one)}" for name, one in value.items()) or "none"
    return "not known yet" if value is None else f"{value:,.10g}"
