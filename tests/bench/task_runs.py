"""Six real tasks, each with an architecture of its own: what is trained, by whom, and who is tested."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from didymos_learning import (
    ClientData,
    CohortSpec,
    LocalSpec,
    PersonalSpec,
    RunSpec,
    StrategySpec,
    TaskSpec,
    client_data,
    demo_spec,
    model_spec,
    read_glucose,
)
from didymos_learning.spec import Arguments

from tests.bench import task_readers as readers

SEED: Final = bytes(32)
MEAN: Final = StrategySpec("fedavg", {})
MOMENTUM: Final = StrategySpec("fedavgm", {"momentum": 0.8})
FOLDS: Final = 5


@dataclass(frozen=True)
class Fold:
    """Who trains the shared model, and who is tested with it; the same clients, or others."""

    train: Sequence[ClientData]
    held: Sequence[ClientData]


@dataclass(frozen=True)
class Task:
    """`floor`: the name of the naive answer. `what`: model and data, in one line."""

    name: str
    what: str
    floor: str
    spec: RunSpec
    folds: Callable[[Path, TaskSpec], Sequence[Fold]]


def _spec(
    arch: str, args: Arguments, task: TaskSpec, local: LocalSpec, rounds: int, strategy: StrategySpec = MOMENTUM
) -> RunSpec:
    """Own models train as many epochs as the run has rounds."""
    return RunSpec(
        model=model_spec(arch, args, task),
        local=local,
        strategy=strategy,
        rounds=rounds,
        cohort=CohortSpec(1, 1, 1, 8192.0),
        seed=SEED,
        masking="none",
        engine="loop",
        personal=PersonalSpec((1, 3), local.lr / 5, (0.3,), (0.1, 1.0), 0.7, rounds, local.lr),
        validation=b"",
    )


def _local(batch: int, lr: float, steps: int = 0) -> LocalSpec:
    return LocalSpec(1, steps, batch, "adam", lr, lr / 20, 0.0, 10.0, None, "float32")


def _together(clients: Sequence[ClientData]) -> list[Fold]:
    return [Fold(clients, clients)]


def _glucose(_folder: Path, task: TaskSpec) -> list[Fold]:
    people = read_glucose(Path("data/glucose/readings.csv.gz"))
    return _together([client_data(name, series, task) for name, series in people.items()])


def _activity(folder: Path, task: TaskSpec) -> list[Fold]:
    people = list(readers.activity(folder, task).values())
    return [
        Fold([one[0] for at, one in enumerate(people) if at % FOLDS != fold], [one[1] for one in people[fold::FOLDS]])
        for fold in range(FOLDS)
    ]


ACTIVITY: Final = TaskSpec("classify", "activity", "", 0, 9, 0, "none", 128, readers.ACTIVITIES)
BEATS: Final = TaskSpec("classify", "beat", "", 0, 80, 0, "none", 7, readers.BEATS)
ENGINES: Final = TaskSpec("regress", "remaining-life", "cycles", 0, 30, 0, "none", 22)
HOMES: Final = TaskSpec("regress", "load", "kWh", 3600, 24, 1, "none", 6)
WIND: Final = TaskSpec("regress", "power", "kW", 600, 12, 1, "none", 6)
WIND_SIZES: Final = {"width": 32, "heads": 2, "layers": 1, "patch": 3, "skip": 1}
TASKS: Final = {
    task.name: task
    for task in (
        Task("glucose", "lstm 32, 30 minutes ahead, mg/dL", "last value", replace(demo_spec(SEED)), _glucose),
        Task(
            "beats", "cnn1d 16, 4 classes of beats, MIT-BIH DS1 to DS2", "majority",
            _spec("cnn1d", {"width": 16, "groups": 4, "skip": 1}, BEATS, _local(32, 4e-3, 40), 30, MEAN),
            lambda folder, task: [Fold(*readers.beats(folder, task))],
        ),
        Task(
            "activity", "cnn2d 16 on spectra, 5 activities, phone, 5 folds by person", "majority",
            _spec("cnn2d", {"width": 16, "groups": 4, "planes": 8, "skip": 0}, ACTIVITY, _local(16, 6e-3), 30, MEAN),
            _activity,
        ),
        Task(
            "engines", "gru 32, remaining life, C-MAPSS (simulated), cycles", "mean",
            _spec("gru", {"units": 32, "skip": 1}, ENGINES, _local(32, 5e-3), 30),
            lambda folder, task: _together(readers.engines(folder, task)),
        ),
        Task(
            "homes", "mlp 64, load of the next hour, kWh", "last value",
            _spec("mlp", {"width": 64, "skip": 0}, HOMES, _local(128, 2e-3), 30),
            lambda folder, task: _together(readers.homes(folder, task)),
        ),
        Task(
            "wind", "transformer 32, power in ten minutes, kW", "last value",
            _spec("transformer", WIND_SIZES, WIND, _local(128, 2e-3), 20),
            lambda folder, task: _together(readers.wind(folder, task)),
        ),
    )
}  # fmt: skip
