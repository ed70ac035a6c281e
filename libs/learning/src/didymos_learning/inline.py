"""A whole run in one process, with the functions that sites and coordinator use: for tests, figures and benchmarks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from didymos_learning.compression import Compressor, compressor_of
from didymos_learning.engine import ChunkResult, Engine, train_chunk
from didymos_learning.models import initial
from didymos_learning.spec import RunSpec, derive
from didymos_learning.strategies import (
    ByIndividual,
    BySum,
    Carried,
    ServerState,
    Settings,
    Strategy,
    Total,
    check_strategy,
    settings_of,
)
from didymos_learning.strategies.buffered import schedule, staleness
from didymos_learning.vector import Flat, ordered_sum
from didymos_learning.windows import ClientData


def nothing(_round: int, _params: Flat) -> None:
    """The watcher that does not look."""


@dataclass(frozen=True, slots=True)
class Federation:
    """Where a run stands after `round`: the server, and what each client keeps, by subject."""

    round: int
    server: ServerState
    states: Mapping[str, Flat] = field(default_factory=dict)


def initial_params(spec: RunSpec) -> Flat:
    """x_0 of the run (d,)."""
    return initial(spec.model, derive(spec.seed, "init"))


def federate(
    spec: RunSpec, sites: Sequence[Sequence[ClientData]], watch: Callable[[int, Flat], None] = nothing
) -> Flat:
    """All rounds over these sites, one chunk each, in this order; the last parameters (d,). `watch` sees each round's.

    Raises LearningError as `check_strategy`.
    """
    params = initial_params(spec)
    for after in rounds(spec, sites):
        params = after.server.params
        watch(after.round, params)
    return params


def rounds(spec: RunSpec, sites: Sequence[Sequence[ClientData]]) -> Iterator[Federation]:
    """What stands after each round. A strategy that does not wait has steps of its server for rounds.

    Raises LearningError as `check_strategy`.
    """
    strategy = check_strategy(spec)
    settings, engine = settings_of(strategy, spec.strategy), Engine(spec.model)
    state = Federation(0, strategy.init(initial_params(spec), settings))
    if isinstance(strategy, BySum) and not strategy.waits:
        yield from _buffered(engine, spec, strategy, sites, state)
        return
    compressors = [compressor_of(spec, str(at)) for at in range(len(sites))]
    for round_ in range(1, spec.rounds + 1):
        carried = Carried(strategy.broadcast(state.server) if isinstance(strategy, BySum) else (), state.states)
        params = state.server.params
        chunks = [train_chunk(engine, clients, params, spec, round_, carried=carried) for clients in sites]
        states = {**state.states, **{name: kept for chunk in chunks for name, kept in chunk.states.items()}}
        state = Federation(round_, _applied(strategy, state.server, chunks, settings, compressors, round_), states)
        yield state


def _applied(
    strategy: Strategy,
    server: ServerState,
    chunks: Sequence[ChunkResult],
    settings: Settings,
    compressors: Sequence[Compressor],
    round_: int,
) -> ServerState:
    if isinstance(strategy, ByIndividual):
        return strategy.apply(server, [update for chunk in chunks for update in chunk.updates], settings)
    sent = [each.through(chunk.total, round_) for each, chunk in zip(compressors, chunks, strict=True)]
    total = Total(
        ordered_sum(sent, strategy.width(server.params.size, settings)),
        float(np.sum([chunk.weight for chunk in chunks])),
        sum(chunk.count for chunk in chunks),
    )
    return strategy.apply(server, total, settings)


def _buffered(
    engine: Engine, spec: RunSpec, strategy: BySum, sites: Sequence[Sequence[ClientData]], start: Federation
) -> Iterator[Federation]:
    """By the arrivals of a virtual clock, each from the parameters that its client was given. ADR 120."""
    people = {client.subject: client for clients in sites for client in clients}
    settings = settings_of(strategy, spec.strategy)
    server, past, states = start.server, [start.server], dict(start.states)
    for step, arrivals in enumerate(schedule(list(people), spec.rounds, settings, spec.seed), start=1):
        parts: list[Flat] = []
        for one in arrivals:
            base = past[-1 - one.tau]
            carried = Carried(strategy.broadcast(base), states)
            chunk = train_chunk(engine, [people[one.subject]], base.params, spec, step - one.tau, carried=carried)
            states |= chunk.states
            parts.append(np.multiply(chunk.total, np.float32(staleness(one.tau))))
        summed = ordered_sum(parts, strategy.width(server.params.size, settings))
        server = strategy.apply(server, Total(summed, float(len(parts)), len(parts)), settings)
        past = [*past, server][-int(settings["stale"]) - 1 :]
        yield Federation(step, server, dict(states))
