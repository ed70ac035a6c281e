"""`python -m tests.bench.learning_figures [--sites N] [--seed N]`: the table of docs/learning.md, on data/glucose.

Global, own-only and personal models of 19 people under the recipe of the demo, errors on the last fifth of each
person's time. One process trains what 6 to 8 site processes train in the demo: the same functions, the same bits.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

import numpy as np
import torch
from didymos_learning import (
    ClientData,
    Interval,
    Windows,
    bootstrap,
    client_data,
    demo_spec,
    derive,
    errors,
    read_glucose,
    rmse,
)
from didymos_learning.engine import Engine
from didymos_learning.inline import federate, initial_params
from didymos_learning.personal import own_only, personalise
from didymos_learning.report import PersonReport, evaluate

SEED: Final = bytes(32)
DATA: Final = Path("data/glucose/readings.csv.gz")
HARM: Final = 1.01


def reports(seed: bytes, sites: int) -> tuple[list[PersonReport], dict[str, float]]:
    """One report per person, and the CPU seconds of each step."""
    torch.set_num_threads(1)
    spec = demo_spec(seed, sites=sites)
    people = [client_data(name, series, spec.model.task) for name, series in read_glucose(DATA).items()]
    at_sites: list[list[ClientData]] = [people[site::sites] for site in range(sites)]
    begun = time.process_time()
    params = federate(spec, at_sites)
    rounds = time.process_time()
    engine = Engine(spec.model)
    personal = [personalise(engine, person, params, spec) for person in people]
    chosen = time.process_time()
    own = [own_only(engine, person, spec) for person in people]
    taken = {"rounds": rounds - begun, "personal": chosen - rounds, "own": time.process_time() - chosen}
    found = [evaluate(engine, *case) for case in zip(people, [params] * len(people), own, personal, strict=True)]
    return found, taken


def central(seed: bytes) -> Interval:
    """The same model trained on all windows in one place, as many epochs, at the same rates: what nobody may."""
    spec = demo_spec(seed)
    people = [client_data(name, series, spec.model.task) for name, series in read_glucose(DATA).items()]
    names = [field.name for field in fields(Windows)]
    pooled = Windows(*(np.concatenate([getattr(one.fit, name) for one in people]) for name in names))
    engine = Engine(spec.model)
    engine.load(initial_params(spec))
    for epoch in range(1, spec.rounds + 1):
        for _ in engine.train(pooled, spec.local, spec.local.rate(epoch, spec.rounds), derive(seed, "central", epoch)):
            pass
    params = engine.params()
    found = [rmse(errors(engine.predict(params, one.test), one.test, one.scale)) for one in people]
    return bootstrap(found, SEED)


def differences(found: Sequence[PersonReport]) -> dict[str, Interval]:
    """Root mean square errors, mean over people, and differences to the gated personal model, all in mg/dL."""
    rows: dict[str, Callable[[PersonReport], float]] = {
        "last value": lambda one: one.last_value_rmse,
        "own data only": lambda one: one.own_rmse,
        "global": lambda one: one.global_rmse,
        "personal, gated": lambda one: one.personal_rmse,
        "last value - global": lambda one: one.last_value_rmse - one.global_rmse,
        "last value - personal": lambda one: one.last_value_rmse - one.personal_rmse,
        "own - personal": lambda one: one.own_rmse - one.personal_rmse,
        "global - personal": lambda one: one.global_rmse - one.personal_rmse,
    }
    return {name: bootstrap([of(one) for one in found], SEED) for name, of in rows.items()}


def main(sites: int, seed: bytes) -> None:
    found, taken = reports(seed, sites)
    for one in found:
        print(
            f"{one.subject:14} n {one.windows:3}  last {one.last_value_rmse:5.2f}  own {one.own_rmse:5.2f}  "
            f"global {one.global_rmse:5.2f}  personal {one.personal_rmse:5.2f}  {one.verdict:12} {one.candidate:12} "
            f"{one.candidate_rmse:5.2f}"
        )
    for name, interval in differences(found).items():
        print(f"{name:22} {interval}")
    print(f"{'central, for comparison':22} {central(seed)}")
    accepted = [one for one in found if one.verdict == "accepted"]
    harmed = [one for one in accepted if one.personal_rmse > HARM * one.global_rmse]
    covered = [one.covered for one in found if one.covered is not None]
    print(
        f"accepted {len(accepted)} of {len(found)}, harmed {len(harmed)}; "
        f"80 % interval covers {sum(covered) / len(covered):.1%}"
    )
    print("CPU seconds", {name: round(seconds, 1) for name, seconds in taken.items()})
    folder = Path("build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "learning-figures.json").write_text(json.dumps([json.loads(one.to_json()) for one in found], indent=1))


if __name__ == "__main__":
    asked = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    main(int(asked.get("--sites", "8")), bytes([int(asked.get("--seed", "0"))]) * 32)
