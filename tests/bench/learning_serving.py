"""`python -m tests.bench.learning_serving`: forecasts/s/core with own parameters, coverage, alarms, withdrawals.

All on the held-out fifth of each person's time (data/glucose), by the model of the demo's recipe. One thread.
"""

import time
from pathlib import Path
from typing import Final

import numpy as np
import torch
from didymos_learning import ClientData, ModelSpec, Windows, client_data, demo_spec, errors, model_spec, read_glucose
from didymos_learning.anomaly import LEAST, alarms, p_values
from didymos_learning.bands import AdaptiveBand, replay
from didymos_learning.drift import block_spread, drift
from didymos_learning.engine import Engine
from didymos_learning.forecasting import Together
from didymos_learning.inline import federate
from didymos_learning.models import initial
from didymos_learning.personal import personalise, squared_losses
from didymos_learning.vector import Flat, Wide

DATA: Final = Path("data/glucose/readings.csv.gz")
SECONDS: Final = 2.0
WEEK: Final = 7 * 288
JUMP: Final = 80.0  # mg/dL that a sensor says too much, for a while


def speed(model: ModelSpec, twins: int) -> tuple[float, float]:
    """Forecasts a second of `twins` at once, and with their parameters packed anew each time (nothing kept)."""
    params = [initial(model, seed) for seed in range(twins)]
    inputs = np.random.default_rng(0).normal(size=(twins, model.task.input, model.task.channels)).astype(np.float32)
    together, rates = Together(model), []
    packed = [together.pack(one) for one in params[:twins]]
    for cached in (True, False):
        begun, done = time.process_time(), 0
        while time.process_time() - begun < SECONDS:
            together.change_each(packed if cached else [together.pack(one) for one in params[:twins]], inputs)
            done += twins
        rates.append(done / (time.process_time() - begun))
    return rates[0], rates[1]


def loop() -> float:
    """The same by torch, twin after twin."""
    model = demo_spec(bytes(32)).model
    engine, params = Engine(model), initial(model, 0)
    inputs = np.zeros((1, model.task.input, model.task.channels), np.float32)
    begun, done = time.process_time(), 0
    while time.process_time() - begun < SECONDS:
        engine.change(params, inputs)
        done += 1
    return done / (time.process_time() - begun)


def left(engine: Engine, params: Flat, person: ClientData, part: Windows) -> Wide:
    return errors(engine.predict(params, part), part, person.scale)


def main() -> None:
    torch.set_num_threads(1)
    print(f"forecasts/s/core: torch, one twin at a time {loop():,.0f}")
    lstm = demo_spec(bytes(32)).model
    for model in (lstm, model_spec("mlp", {"width": 64, "skip": 9}, lstm.task)):
        for twins in (1, 64, 128, 512):
            kept, packed = speed(model, twins)
            print(
                f"forecasts/s/core: {model.arch}, {twins:3} at once {kept:8,.0f}; packed anew each time {packed:8,.0f}"
            )
    spec = demo_spec(bytes(32))
    people = [client_data(name, series, spec.model.task) for name, series in read_glucose(DATA).items()]
    params = federate(spec, [people[site::8] for site in range(8)])
    engine, horizon = Engine(spec.model), spec.model.task.horizon
    inside = fixed = total = false = caught = alarmed = withdrawn = personal_count = 0
    covers = list[float]()
    for person in people:
        personal = personalise(engine, person, params, spec)
        gate = np.concatenate([left(engine, personal.params, person, part) for part in (person.gate_a, person.gate_b)])
        test = np.asarray(left(engine, personal.params, person, person.test))
        band = AdaptiveBand(gate)
        start = band.width
        widths = replay(band, test, horizon)
        covered = np.abs(test) <= widths
        inside, total = inside + int(covered.sum()), total + len(test)
        fixed += 0 if start is None else int((np.abs(test) <= start).sum())
        covers.append(float(covered.mean()))
        ordinary = np.concatenate([left(engine, personal.params, person, person.fit), gate])
        false += int(alarms(p_values(test, ordinary)).sum())
        strange = np.zeros(len(test))
        strange[len(test) // 2 : len(test) // 2 + 5] = JUMP
        here = alarms(p_values(test + strange, ordinary))[len(test) // 2 : len(test) // 2 + 5]
        caught, alarmed = caught + int(here.any()), alarmed + int(len(ordinary) >= LEAST)
        if personal.decision.accepted:
            personal_count += 1
            own, shared = (squared_losses(engine, one, person.gate_b) for one in (personal.params, params))
            sigma = block_spread(own, shared, horizon)
            own, shared = (squared_losses(engine, one, person.test) for one in (personal.params, params))
            withdrawn += int(sigma is not None and drift(own, shared, sigma, horizon).withdrawn_at is not None)
    print(
        f"80 % intervals on held-out time: adaptive {inside / total:.1%}, fixed {fixed / total:.1%}; {total:,} windows"
    )
    print(f"per person: adaptive {min(covers):.1%} to {max(covers):.1%}")
    print(
        f"alarms (3 of 5 with p < 0.001): {false} on {total:,} untouched windows, {false / total * WEEK:.1f} a week;"
        f" a jump of {JUMP:g} mg/dL for 5 readings found in {caught} of {len(people)};"
        f" {alarmed} have {LEAST} errors to compare with"
    )
    print(f"withdrawn by drift on held-out time: {withdrawn} of {personal_count} personal models")


if __name__ == "__main__":
    main()
