"""Real data as devices measured it: each subject of a data set is a twin with a device, in its own order and pace."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from didymos_did import TwinId
from didymos_readings import Column, DecodeContext, Row, built_in_profiles
from didymos_readings.csv_rows import decode_csv

from tests.data_sets.sources import SOURCES, Source, files
from tests.load.shapes import Measured

BATCH: Final = 20  # times of a property in a batch
FILE_RECORDS: Final = 4_000
GLUCOSE: Final = "glucose"  # the data set of this tree
Series = dict[tuple[str, str], tuple[list[int], list[float]]]  # by property and unit


def subjects(folder: Path, name: str, records: int) -> tuple[str, dict[str, Series]]:
    """The profile, and the numbers of each subject of the first `records` (0: of all). Raises ValueError."""
    if name == GLUCOSE:
        return "glucose@1", _glucose(folder / "readings.csv.gz", records)
    source = next((each for each in SOURCES if each.name == name), None)
    if source is None:
        raise ValueError(f"{name} is none of {', '.join([GLUCOSE, *(each.name for each in SOURCES)])}")
    return source.profile, _decoded(source, folder, records)


def replayed(series: Series, twin: TwinId, speed: float) -> Iterator[Measured]:
    """Batches in order of time, `speed` times as fast as it was; 0: as fast as they are taken."""
    parts = [
        (t_us[first : first + BATCH], values[first : first + BATCH], name, unit)
        for (name, unit), (t_us, values) in series.items()
        for first in range(0, len(t_us), BATCH)
    ]
    by_end: dict[int, list[Column]] = defaultdict(list)
    for t_us, values, name, unit in parts:
        by_end[max(t_us)].append(Column(twin, name, unit, np.array(t_us, np.int64), np.array(values)))
    if not by_end:
        return
    begin_us = min(min(t_us) for t_us, _, _, _ in parts)
    for end_us in sorted(by_end):
        yield Measured(tuple(by_end[end_us]), (end_us - begin_us) / 1e6 / speed if speed else 0.0)


def _glucose(path: Path, records: int) -> dict[str, Series]:
    found: dict[str, Series] = {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for at, row in enumerate(csv.DictReader(file)):
            if at == records > 0:
                break
            t_us = int(np.datetime64(row["time"], "us").astype(np.int64))
            _note(found.setdefault(row["id"], {}), "glucose/level", "mg/dL", t_us, float(row["gl"]))
    return found


def _decoded(source: Source, folder: Path, records: int) -> dict[str, Series]:
    found: dict[str, Series] = defaultdict(dict)
    context = DecodeContext(0, lambda _: None, lambda name: name or "-", built_in_profiles()[source.profile])
    for body in files(source, folder, records, FILE_RECORDS):
        for row in decode_csv(body, context):
            if isinstance(row, Row) and isinstance(row.value, float):
                _note(found[row.twin], row.property, row.unit, row.observed_at_us, row.value)
    return found


def _note(series: Series, name: str, unit: str, t_us: int, value: float) -> None:
    times, values = series.setdefault((name, unit), ([], []))
    times.append(t_us)
    values.append(value)
