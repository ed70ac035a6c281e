"""The event log as its clients see it: appends, lag, slices, what is held and buried, outboxes and tails."""

from typing import Final

from telemetry.dashboards.panels import (
    Dashboard,
    Row,
    counted,
    highest,
    lines,
    number,
    per_second,
    quantile,
    quantiles,
    select,
    total,
)

_BROKERS: Final = Row(
    "Brokers",
    (
        number(
            "Brokers", "Brokers that the cluster names; 0 while none answers.", "short",
            f"min ({select('didymos_kafka_brokers')})", span=12, needs="kafka",
        ),
        lines(
            "Partitions", "Partitions of our topics: whole, with too few copies, or without a leader.", "short",
            (highest("didymos_kafka_partitions", "state"), "{{state}}"), span=12, needs="kafka",
        ),
    ),
)  # fmt: skip
_APPENDS: Final = Row(
    "Appends",
    (
        lines(
            "Records", "Records appended and acknowledged, by topic.", "rps",
            (per_second("didymos_log_appended_total", "topic"), "{{topic}}"), span=12,
        ),
        quantiles("Append", "One append until it is durable.", "didymos_log_append_seconds", span=12),
    ),
)  # fmt: skip
_GROUPS: Final = Row(
    "Groups",
    (
        lines(
            "Lag", "Records behind the end of the log, by group.", "short",
            (total("didymos_log_lag_records", "group"), "{{group}}"),
        ),
        lines(
            "Handling", "Handling of one slice of a partition, 99th percentile.", "s",
            (quantile(0.99, "didymos_log_slice_seconds", "group"), "{{group}}"),
        ),
        lines(
            "Partitions held", "Partitions that wait for a failure to pass, by group.", "short",
            (total("didymos_log_held_partitions", "group"), "{{group}}"),
        ),
        number(
            "Dead letters", "Records put aside within the time shown. Runbook: DeadLetters.", "short",
            counted("didymos_log_dead_letters_total"), span=24,
        ),
    ),
)  # fmt: skip
_AROUND: Final = Row(
    "Outboxes and tails",
    (
        lines(
            "Age of outboxes", "Age of the oldest event that is not in the log, by service.", "s",
            (highest("didymos_outbox_age_seconds", "service"), "{{service}}"),
        ),
        lines(
            "Relayed", "Events moved from outboxes to the log, by service.", "rps",
            (per_second("didymos_outbox_relayed_total", "service"), "{{service}}"),
        ),
        lines(
            "Tails", "Time since the slowest tail of a topic was known to be at the end.", "s",
            (highest("didymos_tail_staleness_seconds", "topic"), "{{topic}}"),
        ),
    ),
)  # fmt: skip
KAFKA: Final = Dashboard(
    "kafka", "Didymos: event log", "Kafka, or the embedded log, as every process of the house sees it.",
    (_BROKERS, _APPENDS, _GROUPS, _AROUND),
)  # fmt: skip
