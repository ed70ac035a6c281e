"""Rounds, who takes part in them, what they cost the grants of owners, and what comes out."""

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
    total,
)

_ROUNDS: Final = Row(
    "Rounds",
    (
        number("Rounds open", "Rounds that are open now.", "short", total("didymos_training_running_rounds"), span=6),
        number("Sites", "Sites that are dialled in.", "short", total("didymos_training_sites"), span=6),
        number(
            "Rounds closed", "Rounds that gave a checkpoint, within the time shown.", "short",
            counted("didymos_training_rounds_total", labels='outcome="closed"'), span=6,
        ),
        number(
            "Rounds aborted", "Rounds without effect, within the time shown.", "short",
            counted("didymos_training_rounds_total", labels='outcome="aborted"'), span=6,
        ),
        lines(
            "Ends of rounds", "Rounds by how they ended.", "rps",
            (per_second("didymos_training_rounds_total", "outcome"), "{{outcome}}"),
        ),
        quantiles("Duration of rounds", "A round, from opening to its checkpoint.", "didymos_training_round_seconds"),
        lines(
            "Clients", "Members of rounds: delivered, dropped on the way, or refused by consent.", "rps",
            (per_second("didymos_training_clients_total", "outcome"), "{{outcome}}"),
        ),
    ),
)  # fmt: skip
_BUDGET: Final = Row(
    "Privacy budget",
    (
        lines(
            "Rounds drawn", "Rounds drawn from the budgets of grants, one a grant and round; spent ones stay spent.",
            "short",
            (highest("didymos_training_budget_rounds", "booking"), "{{booking}}"), span=12,
        ),
        lines(
            "Most used budget", "Share of its budget that the most used grant of the last cohort has used.",
            "percentunit",
            (highest("didymos_training_budget_used_ratio"), "used"), span=12,
        ),
    ),
)  # fmt: skip
_OUTCOME: Final = Row(
    "Models and traffic",
    (
        lines(
            "Models", "Models by what the gate said of them.", "rps",
            (per_second("didymos_training_models_total", "kind, outcome"), "{{kind}} {{outcome}}"),
        ),
        lines(
            "Size of updates", "Size of a masked update, median and 99th percentile.", "bytes",
            (quantile(0.5, "didymos_training_update_bytes"), "p50"),
            (quantile(0.99, "didymos_training_update_bytes"), "p99"),
        ),
        lines(
            "Calls of sites", "gRPC calls that training-orchestration answered, by outcome.", "reqps",
            (per_second("didymos_rpc_requests_total", "outcome", 'service="training-orchestration"'), "{{outcome}}"),
        ),
    ),
)  # fmt: skip
_FORECASTS: Final = Row(
    "Forecasts",
    (
        lines(
            "Forecasts", "Forecasts made as readings came, by whose model spoke: the twin's own, or the shared one.",
            "rps",
            (per_second("didymos_twin_forecasts_total", "outcome"), "{{outcome}}"),
        ),
        quantiles(
            "Reading to forecast", "From the change by a reading to the forecast that follows from it.",
            "didymos_twin_reading_to_forecast_seconds",
        ),
        quantiles(
            "Batches of forecasts", "A batch, from polled changes to stored and published forecasts.",
            "didymos_twin_forecast_batch_seconds",
        ),
        lines(
            "Models refused", "Models that could not speak for a twin, by why; another spoke.", "rps",
            (per_second("didymos_twin_models_refused_total", "reason"), "{{reason}}"),
        ),
        lines(
            "Models withdrawn", "Own models that drift took the gain from.", "rps",
            (per_second("didymos_twin_models_withdrawn_total"), "withdrawn"),
        ),
        lines(
            "Packed parameters", "Parameters kept packed for forecasts.", "bytes",
            (total("didymos_twin_packed_bytes"), "packed"),
        ),
    ),
)  # fmt: skip
LEARNING: Final = Dashboard(
    "learning", "Didymos: learning",
    "Federated rounds, the budget they draw on, the models they give, and what these foretell.",
    (_ROUNDS, _BUDGET, _OUTCOME, _FORECASTS),
)  # fmt: skip
