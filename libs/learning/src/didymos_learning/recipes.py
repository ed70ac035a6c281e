"""Runs that are known to work, as specifications."""

from typing import Final

from didymos_learning.architectures import model_spec
from didymos_learning.spec import CohortSpec, LocalSpec, PersonalSpec, RunSpec, StrategySpec, TaskSpec

GLUCOSE_TASK: Final = TaskSpec("forecast", "features/glucose/level", "mg/dL", 300, 9, 6, "day")


def demo_spec(seed: bytes, *, sites: int = 8, subjects: int = 19, validation: bytes = b"") -> RunSpec:
    """Glucose in 30 minutes, from 19 people at 6 to 8 sites, under masks: the figures of docs/learning.md."""
    return RunSpec(
        model=model_spec("lstm", {"units": 32, "skip": 9}, GLUCOSE_TASK),
        local=LocalSpec(1, 0, 256, "adam", 1e-2, 5e-4, 0.0, 4.0, None, "float32"),
        strategy=StrategySpec("fedavgm", {"momentum": 0.8}),
        rounds=24,
        cohort=CohortSpec(sites, -(-3 * sites // 4), subjects, 2048.0),
        seed=seed,
        masking="pairwise",
        engine="loop",
        personal=PersonalSpec((1, 3, 5), 1e-3, (0.3,), (1.0, 3.0, 10.0), 0.7, 40, 1e-2),
        validation=validation,
    )
