"""Series with a known truth, and small specifications that train in a moment."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
from didymos_learning import (
    CohortSpec,
    LocalSpec,
    RunSpec,
    Series,
    TaskSpec,
    client_data,
    demo_spec,
    flat_bytes,
    model_spec,
)
from numpy.typing import NDArray

PERIOD_US = 300_000_000
SMALL_TASK = TaskSpec("forecast", "features/glucose/level", "mg/dL", 300, 4, 2, "none")


def times_of(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Times that are so many periods apart: 1 is the next reading, more is a gap."""
    return np.cumsum(steps * PERIOD_US)


def waves(seed: int, readings: int = 600, *, carry: float = 0.7, gaps: int = 0) -> Series:
    """Changes that go on (`carry` of the one before), pulled back to 120: the next hour can be foretold in part."""
    chance = np.random.default_rng(seed)
    values, change = np.empty(readings), 0.0
    level = 120.0
    for row in range(readings):
        change = carry * change + chance.normal(0.0, 2.0) - 0.02 * (level - 120.0)
        level += change
        values[row] = level
    steps = np.ones(readings, dtype=np.int64)
    steps[chance.choice(np.arange(1, readings), gaps, replace=False)] = 3
    return Series(times_of(steps), values)


def digest_of_run(seed: int, arch: str) -> str:
    """The digest of a small run's last parameters: what two processes compare."""
    import torch
    from didymos_learning.inline import federate

    torch.set_num_threads(1)
    people = [client_data(f"p{number}", waves(number, gaps=5), SMALL_TASK) for number in range(3)]
    params = federate(small_spec(seed, arch=arch), [people[:2], people[2:]])
    return sha256(flat_bytes(params)).hexdigest()


def small_spec(
    seed: int = 1, *, arch: str = "lstm", rounds: int = 3, task: TaskSpec = SMALL_TASK, strategy: str = "fedavg"
) -> RunSpec:
    """A run of seconds: 8 units, one epoch of 64 a round."""
    args: dict[str, dict[str, int | float | str]] = {
        "lstm": {"units": 8, "skip": 2},
        "cnn1d": {"width": 8, "groups": 2, "skip": 2},
        "transformer": {"width": 8, "heads": 2, "layers": 1, "patch": 2, "skip": 2},
    }
    spec = demo_spec(bytes([seed]) * 32)
    return replace(
        spec,
        model=model_spec(arch, args[arch], task),
        local=LocalSpec(1, 0, 64, "adam", 1e-2, 1e-3, 0.0, None, None, "float32"),
        strategy=replace(spec.strategy, name=strategy, settings={}),
        rounds=rounds,
        cohort=CohortSpec(2, 2, 2, 1000.0),
        personal=replace(spec.personal, own_epochs=3),
    )
