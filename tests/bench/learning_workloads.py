"""The four workloads of learning.md section 15: their models, synthetic clients, and the specification of a run.

LeNet and the large CNN are architectures of another package, as anybody may add them: the bench makes that package.
"""

import os
import sys
from dataclasses import dataclass, replace
from importlib import invalidate_caches
from pathlib import Path
from typing import Final

import numpy as np
from didymos_learning import CohortSpec, RunSpec, StrategySpec, TaskSpec, demo_spec, model_spec
from didymos_learning.architectures import Architecture
from didymos_learning.spec import Arguments

SAMPLES, BATCH, RATE = 64, 32, 0.05
FOLDER: Final = Path("build/bench-learning")
_DIGITS: Final = tuple(str(digit) for digit in range(10))
IMAGES: Final = TaskSpec("classify", "digit", "", 0, 28, 0, "none", columns=28, classes=_DIGITS)


@dataclass(frozen=True, slots=True)
class Workload:
    """`goal`: times Flower, of the issue. `chunk`: clients a call."""

    name: str
    arch: str
    args: Arguments
    task: TaskSpec
    clients: int
    chunk: int
    goal: float
    engine: str = "loop"

    def spec(self, rounds: int, clients: int | None = None) -> RunSpec:
        demo = demo_spec(b"\x0f" * 32)
        local = replace(
            demo.local, epochs=1, max_steps=0, batch=BATCH, optimiser="sgd", lr=RATE, lr_end=RATE, mu=0.0, clip=None,
            huber=None,
        )  # fmt: skip
        return replace(
            demo, model=model_spec(self.arch, self.args, self.task), local=local, rounds=rounds, masking="none",
            strategy=StrategySpec("fedavg", {}), cohort=CohortSpec(1, 1, clients or self.clients, 1e6), validation=b"",
            engine="stacked" if self.engine == "stacked" else "loop",
        )  # fmt: skip

    def data(self, clients: int | None = None) -> Path:
        """A folder of windows of so many clients, the same each time."""
        from didymos_training_orchestration.adapters.window_shards import write_shards

        count = clients or self.clients
        chance = np.random.default_rng(9)
        inputs = chance.normal(size=(count * SAMPLES, self.task.input, self.task.channels)).astype(np.float32)
        if self.task.classes:
            targets = chance.integers(0, len(self.task.classes), len(inputs)).astype(np.float32)
        else:
            targets = np.tanh(inputs[:, -1].sum(axis=1)).astype(np.float32)
        return write_shards(FOLDER / f"{self.name}-{count}", inputs, targets, np.arange(count + 1) * SAMPLES)


_ROWS: Final = TaskSpec("regress", "load", "kW", 0, 50, 0, "none", columns=14)
_ROW: Final = TaskSpec("regress", "load", "kW", 0, 1, 0, "none", columns=14)
WORKLOADS: Final = {
    each.name: each
    for each in (
        Workload("lenet", "bench-lenet", {}, IMAGES, 100, 25, 4.0),
        Workload("lstm", "lstm", {"units": 64, "skip": 0}, _ROWS, 100, 25, 2.8),
        Workload("cnn", "bench-cnn", {}, IMAGES, 20, 5, 2.3),
        Workload("mlp", "mlp", {"width": 64, "skip": 0}, _ROW, 100, 50, 120.0, "stacked"),
    )
}
LENET: Final = Architecture(
    1, {},
    lambda _sizes, _task: [
        ("first.weight", (6, 1, 5, 5)), ("first.bias", (6,)), ("second.weight", (16, 6, 5, 5)), ("second.bias", (16,)),
        ("third.weight", (120, 400)), ("third.bias", (120,)), ("fourth.weight", (84, 120)), ("fourth.bias", (84,)),
    ],
    lambda _sizes, _task: 84, "tests.bench.learning_modules:Lenet",
)  # fmt: skip
CNN: Final = Architecture(
    1, {},
    lambda _sizes, _task: [
        ("first.weight", (32, 1, 3, 3)), ("first.bias", (32,)), ("second.weight", (64, 32, 3, 3)),
        ("second.bias", (64,)), ("third.weight", (128, 9216)), ("third.bias", (128,)),
    ],
    lambda _sizes, _task: 128, "tests.bench.learning_modules:Cnn",
)  # fmt: skip


def install() -> None:
    """Makes the package of the two architectures, here and in every process that starts from here."""
    home = (FOLDER / "package").resolve()
    about = home / "didymos_bench-0.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: didymos-bench\nVersion: 0\n")
    (about / "entry_points.txt").write_text(
        "[didymos.architectures]\nbench-lenet = tests.bench.learning_workloads:LENET\n"
        "bench-cnn = tests.bench.learning_workloads:CNN\n"
    )
    places = [str(Path.cwd()), str(home)]
    sys.path[:0] = [place for place in places if place not in sys.path]
    os.environ["PYTHONPATH"] = os.pathsep.join(places)
    invalidate_caches()
