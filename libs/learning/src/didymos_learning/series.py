"""One person's readings in order of time, and a strict reader of the CSV they come in."""

import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_learning.errors import LearningError

Times: TypeAlias = NDArray[np.int64]  # microseconds since 1970, UTC
Values: TypeAlias = NDArray[np.float64]
TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
BOUNDS: Final = (20.0, 600.0)  # mg/dL that a glucose sensor can mean


@dataclass(frozen=True, slots=True)
class Series:
    """n readings: `times` (n,) strictly ascending, `values` (n,). What was mended on the way is counted.

    `duplicates`: readings of a time that was there before, dropped. `disordered`: readings that came after a later one.
    """

    times: Times
    values: Values
    duplicates: int = 0
    disordered: int = 0

    def __post_init__(self) -> None:
        if self.times.ndim != 1 or self.times.shape != self.values.shape:
            raise LearningError("training.series_malformed", detail="as many times as values, in one row each")
        if not np.isfinite(self.values).all() or (np.diff(self.times) <= 0).any():
            raise LearningError("training.series_malformed", detail="values are finite and times ascend")

    def __len__(self) -> int:
        return len(self.times)


def series_of(times: Times, values: Values) -> Series:
    """Readings in any order, sorted by time; of one time the first stays. Raises LearningError for NaN and its like."""
    disordered = int((times < np.maximum.accumulate(times)).sum()) if len(times) else 0
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = np.diff(ordered) > 0
    kept = order[first]
    return Series(times[kept].astype(np.int64), values[kept].astype(np.float64), int((~first).sum()), disordered)


def read_glucose(path: Path) -> dict[str, Series]:
    """The people of a (gzipped) CSV with columns `id`, `time` (read as UTC) and `gl` (mg/dL), in order of appearance.

    Raises LearningError `training.series_malformed` with the number of the first bad row (the header is row 1).
    """
    if path.suffix != ".gz":
        with path.open(encoding="utf-8", newline="") as file:
            return _people(file)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return _people(file)


def _people(file: TextIO) -> dict[str, Series]:
    found: dict[str, tuple[list[int], list[float]]] = {}
    for number, row in _rows(file):
        times, values = found.setdefault(row["id"], ([], []))
        time, value = _reading(number, row)
        times.append(time)
        values.append(value)
    return {
        person: series_of(np.array(times, dtype=np.int64), np.array(values))
        for person, (times, values) in found.items()
    }


def _rows(file: TextIO) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        rows = csv.reader(file, strict=True)
        header = next(rows, [])
        missing = {"id", "time", "gl"} - set(header)
        if missing or len(set(header)) != len(header):
            raise LearningError("training.series_malformed", row=1, detail="columns id, time and gl, each once")
        for number, row in enumerate(rows, start=2):
            if len(row) != len(header):
                raise LearningError(
                    "training.series_malformed", row=number, detail=f"{len(row)} of {len(header)} fields"
                )
            yield number, dict(zip(header, row, strict=True))
    except (csv.Error, UnicodeDecodeError, EOFError, OSError, zlib.error) as error:
        raise LearningError("training.series_malformed", detail=str(error)) from error


def _reading(number: int, row: Mapping[str, str]) -> tuple[int, float]:
    if not row["id"]:
        raise LearningError("training.series_malformed", row=number, detail="id is empty")
    try:
        time = datetime.strptime(row["time"], TIME_FORMAT).replace(tzinfo=UTC)
        value = float(row["gl"])
    except ValueError:
        raise LearningError(
            "training.series_malformed", row=number, detail="time as 2014-02-03 03:42:12, gl as 93"
        ) from None
    if not BOUNDS[0] <= value <= BOUNDS[1]:
        raise LearningError(
            "training.series_malformed", row=number, detail=f"gl is {BOUNDS[0]:g} to {BOUNDS[1]:g} mg/dL"
        )
    return int(time.timestamp()) * 1_000_000, value
