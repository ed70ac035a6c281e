"""A whole run in one process, with the functions that sites and coordinator use: for tests, figures and benchmarks."""

from collections.abc import Callable, Sequence

import numpy as np

from didymos_learning.engine import Engine, train_chunk
from didymos_learning.models import initial
from didymos_learning.spec import RunSpec, derive
from didymos_learning.strategies import BySum, ServerState, Total, settings_of, strategy_of
from didymos_learning.vector import Flat, ordered_sum
from didymos_learning.windows import ClientData


def nothing(_round: int, _params: Flat) -> None:
    """The watcher that does not look."""


def initial_params(spec: RunSpec) -> Flat:
    """x_0 of the run (d,)."""
    return initial(spec.model, derive(spec.seed, "init"))


def federate(
    spec: RunSpec, sites: Sequence[Sequence[ClientData]], watch: Callable[[int, Flat], None] = nothing
) -> Flat:
    """All rounds over these sites, one chunk each, in this order; the last parameters (d,). `watch` sees each round's.

    Raises LearningError for a strategy that needs single updates: chunks are sums.
    """
    strategy = strategy_of(spec.strategy, "pairwise")
    assert isinstance(strategy, BySum)  # noqa: S101 - what `pairwise` has just made sure of
    engine, settings = Engine(spec.model), settings_of(strategy, spec.strategy)
    state: ServerState = strategy.init(initial_params(spec))
    for round_ in range(1, spec.rounds + 1):
        chunks = [train_chunk(engine, clients, state.params, spec, round_) for clients in sites]
        total = Total(
            ordered_sum((chunk.total for chunk in chunks), spec.model.layout.size),
            float(np.sum([chunk.weight for chunk in chunks])),
            sum(chunk.count for chunk in chunks),
        )
        state = strategy.apply(state, total, settings)
        watch(round_, state.params)
    return state.params
