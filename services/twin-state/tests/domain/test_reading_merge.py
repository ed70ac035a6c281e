"""The merge ends in one state, whatever the order, the repeats or the cut of what came."""

from dataclasses import replace

import numpy as np
from didymos_readings.window import Admission
from didymos_twin_state.domain.columns import merged_readings
from didymos_twin_state.domain.reading import Column, OpenParcel, apply_parcel, merged, newest, place
from didymos_twin_state.domain.twin import Cell, TwinState, pack, unpack
from hypothesis import given
from hypothesis import strategies as st


def a_column(times: list[int], values: list[float], **changes: object) -> Column:
    said = {
        "property": "glucose/level", "unit": "mg/dL", "times_us": np.array(times, np.int64),
        "values": np.array(values), "quality": np.full(len(times), 90, np.uint8),
        "flags": np.zeros(len(times), np.uint8), "indices": np.arange(len(times)),
    }  # fmt: skip
    return Column(**{**said, **changes})  # type: ignore[arg-type]


def a_parcel(number: int, *columns: Column, device: str = "did:key:d", digest: bytes | None = None) -> OpenParcel:
    return OpenParcel("did:key:t", device, 1, number, digest or number.to_bytes(32, "big"), columns, number)


times = st.lists(st.integers(0, 50), min_size=1, max_size=60)
parcels = st.lists(times, min_size=1, max_size=12).map(
    lambda each: [a_parcel(n + 1, a_column(t, [float(v) for v in t])) for n, t in enumerate(each)]
)


def after(given_parcels: list[OpenParcel]) -> dict[str, Cell]:
    twin = TwinState()
    for parcel in given_parcels:
        twin, _, admission = apply_parcel(twin, parcel)
        if admission is Admission.BELOW:
            twin, _ = place(twin, parcel)
    return twin.cells


@given(parcels, st.data())
def test_any_order_and_any_repeats_end_in_one_state(given_parcels: list[OpenParcel], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(given_parcels + given_parcels[::2]))
    assert after(shuffled) == after(given_parcels)


@given(times)
def test_a_loop_and_an_array_find_the_same_newest_reading(given_times: list[int]) -> None:
    column = a_column(given_times, [0.0] * len(given_times))
    doubled = a_column(given_times * 3, [0.0] * 3 * len(given_times))
    assert newest(column) == max(range(len(given_times)), key=lambda at: (given_times[at], at))
    assert newest(doubled) == 2 * len(given_times) + newest(column)


def test_a_batch_is_applied_once() -> None:
    first = a_parcel(1, a_column([5], [101.0]))
    twin, cells, _ = apply_parcel(TwinState(), first)
    again, nothing, admission = apply_parcel(twin, first)
    assert cells["glucose/level"].value == 101.0
    assert (again, nothing, admission) == (twin, {}, Admission.DUPLICATE)


def test_another_batch_under_a_known_number_is_held() -> None:
    twin, _, _ = apply_parcel(TwinState(), a_parcel(1, a_column([5], [101.0])))
    same, cells, admission = apply_parcel(twin, a_parcel(1, a_column([6], [60.0]), digest=b"x" * 32))
    assert (same, cells, admission) == (twin, {}, Admission.CONFLICT)


def test_an_older_reading_does_not_replace_a_newer_one() -> None:
    twin, _, _ = apply_parcel(TwinState(), a_parcel(1, a_column([50], [101.0])))
    late, cells, admission = apply_parcel(twin, a_parcel(2, a_column([5], [60.0])))
    assert admission is Admission.NEW
    assert cells == {}
    assert late.cells["glucose/level"].value == 101.0


def test_a_retraction_makes_its_time_unknown() -> None:
    twin, _, _ = apply_parcel(TwinState(), a_parcel(1, a_column([50], [101.0])))
    gone = merged(twin.cells, a_parcel(2, a_column([50], [0.0], retracts=True)))
    assert gone["glucose/level"].value is None


def test_a_blob_comes_back_as_it_was() -> None:
    twin, _, _ = apply_parcel(TwinState(), a_parcel(1, a_column([50], [101.5])))
    assert unpack(pack(twin)) == twin


said = st.lists(
    st.tuples(
        st.booleans(), st.booleans(), st.lists(st.tuples(st.integers(0, 6), st.floats(0, 9)), min_size=1, max_size=4)
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@given(said, st.data())
def test_state_and_history_agree_on_what_holds(
    batches: list[tuple[bool, bool, list[tuple[int, float]]]], data: st.DataObject
) -> None:
    """Retractions, late readings and batches without a number among them, in any order."""
    made = [
        replace(
            a_parcel(0 if loose else at + 1, a_column([t for t, _ in rows], [v for _, v in rows], retracts=retracts)),
            offset=at, digest=at.to_bytes(32, "little"),
        )
        for at, (loose, retracts, rows) in enumerate(batches)
    ]  # fmt: skip
    shuffled = data.draw(st.permutations(made + made[::2]))
    cell = after(shuffled)["glucose/level"]
    history = merged_readings(shuffled, "glucose/level", (0, 10))
    at_newest = merged_readings(shuffled, "glucose/level", (cell.observed_at_us, cell.observed_at_us + 1))
    assert len(history) == 0 or history.times_us[-1] <= cell.observed_at_us
    assert list(at_newest.values) == ([] if cell.value is None else [cell.value])
