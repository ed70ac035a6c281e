"""Federated learning without a framework: what a run is, what a client's data are, and how contributions add up.

Nothing here imports torch. What does is imported by its module: `models`, `engine`, `personal`, `inline` and `report`.
"""

from didymos_learning.architectures import ARCHITECTURES, check_model, layout_for, model_spec
from didymos_learning.error_histogram import log_edges
from didymos_learning.errors import LearningError
from didymos_learning.evaluation import Interval, bootstrap, errors, last_value_errors, rmse
from didymos_learning.gate import Decision, decide
from didymos_learning.intervals import half_width
from didymos_learning.layout import Layout, Slot, layout_of
from didymos_learning.recipes import GLUCOSE_TASK, demo_spec
from didymos_learning.series import Series, read_glucose, series_of
from didymos_learning.spec import (
    SEED_BYTES,
    CohortSpec,
    CompressionSpec,
    EvaluationSpec,
    LocalSpec,
    Masking,
    ModelSpec,
    PersonalSpec,
    RunSpec,
    StrategySpec,
    TaskSpec,
    derive,
)
from didymos_learning.stackable import check_stackable
from didymos_learning.strategies import (
    ByIndividual,
    BySum,
    Carried,
    Contribution,
    ServerState,
    Strategy,
    Total,
    check_strategy,
    settings_of,
    strategies,
    strategy_of,
)
from didymos_learning.valuation import dot_score, gtg_shapley, leave_one_out, tranche_scores
from didymos_learning.vector import Flat, clipped, flat_bytes, flat_view, norm, ordered_sum, weighted_mean
from didymos_learning.windows import (
    ClientData,
    ClientFacts,
    Scale,
    Windows,
    client_data,
    inputs_of,
    recent_inputs,
    scale_of,
    validation_windows,
)

__all__ = [
    "ARCHITECTURES",
    "GLUCOSE_TASK",
    "SEED_BYTES",
    "ByIndividual",
    "BySum",
    "Carried",
    "ClientData",
    "ClientFacts",
    "CohortSpec",
    "CompressionSpec",
    "Contribution",
    "Decision",
    "EvaluationSpec",
    "Flat",
    "Interval",
    "Layout",
    "LearningError",
    "LocalSpec",
    "Masking",
    "ModelSpec",
    "PersonalSpec",
    "RunSpec",
    "Scale",
    "Series",
    "ServerState",
    "Slot",
    "Strategy",
    "StrategySpec",
    "TaskSpec",
    "Total",
    "Windows",
    "bootstrap",
    "check_model",
    "check_stackable",
    "check_strategy",
    "client_data",
    "clipped",
    "decide",
    "demo_spec",
    "derive",
    "dot_score",
    "errors",
    "flat_bytes",
    "flat_view",
    "gtg_shapley",
    "half_width",
    "inputs_of",
    "last_value_errors",
    "layout_for",
    "layout_of",
    "leave_one_out",
    "log_edges",
    "model_spec",
    "norm",
    "ordered_sum",
    "read_glucose",
    "recent_inputs",
    "rmse",
    "scale_of",
    "series_of",
    "settings_of",
    "strategies",
    "strategy_of",
    "tranche_scores",
    "validation_windows",
    "weighted_mean",
]
