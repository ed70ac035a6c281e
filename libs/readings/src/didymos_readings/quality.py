"""Quality of readings: what a score is made of. data-path.md 6. A share is a dimension's value as 0..1 here."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from numpy.typing import NDArray

from didymos_readings.profile import Property

SCORING: Final = 1  # version of this formula
REFUSED: Final = 255  # in the quality column: not accepted, not applied
NOT_SCORED: Final = 255  # as completeness: does not apply
WEIGHTS: Final = {"consistency": 0.5, "timeliness": 0.2, "completeness": 0.2, "assurance": 0.1}
CONSISTENCY_PARTS: Final = ("range", "rate", "outlier", "flat")

Floats: TypeAlias = NDArray[np.float64]
Bytes: TypeAlias = NDArray[np.uint8]


class Flag(IntFlag):
    LATE = 1
    SOFT = 2
    RATE = 4
    OUTLIER = 8
    FLAT = 16
    BACKFILL = 32
    CURVE = 64
    NO_TIME = 128


class Assurance(IntEnum):
    DEVICE = pb.ASSURANCE_DEVICE
    HTTP = pb.ASSURANCE_HTTP
    TOKEN = pb.ASSURANCE_TOKEN
    GATEWAY = pb.ASSURANCE_GATEWAY


ASSURANCE_CODES: Final = {
    Assurance.DEVICE: pb.ASSURANCE_DEVICE,
    Assurance.HTTP: pb.ASSURANCE_HTTP,
    Assurance.TOKEN: pb.ASSURANCE_TOKEN,
    Assurance.GATEWAY: pb.ASSURANCE_GATEWAY,
}
ASSURANCE_SHARES: Final = {Assurance.DEVICE: 1.0, Assurance.HTTP: 1.0, Assurance.TOKEN: 0.8, Assurance.GATEWAY: 0.7}

RULE_COLUMNS: Final = 10
LOW, HIGH, SOFT_LOW, SOFT_HIGH, PER_LOW, PER_HIGH, MAX_RATE, SLACK, FLAT_N, ON_TIME = range(RULE_COLUMNS)


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A property's rules for one block, as numbers: what is absent has a value that never bites. Known by identity."""

    low: float  # hard bounds
    high: float
    consistency: bool  # numbers and booleans; points and texts have only timeliness and completeness
    soft_low: float = 0.0
    soft_high: float = 0.0
    per_low: float = 0.0  # share lost per unit below soft_low; 0: no soft bound
    per_high: float = 0.0
    max_rate: float = 0.0  # per us
    slack: float = np.inf  # added to max_rate * dt: infinite without a rate
    flat_n: float = np.inf
    outliers: bool = False
    on_time_us: float = 0.0
    period_us: float = 0.0  # 0: none
    packed: bytes = field(init=False, repr=False)  # a column of the rule table: RULE_COLUMNS float64

    def __post_init__(self) -> None:
        packed = struct.pack(
            f"={RULE_COLUMNS}d", self.low, self.high, self.soft_low, self.soft_high, self.per_low, self.per_high,
            self.max_rate, self.slack, self.flat_n, self.on_time_us,
        )  # fmt: skip
        object.__setattr__(self, "packed", packed)


def rule_of(prop: Property, low: float, high: float, *, numeric: bool) -> Rule:
    """The rules of a property; `numeric` for numbers and booleans. `low`, `high`: hard bounds, finite."""
    period_us = (prop.period_s or 0.0) * 1e6
    on_time_us = max(prop.latency_s * 1e6, 2 * period_us, 10e6)
    if not numeric:
        return Rule(low, high, consistency=False, on_time_us=on_time_us, period_us=period_us)
    soft = prop.soft
    return Rule(
        low, high, consistency=True,
        soft_low=soft.low if soft else 0.0, soft_high=soft.high if soft else 0.0,
        per_low=1 / (soft.low - low) if soft and soft.low > low else 0.0,
        per_high=1 / (high - soft.high) if soft and high > soft.high else 0.0,
        max_rate=(prop.max_rate or 0.0) / 1e6, slack=0.0 if prop.max_rate else np.inf,
        flat_n=prop.flat_n or np.inf, outliers=prop.kind == "number", on_time_us=on_time_us, period_us=period_us,
    )  # fmt: skip


class BlockScore(NamedTuple):
    """What the readings of a block have in common: weights that sum to 1, completeness and assurance shares."""

    weights: Mapping[str, float]
    completeness: float | None
    assurance: float


class Scores(NamedTuple):
    """quality, flags (n,) uint8; completeness 0..100 or 255 per block; shares by name where any is below 1, (n,).

    A NamedTuple, as `Block` is.
    """

    quality: Bytes
    flags: Bytes
    completeness: tuple[int, ...]
    shares: Mapping[str, Floats]
    blocks: tuple[BlockScore, ...]
    counts: tuple[int, ...]  # readings of each block


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dimension of one reading's score; what makes consistency, its minimum, as parts without weight."""

    name: str
    value: float  # 0..100
    weight: float  # of 1
    parts: tuple["Dimension", ...] = ()


def weights_of(on: Sequence[bool]) -> Mapping[str, float]:
    """The weights of the dimensions that are on, in the order of WEIGHTS, made to sum to 1."""
    total = sum(weight for weight, each in zip(WEIGHTS.values(), on, strict=True) if each)
    return {name: weight / total for (name, weight), each in zip(WEIGHTS.items(), on, strict=True) if each}


def explain(scores: Scores, index: int) -> tuple[Dimension, ...]:
    """The dimensions that made the score of reading `index`, those that were on."""
    block = scores.blocks[int(np.searchsorted(np.cumsum(scores.counts), index, side="right"))]

    def value(name: str) -> float:
        return 100 * float(scores.shares[name][index]) if name in scores.shares else 100.0

    parts = tuple(Dimension(name, value(name), 0.0) for name in CONSISTENCY_PARTS)
    values = {
        "consistency": min(part.value for part in parts),
        "timeliness": value("timeliness"),
        "completeness": 100 * (block.completeness or 0.0),
        "assurance": 100 * block.assurance,
    }
    return tuple(
        Dimension(name, values[name], weight, parts if name == "consistency" else ())
        for name, weight in block.weights.items()
    )
