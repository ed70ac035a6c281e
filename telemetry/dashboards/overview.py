"""Is the house well? Every service by rate, errors and duration, and what it has left."""

from typing import Final

from telemetry.dashboards.panels import (
    HERE,
    WINDOW,
    Dashboard,
    Row,
    highest,
    lines,
    number,
    per_second,
    quantile,
    ratio,
    select,
    total,
)

_NOW: Final = Row(
    "Now",
    (
        number("Processes ready", "Processes that take calls now.", "short", total("didymos_process_ready")),
        number(
            "Readings accepted", "Readings that were acknowledged, a second.", "rps",
            per_second("didymos_ingestion_readings_total", labels='outcome="accepted"'),
        ),
        number(
            "Readings behind", "Records that wait to be applied to twins.", "short",
            total("didymos_log_lag_records", labels='group="twin-state.apply"'),
        ),
        number(
            "Age of consent", "Age of what the slowest process knows of consent; from 5 s on it denies.", "s",
            highest("didymos_consent_staleness_seconds"),
        ),
        number("Rounds open", "Training rounds that are open now.", "short", total("didymos_training_running_rounds")),
        number(
            "Entries without witness", "Entries of the log that no agreed checkpoint covers.", "short",
            highest("didymos_ledger_unwitnessed_entries"),
        ),
    ),
)  # fmt: skip
_REST: Final = Row(
    "REST: rate, errors, duration",
    (
        lines(
            "REST requests", "Requests answered, by service.", "reqps",
            (per_second("didymos_http_requests_total", "service"), "{{service}}"),
        ),
        lines(
            "REST failures", "Share of answers that are our fault (5xx), by service.", "percentunit",
            (
                ratio(
                    per_second("didymos_http_requests_total", "service", 'status="5xx"'),
                    per_second("didymos_http_requests_total", "service"),
                ),
                "{{service}}",
            ),
        ),
        lines(
            "REST duration", "From the head of a request to the end of its answer, 99th percentile.", "s",
            (quantile(0.99, "didymos_http_request_seconds", "service"), "{{service}}"),
        ),
    ),
)  # fmt: skip
_RPC: Final = Row(
    "gRPC: rate, errors, duration",
    (
        lines(
            "gRPC calls", "Calls answered, by service.", "reqps",
            (per_second("didymos_rpc_requests_total", "service"), "{{service}}"),
        ),
        lines(
            "gRPC failures", "Share of calls that failed by our fault, by service.", "percentunit",
            (
                ratio(
                    per_second("didymos_rpc_requests_total", "service", 'outcome="failed"'),
                    per_second("didymos_rpc_requests_total", "service"),
                ),
                "{{service}}",
            ),
        ),
        lines(
            "gRPC duration", "From the first byte of a call to its status, 99th percentile.", "s",
            (quantile(0.99, "didymos_rpc_request_seconds", "service"), "{{service}}"),
        ),
    ),
)  # fmt: skip
_LEFT: Final = Row(
    "Saturation",
    (
        lines(
            "Processor", "Cores that a process uses; one process has one event loop, so 1 is all of it.", "short",
            (f"sum by (instance) (rate({select('process_cpu_seconds_total')}[{WINDOW}]))", "{{instance}}"), span=6,
        ),
        lines(
            "Memory", "Resident memory of a process.", "bytes",
            (f"max by (instance) ({select('process_resident_memory_bytes')})", "{{instance}}"), span=6,
        ),
        lines(
            "Event loop late", "How late timers are woken, 99th percentile: each request waits that long on top.", "s",
            (quantile(0.99, "didymos_process_loop_late_seconds", "instance"), "{{instance}}"), span=6,
        ),
        lines(
            "Free disk", "Free share of the disk with the files of the house.", "percentunit",
            (f"min by (instance) ({select('didymos_process_disk_free_ratio')})", "{{instance}}"), span=6,
        ),
        lines(
            "Open files", "Share of the file descriptors that a process may open.", "percentunit",
            (f"max by (instance) ({select('process_open_fds')} / {select('process_max_fds')})", "{{instance}}"), span=6,
        ),
        lines(
            "Live streams", "Streams that are open now, by service.", "short",
            (total("didymos_http_streams", "service"), "{{service}}"), span=6,
        ),
        lines(
            "Time since start", "A process that begins again and again shows teeth here.", "s",
            (f"time() - max by (instance) ({select('process_start_time_seconds')})", "{{instance}}"), span=6,
        ),
        lines(
            "Scrapes", "1 where Prometheus reached the process.", "short",
            (f"min by (instance) (up{{{HERE}}})", "{{instance}}"), span=6,
        ),
    ),
)  # fmt: skip
_PROMISES: Final = Row(
    "Service level objectives",
    (
        lines(
            "Objectives", "What is promised, by objective: telemetry/slos.yaml.", "percentunit",
            ("max by (slo) (didymos_slo_objective)", "{{slo}}"), span=12,
        ),
        lines(
            "Burn rate", "Times as fast as the budget of errors allows, over an hour: at 14.4 somebody is called.",
            "short",
            ("max by (slo) (didymos_slo_burn_1h)", "{{slo}}"), span=12,
        ),
    ),
)  # fmt: skip
OVERVIEW: Final = Dashboard(
    "overview", "Didymos: overview", "Whether the house is well, service by service.",
    (_NOW, _REST, _RPC, _LEFT, _PROMISES),
)  # fmt: skip
