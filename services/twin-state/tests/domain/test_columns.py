"""History is one ordered set of readings, whatever the order, the repeats or the cut of its parcels."""

import numpy as np
import pytest
from didymos_twin_state.domain.columns import merged_readings
from didymos_twin_state.domain.forecast import naive
from didymos_twin_state.domain.reading import Column, OpenParcel
from hypothesis import given
from hypothesis import strategies as st

SPAN = (0, 1_000)
Said = tuple[int, str, int, bool, int, float]  # number, device, time, retraction, quality, value


def a_parcel(said: list[Said]) -> OpenParcel:
    """Readings of one batch; all share number, device and whether they take back."""
    number, device, _, retracts, _, _ = said[0]
    times = np.array([each[2] for each in said], np.int64)
    values = np.array([each[5] for each in said])
    quality = np.array([each[4] for each in said], np.uint8)
    column = Column("p", "u", times, values, quality, quality * 0, np.arange(len(said)), retracts)
    return OpenParcel("t", device, 1, number, number.to_bytes(32, "big"), (column,), number)


def oracle(parcels: list[OpenParcel], span: tuple[int, int], least: int) -> list[tuple[int, float]]:
    """Reading by reading: of one device and time the last in merge order, unless that takes it back."""
    held: dict[tuple[int, str], tuple[tuple[int, int], bool, int, float]] = {}
    for parcel in parcels:
        for column in parcel.whole:
            for at, index in enumerate(column.indices.tolist()):
                key, order = (int(column.times_us[at]), parcel.device), (parcel.number, index)
                value = float(column.values[at])  # type: ignore[arg-type]
                if key not in held or order > held[key][0]:
                    held[key] = (order, column.retracts, int(column.quality[at]), value)
    return [
        (time, value)
        for (time, _), (_, retracts, quality, value) in sorted(held.items())
        if not retracts and quality >= least and span[0] <= time < span[1]
    ]


batches = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]), st.booleans(),
        st.lists(st.tuples(st.integers(0, 30), st.integers(0, 100), st.floats(-9, 9)), min_size=1, max_size=6),
    ),
    min_size=1, max_size=8,
).map(
    lambda found: [
        a_parcel([(n + 1, device, t, retracts and n % 3 == 2, q, v) for t, q, v in rows])
        for n, (device, retracts, rows) in enumerate(found)
    ]
)  # fmt: skip


@given(batches, st.data(), st.integers(0, 30), st.integers(0, 30), st.integers(0, 100))
def test_any_order_and_any_repeats_give_what_each_reading_says(
    parcels: list[OpenParcel], data: st.DataObject, begin: int, end: int, least: int
) -> None:
    shuffled = data.draw(st.permutations(parcels + parcels[::2]))
    found = merged_readings(shuffled, "p", (begin, end), least)
    numbers = found.numbers
    assert numbers is not None
    assert list(zip(found.times_us.tolist(), numbers.tolist(), strict=True)) == oracle(parcels, (begin, end), least)


def test_texts_truths_and_places_stay_what_they_are() -> None:
    times, quality = np.array([1, 2], np.int64), np.array([90, 90], np.uint8)

    def parcel(values: object) -> OpenParcel:
        column = Column("p", "", times, values, quality, quality * 0, np.arange(2))  # type: ignore[arg-type]
        return OpenParcel("t", "a", 1, 1, b"d", (column,), 0)

    for values, expected in (
        (("low", "high"), ["low", "high"]),
        (np.array([True, False]), [True, False]),
        (np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), [(1.0, 2.0, 3.0), (4.0, 5.0, 6.0)]),
    ):
        found = merged_readings([parcel(values)], "p", SPAN)
        assert (found.numbers, list(found.values)) == (None, expected)
    assert len(merged_readings([parcel(("x", "y"))], "q", SPAN)) == 0


def test_the_naive_forecast_stays_where_it_is_within_what_changes_kept() -> None:
    times = np.arange(100, dtype=np.int64) * 10
    column = Column("p", "u", times, np.arange(100.0), np.full(100, 90, np.uint8), np.zeros(100, np.uint8), times)
    readings = merged_readings([OpenParcel("t", "a", 1, 1, b"d", (column,), 0)], "p", (0, 10_000))
    made = naive(readings, 50, 7, "no_model")
    assert (made.mean, made.low, made.high, made.at_us, made.made_at_us) == (99.0, 94.0, 104.0, 1040, 7)
    few = naive(readings.part(0, 3), 50, 7, "gap")
    assert (few.low, few.high, few.fallback) == (0.0, 4.0, "gap")
    with pytest.raises(ValueError, match="starts from a number"):
        naive(readings.part(0, 0), 50, 7, "gap")
