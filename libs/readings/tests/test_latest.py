"""The latest reading of a column is the same, read where it lies or out of all that is decoded."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from didymos.ingestion.v1 import ingestion_types_pb2 as pb
from didymos_readings import (
    Column,
    Op,
    ReadingError,
    decode_parcel,
    latest_of,
    latest_readings,
    normalise,
    parcel_contents,
    parse_profile,
)
from didymos_testing.readings import NOON_US, TWIN, a_batch, everywhere
from hypothesis import given
from hypothesis import strategies as st

PROFILE = parse_profile(
    b"""{"id": "kinds@1", "title": "Kinds", "properties": [{"name": "open", "kind": "bool"},
    {"name": "place", "kind": "point"}, {"name": "note", "kind": "text"}, {"name": "acid", "unit": "mol/L"},
    {"name": "level", "unit": "mg/dL", "hard": [-1e6, 1e6]}, {"name": "heat", "unit": "K"}]}"""
)
MADE: dict[str, tuple[str, Callable[[int, np.random.Generator], Any]]] = {
    "level": ("mg/dL", lambda n, draw: draw.normal(0, 4e5, n)),
    "heat": ("Cel", lambda n, draw: draw.normal(0, 100, n).astype(np.float32)),
    "acid": ("[pH]", lambda n, draw: draw.uniform(0, 14, n)),
    "open": ("", lambda n, draw: draw.random(n) > 0.5),
    "place": ("", lambda n, draw: draw.uniform(-80, 80, (n, 3))),
    "note": ("", lambda n, draw: tuple(str(each) for each in draw.integers(0, 9, n))),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(MADE)), st.integers(1, 300), st.booleans()), min_size=1, max_size=5),
       st.integers(0, 1 << 32))  # fmt: skip
def test_the_latest_of_each_column_is_that_of_its_decoded_readings(
    drawn: list[tuple[str, int, bool]], seed: int
) -> None:
    draw, columns = np.random.default_rng(seed), []
    for name, count, back in drawn:
        unit, values = MADE[name]
        t_us = NOON_US - draw.integers(0, 40, count) * 1_000_000
        op = Op.RETRACTION if back else Op.READING
        columns.append(Column(TWIN, name, unit, t_us, values(count, draw), op))
    found, _ = normalise(a_batch(*columns, profile="kinds@1"), PROFILE, NOON_US, everywhere)
    for content in parcel_contents(found):
        expected = [latest_of(column) for column in decode_parcel(content.body).columns]
        assert list(latest_readings(content.body)) == [each for each in expected if each is not None]


def test_whole_numbers_beyond_the_exact_ones_are_as_numpy_has_them() -> None:
    numbers = np.array([2**53 + 1, -(2**62) - 1, 2**53 + 3], np.int64)
    profile = parse_profile(b'{"id": "n@1", "title": "N", "properties": [{"name": "n", "unit": "1"}]}')
    for count in (1, 2, 3):
        column = Column(TWIN, "n", "1", NOON_US - np.arange(count)[::-1] * 1000, numbers[:count])
        found, _ = normalise(a_batch(column, profile="n@1"), profile, NOON_US, everywhere)
        (content,) = parcel_contents(found)
        (latest,) = latest_readings(content.body)
        assert latest.value == float(numbers[count - 1])
        assert latest == latest_of(decode_parcel(content.body).columns[0])


def test_what_no_parcel_says_is_refused() -> None:
    block = pb.Annotated(block=b"\xff")
    with pytest.raises(ReadingError, match="malformed"):
        latest_readings(b"\xff")
    with pytest.raises(ReadingError, match="malformed"):
        latest_readings(pb.ParcelBody(blocks=[block]).SerializeToString())
