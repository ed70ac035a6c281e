"""Rounds of training through our engine against the bare loop: the same steps by hand. learning.md section 15.

Both train the same clients with the same batches in one process and one thread, called in turn; their parameters after
the round must agree. The bare loop is what one would write: `nn.Module`, `torch.optim`, a sum of differences.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from didymos_learning import (
    GLUCOSE_TASK,
    ClientData,
    Flat,
    RunSpec,
    ServerState,
    StrategySpec,
    Total,
    client_data,
    demo_spec,
    derive,
    dot_score,
    flat_bytes,
    flat_view,
    model_spec,
    ordered_sum,
    read_glucose,
    recent_inputs,
    settings_of,
    strategy_of,
)
from didymos_learning.engine import Engine, train_chunk
from didymos_learning.inline import initial_params
from didymos_learning.models import build, read_flat, write_flat
from didymos_learning.spec import Arguments
from didymos_learning.strategies import BySum

from tests.bench.measure import Measure, interleaved, measure, seconds

DATA: Final = Path("data/glucose/readings.csv.gz")
CHUNKS: Final = 4
MODELS: Final[dict[str, Arguments]] = {
    "lstm": {"units": 32, "skip": 9},
    "cnn1d": {"width": 16, "groups": 4, "skip": 9},
    "transformer": {"width": 16, "heads": 2, "layers": 1, "patch": 3, "skip": 9},
}
LARGE: Final = 1_200_000  # parameters of the vector lines


def ours(spec: RunSpec, clients: list[ClientData]) -> Callable[[], Flat]:
    """One round: chunks as sites send them, bytes and back, ordered sum, strategy."""
    engine, strategy = Engine(spec.model), strategy_of(spec.strategy, spec.masking)
    assert isinstance(strategy, BySum)
    start, settings = initial_params(spec), settings_of(strategy, spec.strategy)

    def round_() -> Flat:
        chunks = [train_chunk(engine, clients[part::CHUNKS], start, spec, 1) for part in range(CHUNKS)]
        received = [flat_view(flat_bytes(chunk.total), start.size) for chunk in chunks]
        weight, count = sum(chunk.weight for chunk in chunks), sum(chunk.count for chunk in chunks)
        total = Total(ordered_sum(received, start.size), weight, count)
        return strategy.apply(ServerState(start), total, settings).params

    return round_


def bare(spec: RunSpec, clients: list[ClientData]) -> Callable[[], Flat]:
    """The same round as a script would do it."""
    module = build(spec.model, 0)
    start = initial_params(spec)
    write_flat(module, spec.model.layout, start)
    first = [parameter.detach().clone() for parameter in module.parameters()]
    data = [
        (
            torch.from_numpy(one.fit.inputs),
            torch.from_numpy(one.fit.targets),
            derive(spec.seed, "client", 1, one.subject),
        )
        for one in clients
    ]

    def round_() -> Flat:
        sums = [torch.zeros_like(parameter) for parameter in first]
        whole = 0
        for inputs, targets, seed in data:
            with torch.no_grad():
                for parameter, value in zip(module.parameters(), first, strict=True):
                    parameter.copy_(value)
            optimiser = torch.optim.Adam(module.parameters(), lr=1e-2, betas=(0.9, 0.999), eps=1e-8, foreach=True)
            order = torch.from_numpy(np.random.Generator(np.random.Philox(key=seed)).permutation(len(targets)))
            for chosen in order.split(spec.local.batch):  # type: ignore[no-untyped-call]
                optimiser.zero_grad()
                loss = torch.nn.functional.mse_loss(module(inputs[chosen]), targets[chosen])
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
            with torch.no_grad():
                for total, parameter, value in zip(sums, module.parameters(), first, strict=True):
                    total.add_(parameter - value, alpha=len(targets))
            whole += len(targets)
        with torch.no_grad():
            for parameter, value, total in zip(module.parameters(), first, sums, strict=True):
                parameter.copy_(value + total / whole)
        return read_flat(module, spec.model.layout)

    return round_


def rounds(arch: str, clients: list[ClientData]) -> Measure:
    """Clients a second of a round of all people, and the ratio to the bare loop."""
    spec = demo_spec(bytes(32))
    spec = replace(
        spec,
        model=model_spec(arch, MODELS[arch], GLUCOSE_TASK),
        local=replace(spec.local, clip=None),
        strategy=StrategySpec("fedavg", {}),
    )
    through_engine, by_hand = ours(spec, clients), bare(spec, clients)
    np.testing.assert_allclose(through_engine(), by_hand(), atol=2e-4)
    mine, other = interleaved(through_engine, by_hand, repeats=7)
    rate = f"bare loop {len(clients) / other:,.0f}"
    name = f"{arch}, {spec.model.layout.size:,} floats, 1 epoch of 256"
    return measure(name, len(clients) / mine, "clients/s", against=rate, ratio=other / mine, goal=0.95)


def vectors() -> list[Measure]:
    """What a coordinator does with vectors of 1.2 M parameters, against one pass of numpy over them."""
    chance = np.random.default_rng(1)
    parts = [chance.normal(size=LARGE).astype(np.float32) for _ in range(8)]
    wide = np.zeros(LARGE)

    def pass_() -> None:
        for part in parts:
            np.add(wide, part, out=wide)

    mine, other = interleaved(lambda: ordered_sum(parts, LARGE), pass_)
    scored = min(seconds(lambda: dot_score(parts[0], parts[1])) for _ in range(5))
    by_numpy = f"np.add {8 / other:,.0f}"
    return [
        measure("sum of 8 updates, 1.2 M", 8 / mine, "updates/s", against=by_numpy, ratio=other / mine, goal=0.8),
        measure("dot score, 1.2 M", 1 / scored, "scores/s"),
    ]


def forecasts(clients: list[ClientData]) -> Measure:
    """One twin after the other, each with parameters of its own."""
    spec = demo_spec(bytes(32))
    engine, params = Engine(spec.model), initial_params(spec)
    series = next(iter(read_glucose(DATA).values()))
    begun, made = time.perf_counter(), 0
    while time.perf_counter() - begun < 0.5:
        inputs = recent_inputs(series, spec.model.task, clients[0].scale)
        if inputs is not None:
            engine.change(params, inputs)
        made += 1
    return measure("forecast, own parameters, one at a time", made / (time.perf_counter() - begun), "forecasts/s")


def run() -> list[Measure]:
    torch.set_num_threads(1)
    people = read_glucose(DATA)
    clients = [client_data(name, series, GLUCOSE_TASK) for name, series in people.items()]
    return [*(rounds(arch, clients) for arch in MODELS), *vectors(), forecasts(clients)]
