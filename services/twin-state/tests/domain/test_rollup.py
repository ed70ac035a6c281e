"""Entries merge to what the readings say, however they are cut; the bytes of series and chunks come back the same."""

import msgspec
import numpy as np
import pytest
from didymos_twin_state.domain.aggregate import aggregate, epoch_bounds, of_entries
from didymos_twin_state.domain.columns import NOTHING, Slab, Source, joined, settled
from didymos_twin_state.domain.packing import pack_chunk, pack_slab, unpack_chunk, unpack_slab
from didymos_twin_state.domain.rollup import (
    DAY_US,
    FUNCTIONS,
    HOUR_US,
    MINUTE_US,
    converted,
    entries_of,
    regrouped,
    replaced,
    rolled,
)
from hypothesis import given
from hypothesis import strategies as st

EXACT = 1e-12
readings = st.lists(
    st.tuples(st.integers(0, 2 * DAY_US), st.floats(-1e9, 1e9)), min_size=1, max_size=80, unique_by=lambda row: row[0]
).map(sorted)


def same(found: object, expected: object, scale: float) -> bool:
    return bool(np.allclose(np.array(found, float), np.array(expected, float), rtol=EXACT, atol=EXACT * scale))


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
@given(readings, st.sampled_from([MINUTE_US, HOUR_US, 6 * HOUR_US, DAY_US]))
def test_entries_of_entries_say_what_the_readings_say(function: str, rows: list[tuple[int, float]], step: int) -> None:
    times, values = np.array([t for t, _ in rows], np.int64), np.array([v for _, v in rows])
    bounds = epoch_bounds(0, 2 * DAY_US + 1, step)
    raw = aggregate(times, values, bounds, function)
    entries = rolled(entries_of(times, values), MINUTE_US)
    for wider in (HOUR_US, DAY_US):
        if step % wider == 0:
            entries = rolled(entries, wider)
    found = of_entries(regrouped(entries, bounds), bounds, function)
    assert found.begins_us.tolist() == raw.begins_us.tolist()
    assert same(found.values, raw.values, float(np.abs(values).sum()))


@given(readings, st.floats(0.01, 100), st.floats(-500, 500))
def test_converted_entries_are_those_of_converted_values(rows: list[tuple[int, float]], a: float, b: float) -> None:
    times, values = np.array([t for t, _ in rows], np.int64), np.array([v for _, v in rows])
    bounds = epoch_bounds(0, 2 * DAY_US + 1, DAY_US)
    entries = converted(rolled(entries_of(times, values), HOUR_US), a, b)
    for function in FUNCTIONS:
        found = of_entries(regrouped(entries, bounds), bounds, function)
        expected = aggregate(times, a * values + b, bounds, function)
        assert same(found.values, expected.values, float(np.abs(a * values).sum() + abs(b) * len(values)))


def test_entries_of_a_stretch_are_replaced() -> None:
    held = rolled(entries_of(np.arange(5, dtype=np.int64) * MINUTE_US, np.ones(5)), MINUTE_US)
    fresh = rolled(entries_of(np.array([2 * MINUTE_US], np.int64), np.array([7.0])), MINUTE_US)
    found = replaced(held, fresh, MINUTE_US, 4 * MINUTE_US)
    assert (found["begin"] // MINUTE_US).tolist() == [0, 2, 4]
    assert found["sum"].tolist() == [1.0, 7.0, 1.0]


def a_slab(values: object, size: int) -> Slab:
    sources = (Source("a", 1, 2, 0, "mg/dL"), Source("b", 0, 0, 9, "mg/dL"))
    times, small = np.arange(size, dtype=np.int64) * 7, np.arange(size).astype(np.uint8)
    source, retracts = (np.arange(size) % 2).astype(np.int32), np.arange(size) % 3 == 0
    return Slab(sources, times, values, small, small, source, np.arange(size, dtype=np.int64), retracts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values", [np.array([1.5, -2.0, 1e300]), ["low", "high", ""], [True, False, True], [(1.0, 2.0, 3.0)] * 3]
)
def test_a_slab_comes_back_from_its_bytes(values: object) -> None:
    slab = a_slab(values, 3)
    found = unpack_slab(pack_slab(slab))
    assert found.sources == slab.sources
    assert list(found.values) == list(values)  # type: ignore[call-overload]
    for name in ("times_us", "quality", "flags", "source", "index", "retracts"):
        assert getattr(found, name).tolist() == getattr(slab, name).tolist()


def test_a_layout_that_is_not_known_is_refused() -> None:
    for other in (pack_slab(NOTHING), pack_chunk(entries_of(np.array([1], np.int64), np.ones(1)), "u")):
        changed = msgspec.msgpack.encode([2, *msgspec.msgpack.decode(other)[1:]])
        with pytest.raises(msgspec.ValidationError):
            (unpack_slab if other == pack_slab(NOTHING) else unpack_chunk)(changed)


@given(st.binary(max_size=200))
def test_other_bytes_are_refused_clearly(raw: bytes) -> None:
    for unpack in (unpack_slab, unpack_chunk):
        with pytest.raises((msgspec.ValidationError, msgspec.DecodeError)):
            unpack(raw)


def test_of_batches_without_a_number_the_later_one_holds() -> None:
    def said(turn: int, value: float) -> Slab:
        one = np.zeros(1, np.uint8)
        return Slab(
            (Source("a", 0, 0, turn, "u"),), np.array([5], np.int64), np.array([value]), one, one,
            np.zeros(1, np.int32), np.zeros(1, np.int64), np.zeros(1, bool),
        )  # fmt: skip

    for order in ([said(3, 1.0), said(8, 2.0)], [said(8, 2.0), said(3, 1.0)]):
        assert list(settled(joined(order)).values) == [2.0]
