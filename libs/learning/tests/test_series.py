"""The CSV reader: strict, with the row that is wrong; and readings in any order."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from didymos_learning import LearningError, Series, read_glucose, series_of

GLUCOSE = Path(__file__).parents[3] / "data" / "glucose"
HEADER = '"","id","time","gl"\n'
GOOD = '"1","a",2014-02-03 03:42:12,93\n"2","a",2014-02-03 03:47:12,94\n"3","b",2014-02-03 03:47:12,95.5\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "readings.csv"
    path.write_text(text)
    return path


def test_people_come_in_order_of_appearance_with_times_in_utc(tmp_path: Path) -> None:
    people = read_glucose(written(tmp_path, HEADER + GOOD))
    assert list(people) == ["a", "b"]
    assert people["a"].times.tolist() == [1_391_398_932_000_000, 1_391_399_232_000_000]
    assert people["b"].values.tolist() == [95.5]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (3, HEADER + '"1","a",2014-02-03 03:42:12,93\n"2","a",yesterday,94\n'),
        (2, HEADER + '"1","a",2014-02-30 03:42:12,93\n'),
        (2, HEADER + '"1","a",2014-02-03 03:42:12,NA\n'),
        (2, HEADER + '"1","a",2014-02-03 03:42:12,nan\n'),
        (2, HEADER + '"1","a",2014-02-03 03:42:12,19.9\n'),
        (2, HEADER + '"1","a",2014-02-03 03:42:12,601\n'),
        (2, HEADER + '"1","",2014-02-03 03:42:12,93\n'),
        (4, HEADER + '"1","a",2014-02-03 03:42:12,93\n' * 2 + '"1","a",2014-02-03 03:42:12\n'),
        (1, '"id","time"\n'),
        (1, '"id","time","gl","gl"\n'),
        (1, ""),
    ],
    ids=["time", "date", "na", "nan", "low", "high", "nobody", "short", "column", "twice", "empty"],
)
def test_a_bad_row_is_refused_with_its_number(row: int, text: str, tmp_path: Path) -> None:
    with pytest.raises(LearningError) as refused:
        read_glucose(written(tmp_path, text))
    assert refused.value.code == "training.series_malformed"
    assert refused.value.values["row"] == row


@pytest.mark.parametrize(
    "spoil", [lambda raw: raw[:-9], lambda raw: b"PK" + raw, lambda raw: raw[:30] + b"\0" + raw[31:]]
)
def test_a_broken_archive_is_refused(spoil: object, tmp_path: Path) -> None:
    path = tmp_path / "readings.csv.gz"
    path.write_bytes(spoil(gzip.compress((HEADER + GOOD * 50).encode())))  # type: ignore[operator]
    with pytest.raises(LearningError, match=r"training\.series_malformed"):
        read_glucose(path)


def test_readings_in_any_order_are_sorted_and_what_was_mended_is_counted() -> None:
    series = series_of(np.array([30, 10, 20, 20, 40]), np.array([3.0, 1.0, 2.0, 9.0, 4.0]))
    assert series.times.tolist() == [10, 20, 30, 40]
    assert series.values.tolist() == [1.0, 2.0, 3.0, 4.0]  # of one time the first stays
    assert (series.duplicates, series.disordered) == (1, 3)
    assert len(series_of(np.array([], dtype=np.int64), np.array([]))) == 0


@pytest.mark.parametrize(
    ("times", "values"),
    [([1, 2], [1.0]), ([1, 1], [1.0, 2.0]), ([2, 1], [1.0, 2.0]), ([1, 2], [1.0, float("nan")]), ([[1]], [[1.0]])],
)
def test_a_series_that_is_none_is_refused(times: list[int], values: list[float]) -> None:
    with pytest.raises(LearningError, match=r"training\.series_malformed"):
        Series(np.array(times), np.array(values))


def test_the_data_of_the_demo_are_as_their_page_says() -> None:
    people, others = read_glucose(GLUCOSE / "readings.csv.gz"), read_glucose(GLUCOSE / "validation.csv.gz")
    assert (len(people), sum(map(len, people.values()))) == (19, 34_890)
    assert (len(others), sum(map(len, others.values()))) == (5, 13_866)
    assert sum(series.duplicates + series.disordered for series in [*people.values(), *others.values()]) == 0
