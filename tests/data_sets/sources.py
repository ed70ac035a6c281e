"""The eight data sets as CSV files that profiles map. The folder is given; parquet needs pyarrow, which is not ours."""

import csv
import gzip
import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final

Records = Iterator[list[Any]]


@dataclass(frozen=True)
class Source:
    """`records(folder)`: a header and rows, as the `csv` mapping of `profile` wants them."""

    name: str
    profile: str
    records: Callable[[Path], Records]
    delimiter: str = ","


def _gzipped(name: str, delimiter: str = ",") -> Callable[[Path], Records]:
    def records(folder: Path) -> Records:
        with gzip.open(folder / name, "rt", encoding="utf-8-sig", newline="") as file:
            yield from csv.reader(file, delimiter=delimiter)

    return records


def _parquet(name: str, columns: tuple[str, ...]) -> Callable[[Path], Records]:
    def records(folder: Path) -> Records:
        parquet = importlib.import_module("pyarrow.parquet")
        yield list(columns)
        for batch in parquet.ParquetFile(folder / name).iter_batches(10_000, columns=list(columns)):
            lists = [_rounded(batch.column(at).to_pylist()) for at in range(batch.num_columns)]
            yield from (list(row) for row in zip(*lists, strict=True))

    return records


def _rounded(values: list[Any]) -> list[Any]:
    """float32 as it was written: two decimals at most."""
    return [round(value, 3) if isinstance(value, float) else value for value in values]


def _detectors(folder: Path) -> Records:
    """One column per detector becomes one row per detector and time."""
    rows = _gzipped("traffic_losloop/los_speed.csv.gz")(folder)
    detectors = next(rows)[1:]
    yield ["detector", "time", "speed_mph"]
    for time, *speeds in rows:
        yield from ([detector, time, speed] for detector, speed in zip(detectors, speeds, strict=True))


def _engines(folder: Path) -> Records:
    with gzip.open(folder / "cmapss/train_FD001.txt.gz", "rt") as file:
        yield from (line.split() for line in file)


SAMPLES: Final = tuple(f"s{at:02}" for at in range(80))
SOURCES: Final = (
    Source("cgm_shanghai", "flash-glucose@2", _gzipped("cgm_shanghai/cgm.csv.gz")),
    Source("energy_citylearn", "household-energy@1", _gzipped("energy_citylearn/homes_hourly.csv.gz")),
    Source("wind_lhb", "wind-turbine@1", _parquet("wind_lhb/lhb_10min.parquet", (
        "turbine", "time", "power_kw", "wind_ms", "wind_dir_deg", "nacelle_deg", "pitch_deg", "outdoor_c"))),
    Source("cmapss", "turbofan@1", _engines, " "),
    Source("har_sp_sw", "inertial@1", _parquet("har_sp_sw/har_sp_sw.parquet", (
        "subject", "t_ms", "ax", "ay", "az", "gx", "gy", "gz", "label"))),
    Source("ecg_mitbih", "ecg-beat@1", _parquet("ecg_mitbih/mitbih_beats.parquet", (
        "patient", "sample", "rr_prev_ms", "rr_next_ms", "symbol", "aami", *SAMPLES))),
    Source("supply_scms", "shipment@1", _gzipped("supply_scms/scms_delivery_history.csv.gz")),
    Source("traffic_losloop", "traffic-detector@1", _detectors),
)  # fmt: skip


def files(source: Source, folder: Path, records: int, most: int) -> Iterator[bytes]:
    """Whole CSV files of at most `most` records each, of the first `records` (0: of all)."""
    rows = source.records(folder)
    header = [] if source.delimiter == " " else [next(rows)]
    part: list[list[Any]] = []
    for at, row in enumerate(rows):
        if at == records > 0:
            break
        part.append(row)
        if len(part) == most:
            yield _file(header + part, source.delimiter)
            part = []
    if part:
        yield _file(header + part, source.delimiter)


def _file(rows: Iterable[list[Any]], delimiter: str) -> bytes:
    text = StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
