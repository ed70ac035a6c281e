"""What is known of a model, what a forecast says, and the naive one that stands in. learning.md section 12."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from didymos_twin_state.domain.columns import Readings

COVER: Final = 0.8
DEFAULT_HORIZON_US: Final = 1_800_000_000
LEAST_ERRORS: Final = 20  # fewer give no band: it is as wide as the values are


@dataclass(frozen=True, slots=True)
class Served:
    """A registered model as far as serving needs it. `low`, `high`: the 80 % band around its mean, in the unit.

    `input` readings of `period_us` are read, to say what is `horizon_us` after the last. `since_us`: registered.
    """

    model_id: str
    run: str
    twin: str  # empty: shared
    task: str
    name: str
    unit: str
    period_us: int
    input: int
    horizon_us: int
    spec: bytes  # digests
    params: bytes
    low: float
    high: float
    metrics: dict[str, float]
    since_us: int = 0

    @property
    def personal(self) -> bool:
        return bool(self.twin)


@dataclass(frozen=True, slots=True)
class Strangeness:
    """How rare an error as large as that of the newest reading is; `alarm`: 3 of the last 5 were below 0.001."""

    chance: float
    alarm: bool
    compared: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Mean and an 80 % band at `at_us`. `fallback` says why the naive forecast was given; empty if a model made it.

    `withdrawn`: the twin's own model, if drift took its gain away and the shared one speaks.
    """

    mean: float
    low: float
    high: float
    unit: str
    at_us: int
    made_at_us: int
    model_id: str = ""
    personal: bool = False
    fallback: str = ""
    strangeness: Strangeness | None = None
    withdrawn: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A forecast that was made as a reading came: of `last`, observed at `last_us`.

    `watched`: its band and strangeness are from a replay of the past; else the band is the model's own.
    """

    twin: str
    name: str
    forecast: Forecast
    last_us: int
    last: float
    watched: bool


def naive(readings: Readings, horizon_us: int, made_at_us: int, reason: str) -> Forecast:
    """The last value stays; the band is what 80 % of past changes over the horizon kept within.

    `readings`: at least one number, in order of time.
    """
    numbers = readings.numbers
    if numbers is None or not len(readings):
        raise ValueError("a forecast starts from a number")
    times, last = readings.times_us, float(numbers[-1])
    later = np.searchsorted(times, times + horizon_us)
    inside = later < len(times)
    changes = np.abs(numbers[later[inside]] - numbers[inside])
    width = float(np.quantile(changes, COVER)) if len(changes) >= LEAST_ERRORS else float(np.ptp(numbers))
    at_us = int(times[-1]) + horizon_us
    return Forecast(last, last - width, last + width, readings.unit, at_us, made_at_us, fallback=reason)
