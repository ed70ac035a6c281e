"""From the real data sets to clients, cut by person, run or time and never by row. The folder is given.

Parquet needs pyarrow, which is no requirement of this project: put it on PYTHONPATH to read activity, beats and wind.
"""

import csv
import gzip
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from didymos_learning import TaskSpec
from didymos_learning.examples import Examples, example_data
from didymos_learning.windows import ClientData
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Wide: TypeAlias = NDArray[np.float64]
HOUR: Final = 3600
MINUTE_360: Final = 60 * 360  # samples of the heart records in a minute
ACTIVITIES: Final = ("SEATED", "STANDING_UP", "WALKING", "TURNING", "SITTING_DOWN")
BEATS: Final = ("N", "S", "V", "F")
BEATS_BEFORE: Final = 10  # whose intervals say what the rhythm is now
CAP: Final = 125.0  # cycles: an engine that lasts longer shows nothing yet
CYCLES: Final = 30


def parquet(path: Path, columns: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """The columns of a file."""
    table = importlib.import_module("pyarrow.parquet").read_table(path, columns=columns)
    return {name: table.column(name).to_numpy() for name in table.schema.names}


def joined(parts: Sequence[Examples]) -> Examples:
    """One part out of several, in this order."""
    inputs = np.concatenate([part.inputs for part in parts])
    truth, naive = (np.concatenate([getattr(part, name) for part in parts]) for name in ("truth", "naive"))
    units = [part.units for part in parts if part.units is not None]
    times = np.concatenate([part.times for part in parts])
    return Examples(inputs, truth, naive, times, np.concatenate(units) if len(units) == len(parts) else None)


def activity(folder: Path, task: TaskSpec) -> dict[str, tuple[ClientData, ClientData]]:
    """By person: as one who trains (all runs are fit), and as a newcomer (runs 1-3, 4, 5, 6 and later)."""
    found = parquet(folder / "har_sp_sw/har_sp_sw.parquet")
    phone = {name: values[found["device"] == "sp"] for name, values in found.items()}
    people: dict[str, tuple[ClientData, ClientData]] = {}
    for person in sorted(set(phone["subject"])):
        own = {name: values[phone["subject"] == person] for name, values in phone.items()}
        runs = [_spectra(own, run, stride) for stride in (50, 10) for run in range(1, 12)]
        runs = [replace_naive(run, runs[:3]) for run in runs]
        coarse, fine = runs[:11], runs[11:]
        none = _spectra(own, 99, 50)
        trains = example_data(person, [joined(coarse), none, none, none], task)
        meets = [joined(coarse[:3]), fine[3], fine[4], joined(coarse[5:])]
        people[person] = (trains, example_data(person, meets, task))
    return people


def replace_naive(run: Examples, of: Sequence[Examples]) -> Examples:
    """The same, with the class that is most frequent in `of` as the naive answer."""
    counts = np.bincount(joined(of).truth.astype(np.int64))
    return replace(run, naive=np.full(len(run.truth), float(counts.argmax())))


def _spectra(own: Mapping[str, NDArray[Any]], run: int, stride: int) -> Examples:
    """Windows of one second: 9 frames x (8 signals x 16 bins), the class that most of its samples have."""
    rows = own["execution"] == run
    axes = [own[name][rows] / scale for name, scale in zip(("ax", "ay", "az"), [500.0] * 3, strict=True)]
    turns = [own[name][rows] / 1000.0 for name in ("gx", "gy", "gz")]
    signals = np.stack([*axes, np.linalg.norm(axes, axis=0), *turns, np.linalg.norm(turns, axis=0)])
    labels = np.searchsorted(np.sort(ACTIVITIES), own["label"][rows].astype(str))
    labels = np.argsort(ACTIVITIES)[labels]
    starts = np.arange(0, max(int(rows.sum()) - 99, 0), stride)
    windows = np.stack([signals[:, at : at + 100] for at in starts]) if len(starts) else np.zeros((0, 8, 100))
    frames = sliding_window_view(windows, 32, axis=2)[:, :, ::8] * np.hanning(32)  # (n, 8, 9, 32)
    spectrum = np.fft.rfft(frames)[..., :16]
    image = np.log1p(np.abs(spectrum))
    image[..., 0] = spectrum[..., 0].real / 8.0  # the mean keeps its sign: where down is
    inputs = image.transpose(0, 2, 1, 3).reshape(len(starts), 9, 128).astype(np.float32)
    truth = [float(np.bincount(labels[at : at + 100]).argmax()) for at in starts]
    count = len(starts)
    units = np.full(count, run, dtype=np.int64)
    return Examples(inputs, np.array(truth), np.zeros(count), run * 1_000_000 + starts.astype(np.int64), units)


def beats(folder: Path, task: TaskSpec) -> tuple[list[ClientData], list[ClientData]]:
    """Patients of DS1, who train, and of DS2 but 202, who are tested."""
    return patients(folder, task, "DS1", whole=True), patients(folder, task, "DS2", whole=False)


def patients(folder: Path, task: TaskSpec, split: str, *, whole: bool) -> list[ClientData]:
    """By record: all beats to fit, or as a newcomer: minutes 0-5, 5-6.5, 6.5-8, the rest."""
    found = parquet(folder / "ecg_mitbih/mitbih_beats.parquet")
    keep = np.isin(found["aami"], BEATS) & (found["split"] == split) & (found["record"] != "202")
    edges = np.array([0.0, *((60.0, 60.0, 60.0) if whole else (5.0, 6.5, 8.0)), 60.0]) * MINUTE_360
    people = []
    for record in sorted(set(found["record"][keep])):
        rows = _beats({name: values[keep & (found["record"] == record)] for name, values in found.items()})
        parts = [_picked(rows, (rows.times >= a) & (rows.times < b)) for a, b in pairwise(edges)]
        people.append(example_data(record, parts, task, range(task.columns)))
    return people


def _beats(own: Mapping[str, NDArray[Any]]) -> Examples:
    """80 samples of a beat, what it has more than the usual one of this heart, and five ratios of intervals.

    What is usual is the median of the first five minutes, without a label: it means the same of every patient.
    """
    count, first = len(own["sample"]), own["sample"] < 5 * MINUTE_360
    wave = np.stack([own[f"s{at:02}"] for at in range(80)], axis=1).astype(np.float64)
    wave -= np.median(wave, axis=1, keepdims=True)
    usual = np.median(wave[first], axis=0)
    before, after = (own[name].astype(np.float64) for name in ("rr_prev_ms", "rr_next_ms"))
    rhythm = np.nanmedian(before[first])
    before, after = np.nan_to_num(before, nan=rhythm), np.nan_to_num(after, nan=rhythm)
    past = sliding_window_view(np.concatenate([np.full(BEATS_BEFORE, rhythm), before[:-1]]), BEATS_BEFORE)
    ratios = np.log(np.stack([before / rhythm, after / rhythm, before / past.mean(axis=1), after / before], axis=1))
    uneven = np.abs(np.log(past[:, 1:] / past[:, :-1])).mean(axis=1)
    inputs = np.empty((count, 80, 7), dtype=np.float32)
    inputs[..., 0] = wave / wave[first].std()
    inputs[..., 1] = (wave - usual) / wave[first].std()
    inputs[..., 2:6] = np.clip(3.0 * ratios, -3.0, 3.0)[:, None]
    inputs[..., 6] = np.minimum(5.0 * uneven, 3.0)[:, None]
    truth = np.array([float(BEATS.index(each)) for each in own["aami"]])
    return Examples(inputs, truth, np.zeros(count), own["sample"].astype(np.int64))


def _picked(rows: Examples, which: NDArray[np.bool_]) -> Examples:
    return Examples(rows.inputs[which], rows.truth[which], rows.naive[which], rows.times[which])


def engines(folder: Path, task: TaskSpec) -> list[ClientData]:
    """24 fleets of 25 to 33 engines: 60, 20, 20 % of those that failed; test: the official ones, last cycle."""
    fleets: list[ClientData] = []
    for number, count in ((1, 4), (2, 8), (3, 4), (4, 8)):
        train = _engine_rows(folder / f"cmapss/train_FD00{number}.txt.gz")
        test = _engine_rows(folder / f"cmapss/test_FD00{number}.txt.gz")
        left = np.loadtxt(folder / f"cmapss/RUL_FD00{number}.txt.gz")
        for fleet in range(count):
            own, asked = list(train)[fleet::count], list(test)[fleet::count]
            cuts = [0, int(0.6 * len(own)), int(0.8 * len(own)), len(own)]
            parts = [own[a:b] for a, b in pairwise(cuts)]
            scaled = _by_condition(np.concatenate([train[unit] for unit in parts[0]]))
            windows = [joined([_life(unit, scaled(train[unit]), None) for unit in part]) for part in parts]
            windows.append(joined([_life(unit, scaled(test[unit]), float(left[unit - 1])) for unit in asked]))
            usual = windows[0].truth.mean()
            windows = [replace(part, naive=np.full(len(part.truth), usual)) for part in windows]
            fleets.append(example_data(f"FD00{number}-{fleet}", windows, task))
    return fleets


def _engine_rows(path: Path) -> dict[int, Wide]:
    rows = np.loadtxt(path)
    return {int(unit): rows[rows[:, 0] == unit, 1:] for unit in np.unique(rows[:, 0])}


def _by_condition(rows: Wide) -> Any:
    """Scales sensors by the means of their flight condition (rounded settings), learnt on these rows alone."""

    def named(of: Wide) -> NDArray[Any]:
        return np.round(of[:, 1] / 5.0) * 1000.0 + np.round(of[:, 3] / 20.0)

    known = {name: rows[named(rows) == name, 4:] for name in np.unique(named(rows))}
    moments = {name: (of.mean(axis=0), np.maximum(of.std(axis=0), 1e-6)) for name, of in known.items()}

    def scaled(of: Wide) -> Wide:
        out = np.zeros((len(of), 22))
        for name, (mean, spread) in moments.items():
            at = named(of) == name
            out[at, :21] = np.where(spread > 1e-5, (of[at, 4:] - mean) / spread, 0.0)
        out[:, 21] = of[:, 0] / 100.0
        return out

    return scaled


def _life(unit: int, rows: Wide, left: float | None) -> Examples:
    """Each 16th window of an engine that failed at its end, or the last one of an engine with `left` cycles to go."""
    if len(rows) < CYCLES:
        rows = np.concatenate([np.repeat(rows[:1], CYCLES - len(rows), axis=0), rows])
    ends = np.arange(CYCLES, len(rows) + 1, 16) if left is None else np.array([len(rows)])
    inputs = np.stack([rows[end - CYCLES : end] for end in ends]).astype(np.float32)
    truth = np.minimum(len(rows) - ends.astype(np.float64) if left is None else np.array([left]), CAP)
    units = np.full(len(ends), unit, dtype=np.int64)
    return Examples(inputs, truth, np.zeros(len(ends)), unit * 10_000 + ends.astype(np.int64), units)


def homes(folder: Path, task: TaskSpec) -> list[ClientData]:
    """17 homes, load of the next hour from a day of hours, each second hour: 60, 10, 10, last 20 % of the year."""
    with gzip.open(folder / "energy_citylearn/context_hourly.csv.gz", "rt", newline="") as file:
        outdoor = np.array([float(row["outdoor_dry_bulb_temperature"]) for row in csv.DictReader(file)])
    found: dict[str, list[tuple[float, float, float]]] = {}
    with gzip.open(folder / "energy_citylearn/homes_hourly.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["time"]).replace(tzinfo=UTC).timestamp()
            found.setdefault(row["home"], []).append((at, float(row["load_kwh"]), float(row["solar_w_per_kwp"])))
    return [_home(home, np.array(rows), outdoor, task) for home, rows in found.items()]


def _home(home: str, rows: Wide, outdoor: Wide, task: TaskSpec) -> ClientData:
    at, load, solar = rows.T
    angle, week = at % 86_400 / 86_400 * 2 * np.pi, (at // 86_400 + 4) % 7 >= 5
    columns = np.stack([load, solar, outdoor, np.sin(angle), np.cos(angle), week], axis=1)
    return example_data(home, list(in_time(columns, load, at, task, (0.6, 0.7, 0.8), 2)), task)


def in_time(
    columns: Wide, answer: Wide, at: Wide, task: TaskSpec, cuts: Sequence[float], stride: int
) -> Iterator[Examples]:
    """Four parts in order of time; a window and its answer lie in one part, and hold no gap and no empty cell."""
    edges = [0, *(int(cut * len(at)) for cut in cuts), len(at)]
    for begin, end in pairwise(edges):
        last = np.arange(begin + task.input - 1, end - task.horizon, stride)
        rows = last[:, None] + np.arange(1 - task.input, 1)
        whole = at[last + task.horizon] - at[rows[:, 0]] == (task.span - 1) * task.period_s
        whole &= np.isfinite(columns[rows]).all(axis=(1, 2)) & np.isfinite(answer[last + task.horizon])
        kept, rows = last[whole], rows[whole]
        inputs = columns[rows].astype(np.float32)
        yield Examples(inputs, answer[kept + task.horizon], answer[kept], (at[kept] * 1e6).astype(np.int64))


def wind(folder: Path, task: TaskSpec) -> list[ClientData]:
    """4 turbines, power in ten minutes, each second hour; test from 2015-07-01; before it 60, 20 and 20 %.

    An outdoor sensor that reads less than -40 C is empty.
    """
    found = parquet(folder / "wind_lhb/lhb_10min.parquet")
    clients = []
    for turbine in sorted(set(found["turbine"])):
        rows = found["turbine"] == turbine
        at = found["time"][rows].astype("datetime64[s]").astype(np.float64)
        power, speed, pitch, outdoor = (
            found[name][rows].astype(np.float64) for name in ("power_kw", "wind_ms", "pitch_deg", "outdoor_c")
        )
        angle = found["wind_dir_deg"][rows].astype(np.float64) * np.pi / 180
        outdoor[outdoor < -40.0] = np.nan
        columns = np.stack([power, speed, np.sin(angle), np.cos(angle), pitch, outdoor], axis=1)
        until = float(np.searchsorted(at, np.datetime64("2015-07-01", "s").astype(np.float64))) / len(at)
        cuts = (0.6 * until, 0.8 * until, until)
        clients.append(example_data(str(turbine), list(in_time(columns, power, at, task, cuts, 12)), task))
    return clients
