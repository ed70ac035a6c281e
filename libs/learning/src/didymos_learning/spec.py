"""What a run is, as data: model, task, local training, strategy, cohort, seed. Frozen; canonical JSON; one digest."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from math import cos, pi
from typing import Final, Literal, TypeAlias

from didymos_learning.errors import LearningError
from didymos_learning.jcs import digest, from_json, to_json
from didymos_learning.layout import Layout

Arguments: TypeAlias = Mapping[str, int | float | str]
Masking: TypeAlias = Literal["none", "pairwise"]
SEED_BYTES: Final = 32


def derive(seed: bytes, *path: str | int) -> int:
    """SHA-256(seed || length-prefixed path)[:8] as a big-endian uint64: the seed of one use, e.g. `client:r:subject`.

    Each part is `s` or `i` (a word is never a number), 4 bytes of length, then UTF-8 or decimal digits.
    """
    hashed = sha256(seed)
    for part in path:
        raw = str(part).encode()
        hashed.update((b"i" if isinstance(part, int) else b"s") + len(raw).to_bytes(4, "big") + raw)
    return int.from_bytes(hashed.digest()[:8], "big")


def _require(*rules: tuple[bool, str]) -> None:
    for holds, rule in rules:
        if not holds:
            raise LearningError("training.spec_malformed", detail=rule)


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What is foretold from `input` rows.

    `forecast`: `prop`, `horizon` steps of `period_s` seconds ahead, from its last readings; `clock` "day": the time of
    day (UTC) is read too, as sine and cosine. `regress`: a number, from rows of `columns` numbers. `classify`: one of
    `classes`, from the same. Of these two `horizon` says how many rows after the window the answer is known, `period_s`
    how far rows are apart (0: not in whole seconds).
    """

    kind: Literal["forecast", "regress", "classify"]
    prop: str
    unit: str
    period_s: int
    input: int
    horizon: int
    clock: Literal["none", "day"]
    columns: int = 0
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "forecast":
            _require(
                (1 <= self.period_s <= 86_400, "period_s is 1..86400"),
                (2 <= self.input <= 1024, "input is 2..1024"),
                (1 <= self.horizon <= 1024, "horizon is 1..1024"),
                (self.columns == 0, "a forecast names no columns"),
            )
        else:
            _require(
                (0 <= self.period_s <= 86_400, "period_s is 0..86400"),
                (1 <= self.input <= 1024, "input is 1..1024"),
                (0 <= self.horizon <= 1024, "horizon is 0..1024"),
                (1 <= self.columns <= 4096, "columns is 1..4096"),
                (self.clock == "none", "only a forecast reads the clock"),
            )
        least = 2 if self.kind == "classify" else 0
        _require(
            (least <= len(self.classes) <= 32 * least, "2 to 64 classes, or none where nothing is classified"),
            (len(set(self.classes)) == len(self.classes), "each class once"),
        )

    @property
    def span(self) -> int:
        """Rows of a window, inputs and the way to its target: as far apart lie the anchors of two parts."""
        return self.input + self.horizon

    @property
    def channels(self) -> int:
        """Numbers of a row as a model reads it. A reading of a forecast becomes its scaled value, its scaled change
        from the one before, and the clock."""
        return self.columns or (2 if self.clock == "none" else 4)

    @property
    def outputs(self) -> int:
        """Numbers that a model answers: one, or a score per class."""
        return len(self.classes) or 1


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """An installed architecture with its arguments, for a task. `layout` is what these give; never code."""

    arch: str
    version: int
    args: Arguments
    task: TaskSpec
    layout: Layout


@dataclass(frozen=True, slots=True)
class LocalSpec:
    """Training of one client in one round.

    `max_steps` 0: no limit. The rate falls from `lr` in round 1 to `lr_end` in the last along half a cosine. `mu` pulls
    to the round's parameters (FedProx). `clip`: the L2 bound of one subject's update. `huber`: where the loss turns
    from squares to absolute values, in scaled units; None is the squared loss.
    """

    epochs: int
    max_steps: int
    batch: int
    optimiser: Literal["adam", "sgd"]
    lr: float
    lr_end: float
    mu: float
    clip: float | None
    huber: float | None
    dtype: Literal["float32"]

    def __post_init__(self) -> None:
        _require(
            (1 <= self.epochs <= 1000, "epochs is 1..1000"),
            (self.max_steps >= 0, "max_steps is not negative"),
            (1 <= self.batch <= 65_536, "batch is 1..65536"),
            (0.0 < self.lr <= 10.0 and 0.0 < self.lr_end <= self.lr, "0 < lr_end <= lr <= 10"),
            (self.mu >= 0.0, "mu is not negative"),
            (self.clip is None or self.clip > 0.0, "clip is positive"),
            (self.huber is None or self.huber > 0.0, "huber is positive"),
        )

    def rate(self, round_: int, rounds: int) -> float:
        """The learning rate of round `round_` of 1..`rounds`."""
        done = (round_ - 1) / max(rounds - 1, 1)
        return self.lr_end + (self.lr - self.lr_end) * 0.5 * (1.0 + cos(pi * done))


@dataclass(frozen=True, slots=True)
class CompressionSpec:
    """How members shorten what they send. `share`: of the coordinates, for top-k and rand-k."""

    kind: Literal["none", "top-k", "int8", "rand-k"]
    share: float

    def __post_init__(self) -> None:
        _require((0.0 < self.share <= 1.0, "share is in (0, 1]"))


@dataclass(frozen=True, slots=True)
class StrategySpec:
    """A strategy by name, with its settings."""

    name: str
    settings: Mapping[str, float]
    compression: CompressionSpec = CompressionSpec("none", 1.0)


@dataclass(frozen=True, slots=True)
class CohortSpec:
    """Who must take part. `max_weight`: a subject of more windows counts as this many (privacy.md 2: w_max)."""

    sites: int
    surviving: int
    subjects: int
    max_weight: float

    def __post_init__(self) -> None:
        _require(
            (1 <= self.surviving <= self.sites, "1 <= surviving <= sites"),
            (self.subjects >= 1, "subjects is at least 1"),
            (self.max_weight > 0.0, "max_weight is positive"),
        )


@dataclass(frozen=True, slots=True)
class PersonalSpec:
    """Candidates after the run (learning.md 8 and 9) and the own-only baseline.

    `fine_tune`: epochs, each a candidate, at rate `lr`. `ditto`: strengths of the pull to the global parameters, each a
    candidate of the most epochs of `fine_tune`. `head_ridge`: penalties of the exact head-only fit, each a candidate.
    `step`: how much of the way from the global parameters to the fitted ones a candidate goes. `own_epochs`, `own_lr`:
    the most epochs, and the rate, of a model from the person's data alone.
    """

    fine_tune: tuple[int, ...]
    lr: float
    ditto: tuple[float, ...]
    head_ridge: tuple[float, ...]
    step: float
    own_epochs: int
    own_lr: float

    def __post_init__(self) -> None:
        _require(
            (0 < len(self.fine_tune) <= 16, "1 to 16 fine_tune candidates"),
            (all(1 <= epochs <= 1000 for epochs in self.fine_tune), "fine_tune epochs are 1..1000"),
            (len(self.ditto) <= 16 and all(pull > 0.0 for pull in self.ditto), "ditto is positive, at most 16"),
            (
                len(self.head_ridge) <= 16 and all(r > 0.0 for r in self.head_ridge),
                "head_ridge is positive, at most 16",
            ),
            (0.0 < self.step <= 1.0, "step is in (0, 1]"),
            (1 <= self.own_epochs <= 10_000, "own_epochs is 1..10000"),
            (0.0 < self.lr <= 10.0 and 0.0 < self.own_lr <= 10.0, "rates are in (0, 10]"),
        )


@dataclass(frozen=True, slots=True)
class EvaluationSpec:
    """When sites evaluate the shared model together, in a masked round of its own (ADR 138).

    `every` 0: never; else after each round that it divides, and after the last. `edges`: where the bins of absolute
    errors meet, in units of each subject's root mean square change over the horizon; ascending, above 0.
    """

    every: int
    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in pairwise((0.0, *self.edges)))
        _require(
            (0 <= self.every <= 100_000, "every is 0..100000"),
            (
                bool(self.edges) == bool(self.every) and len(self.edges) <= 256,
                "1 to 256 edges, or none for no evaluation",
            ),
            (rising, "edges ascend from above 0"),
        )

    def due(self, round_: int, rounds: int) -> bool:
        """Whether there is one after round `round_` of 1..`rounds`."""
        return self.every > 0 and round_ > 0 and (round_ % self.every == 0 or round_ == rounds)


NEVER: Final = EvaluationSpec(0, ())


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run. `validation`: SHA-256 of the committed validation data, for the scores; empty when nothing is scored."""

    model: ModelSpec
    local: LocalSpec
    strategy: StrategySpec
    rounds: int
    cohort: CohortSpec
    seed: bytes
    masking: Masking
    engine: Literal["loop", "stacked"]
    personal: PersonalSpec
    validation: bytes
    evaluation: EvaluationSpec = NEVER

    def __post_init__(self) -> None:
        _require(
            (1 <= self.rounds <= 100_000, "rounds is 1..100000"),
            (len(self.seed) == SEED_BYTES, "seed has 32 bytes"),
            (len(self.validation) in (0, 32), "validation has 0 or 32 bytes"),
            (not self.evaluation.every or self.model.task.kind == "forecast", "forecasts are evaluated together"),
        )

    def to_json(self) -> bytes:
        return to_json(self)

    @classmethod
    def from_json(cls, raw: bytes) -> "RunSpec":
        """Raises LearningError `training.spec_malformed`, `training.layout_mismatched`."""
        return from_json(cls, raw)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the canonical JSON: what an agreement names."""
        return digest(self)
