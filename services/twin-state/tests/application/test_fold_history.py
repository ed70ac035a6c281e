"""Folded equals raw: whatever was folded when, the readings and the aggregates are those of the parcels."""

from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from didymos_contracts.errors import Problem
from didymos_did import Facts, Freshness, Ownership, TwinId
from didymos_readings import built_in_profiles
from didymos_testing.clock import FixedClock
from didymos_testing.did import NOON, OWNER, TWIN
from didymos_testing.twin_past import MemoryPast
from didymos_testing.twin_state import MemoryHistory, Mortality, PlainSeals
from didymos_twin_state.application.fold_history import Folder, bucket_us, fold_twin
from didymos_twin_state.application.past_ports import Due
from didymos_twin_state.application.permits import Permits, Reader
from didymos_twin_state.application.ports import Dirty, Marks, ParcelRow, StoredParcel
from didymos_twin_state.application.read_aggregate import AggregateQuery, read_aggregate
from didymos_twin_state.application.read_history import Past, RangeQuery, read_range
from didymos_twin_state.application.read_twin import part_of
from didymos_twin_state.domain.aggregate import FUNCTIONS
from didymos_twin_state.domain.columns import merged_readings
from didymos_twin_state.domain.reading import Column, OpenParcel
from didymos_twin_state.domain.rollup import DAY_US, HOUR_US, MINUTE_US
from hypothesis import given, settings
from hypothesis import strategies as st

ME = Reader(OWNER.did, None, None)
TWIN_ID = TwinId(TWIN.did)
NAME = "glucose/level"
SPAN = (0, 3 * DAY_US)
LATER_US = 5 * DAY_US
GLUCOSE, ANY = built_in_profiles()["glucose@1"], built_in_profiles()["generic@1"]


@dataclass
class World:
    """A twin's parcels, and what was folded of them."""

    history: MemoryHistory = field(default_factory=lambda: MemoryHistory(Mortality()))
    parcels: dict[int, OpenParcel] = field(default_factory=dict)
    seals: PlainSeals = field(default_factory=PlainSeals)

    def __post_init__(self) -> None:
        self.stored = MemoryPast(self.history)
        self.past = Past(self.history, self.stored, self.opened, self.seals, 0.05)

    async def opened(self, stored: StoredParcel) -> OpenParcel | None:
        return None if stored.twin in self.seals.destroyed else self.parcels.get(stored.offset)

    @property
    def permits(self) -> Permits:
        return Permits(self, self, FixedClock(NOON))  # type: ignore[arg-type]

    def facts(self, twin: TwinId, usage: Any) -> Facts:
        return Facts(Ownership(OWNER.did), (), Freshness.FRESH, usage=usage)

    def usage(self, twin: TwinId) -> dict[Any, Any]:
        return {}

    async def hold(self, parcel: OpenParcel) -> None:
        part, at = part_of(TWIN_ID), len(self.parcels)
        self.parcels[parcel.offset] = parcel
        times = np.concatenate([column.times_us for column in parcel.whole])
        row = ParcelRow(parcel, 0, 1, b"", b"", int(times.min()), int(times.max()))
        claimed = await self.history.claim(part, "test")
        await self.history.checkpoint(part, claimed.epoch, Marks(at, 0), Marks(at + 1, 0), Dirty(parcels=[row]))

    async def fold(self, profile: Any = GLUCOSE, now_us: int = LATER_US) -> int:
        return await fold_twin(Due(TWIN_ID, ""), profile, now_us, Folder(self.stored, self.opened, self.seals))

    async def raw(self) -> list[Any]:
        found = merged_readings(self.parcels.values(), NAME, SPAN)
        return [found.times_us.tolist(), list(found.values), found.quality.tolist(), found.unit if len(found) else ""]

    async def read(self) -> list[Any]:
        found = await self.past.readings(TWIN_ID, NAME, SPAN)
        return [found.times_us.tolist(), list(found.values), found.quality.tolist(), found.unit if len(found) else ""]

    async def aggregate(self, **changes: Any) -> Any:
        query = AggregateQuery(TWIN_ID, NAME, *SPAN, HOUR_US, "avg")
        return await read_aggregate(replace(query, **changes), ME, self.permits, self.past)


def a_parcel(
    offset: int, times: Any, values: Any, *, device: str = "a", number: int | None = None, unit: str = "mg/dL",
    retracts: bool = False,
) -> OpenParcel:  # fmt: skip
    at = np.array(times, np.int64)
    quality = (at % 50 + 50).astype(np.uint8)
    column = Column(NAME, unit, at, values, quality, quality * 0, np.arange(len(at)), retracts)
    number = offset + 1 if number is None else number
    return OpenParcel(TWIN_ID, device, 1, number, offset.to_bytes(32, "big"), (column,), offset)


times_us = st.integers(0, 71).map(lambda n: n * HOUR_US) | st.integers(0, 3 * DAY_US - 1)
batches = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]), st.sampled_from([0, 0, 0, 1]), st.booleans(),
        st.lists(st.tuples(times_us, st.floats(-1e6, 1e6)), min_size=1, max_size=8),
    ),
    min_size=1, max_size=7,
).map(
    lambda found: [
        a_parcel(
            at, [t for t, _ in rows], np.array([v for _, v in rows]), device=device, number=at + 1 if numbered else 0,
            retracts=bool(retracts),
        )
        for at, (device, retracts, numbered, rows) in enumerate(found)
    ]
)  # fmt: skip


@settings(max_examples=60)
@given(batches, st.data())
async def test_what_is_folded_equals_its_parcels_whenever_it_was_folded(
    parcels: list[OpenParcel], data: st.DataObject
) -> None:
    world = World()
    profile = data.draw(st.sampled_from([GLUCOSE, ANY]))
    for parcel in data.draw(st.permutations(parcels)):
        await world.hold(parcel)
        if data.draw(st.booleans()):
            await world.fold(profile)
        assert await world.read() == await world.raw()
    await world.fold(profile)
    assert await world.fold(profile) == 0
    assert await world.read() == await world.raw()


@settings(max_examples=60)
@given(
    batches, st.data(), st.sampled_from([MINUTE_US, HOUR_US, 5 * HOUR_US, DAY_US]),
    st.sampled_from(sorted(FUNCTIONS - {f"p{n}" for n in range(51, 100)})),
)  # fmt: skip
async def test_rollups_say_what_the_readings_say(
    parcels: list[OpenParcel], data: st.DataObject, step: int, function: str
) -> None:
    folded, raw = World(), World()
    for parcel in parcels:
        await folded.hold(parcel)
        await raw.hold(parcel)
        if data.draw(st.booleans()):
            await folded.fold(data.draw(st.sampled_from([GLUCOSE])))
    begin = data.draw(st.integers(0, DAY_US))
    span = {"from_us": begin, "to_us": data.draw(st.integers(begin, 3 * DAY_US))}
    asked = {"step_us": step, "function": function, "unit": "mmol/L", "molar": GLUCOSE.properties[NAME].molar_mass}
    found, expected = await folded.aggregate(**span, **asked), await raw.aggregate(**span, **asked)
    assert expected.rollups == 0
    assert found.buckets.begins_us.tolist() == expected.buckets.begins_us.tolist()
    scale = sum(abs(v) for p in parcels for v in p.whole[0].values)  # type: ignore[arg-type]
    assert np.allclose(found.buckets.values, expected.buckets.values, rtol=1e-12, atol=1e-12 * scale)


async def a_long_day(days: int = 3) -> World:
    world = World()
    times = np.arange(0, days * DAY_US, 5 * MINUTE_US)
    for offset, first in enumerate(range(0, len(times), 96)):
        some = times[first : first + 96]
        await world.hold(a_parcel(offset, some, np.sin(some / 1e9) * 50 + 120))
    return world


async def test_rollups_serve_where_they_can_and_late_data_is_read_beside_them() -> None:
    world = await a_long_day()
    assert (await world.aggregate()).rollups == 0
    assert await world.fold() == 9
    whole = await world.aggregate(step_us=DAY_US)
    assert (whole.rollups, len(whole.buckets.values)) == (3, 3)
    assert (await world.aggregate(function="p95")).rollups == 0
    assert (await world.aggregate(min_quality=1)).rollups == 0
    assert (await world.aggregate(device="a")).rollups == 0
    assert (await world.aggregate(step_us=90_000_000)).rollups == 0
    assert (await world.aggregate(step_us=7 * MINUTE_US)).rollups == 864
    await world.hold(a_parcel(90, [DAY_US + 1], np.array([10_000.0])))
    late = await world.aggregate(step_us=DAY_US, function="max")
    assert late.buckets.values[1] == 10_000.0
    assert late.buckets.values[0] < 200
    await world.fold()
    assert (await world.aggregate(step_us=DAY_US, function="max")).buckets.values[1] == 10_000.0


async def test_a_closed_day_is_one_row_until_it_holds_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await a_long_day(1)

    async def rows() -> list[int]:
        return [row.bucket_us // HOUR_US for row in await world.stored.series(TWIN_ID, NAME, 0, DAY_US)]

    assert await world.fold(ANY, 17 * HOUR_US) == 2
    assert await rows() == list(range(16))
    await world.fold(ANY)
    assert await rows() == [0]
    await world.hold(a_parcel(80, [5 * HOUR_US + 1], np.array([1.0])))
    await world.fold(ANY)
    assert await rows() == [0]
    monkeypatch.setattr("didymos_twin_state.application.fold_history.DAY_READINGS", 100)
    await world.hold(a_parcel(81, [5 * HOUR_US + 2], np.array([1.0])))
    await world.fold(ANY)
    assert await rows() == list(range(24))
    assert await world.read() == await world.raw()
    assert (await world.aggregate(step_us=DAY_US, function="count")).buckets.values == [290.0]


async def test_days_of_a_zone_are_served_by_hours() -> None:
    world, zone = await a_long_day(4), ZoneInfo("Europe/Berlin")
    span = {"from_us": DAY_US, "to_us": 3 * DAY_US, "step_us": DAY_US, "zone": zone, "function": "count"}
    before = await world.aggregate(**span)
    await world.fold()
    found = await world.aggregate(**span)
    assert found.rollups > 0
    assert (found.buckets.begins_us.tolist(), found.buckets.values) == (
        before.buckets.begins_us.tolist(), before.buckets.values,
    )  # fmt: skip
    assert sum(value or 0 for value in found.buckets.values) == 2 * 288


async def test_what_went_by_age_is_made_good_from_what_stays() -> None:
    world = await a_long_day(3)
    await world.fold()
    expected = (await world.aggregate(step_us=5 * MINUTE_US, function="sum")).buckets.values
    minutes = {key: row for key, row in world.stored.entries.items() if key[2] == MINUTE_US}
    world.stored.entries = {key: row for key, row in world.stored.entries.items() if key[3] != DAY_US}
    assert (await world.aggregate(step_us=5 * MINUTE_US, function="sum")).buckets.values == expected
    await world.hold(a_parcel(70, [DAY_US + HOUR_US + 1], np.array([1.0])))
    await world.fold(ANY)
    found = await world.aggregate(step_us=5 * MINUTE_US, function="sum")
    assert found.rollups == len(minutes) * 288
    assert sum(value or 0 for value in found.buckets.values) == pytest.approx(sum(v or 0 for v in expected) + 1)


async def test_late_readings_add_to_entries_whose_series_went() -> None:
    world = await a_long_day(2)
    await world.fold()
    world.stored.rows.clear()
    await world.hold(a_parcel(70, [HOUR_US + 1], np.array([1.0])))
    await world.fold()
    for step in (HOUR_US, DAY_US):
        found = await world.aggregate(step_us=step, function="count", to_us=2 * DAY_US)
        assert sum(value or 0 for value in found.buckets.values) == 2 * 288 + 1


async def test_a_page_costs_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await a_long_day(6)
    await world.fold(GLUCOSE, 9 * DAY_US)
    monkeypatch.setattr("didymos_twin_state.application.read_history.MOST_READINGS", 900)  # three days of them
    monkeypatch.setattr("didymos_twin_state.application.read_history.EXTENTS", 2)
    for quality, expected in ((50, 6 * 288), (51, 0)):  # all of them are of quality 50
        seen: list[int] = []
        at: int | None = 0
        while at is not None:
            query = RangeQuery(TWIN_ID, NAME, at, 7 * DAY_US, 250, min_quality=quality)
            page, at = await read_range(query, ME, world.permits, world.past)
            seen += page.times_us.tolist()
        assert seen == list(range(0, expected * 5 * MINUTE_US, 5 * MINUTE_US))
    with pytest.raises(Problem) as raised:
        await world.aggregate(function="p95", to_us=7 * DAY_US)
    assert raised.value.row.code == "query.too_wide"


async def test_only_closed_buckets_are_folded() -> None:
    world = await a_long_day(1)
    assert (bucket_us(GLUCOSE), bucket_us(ANY), bucket_us(None)) == (DAY_US, HOUR_US, HOUR_US)
    assert await world.fold(GLUCOSE, DAY_US + 4 * MINUTE_US) == 0
    assert await world.fold(ANY, DAY_US + 4 * MINUTE_US) == 2
    assert await world.fold(GLUCOSE, DAY_US + 5 * MINUTE_US) == 1
    assert await world.fold(GLUCOSE, DAY_US + 5 * MINUTE_US) == 0
    assert await world.read() == await world.raw()


async def test_units_that_do_not_convert_are_never_guessed() -> None:
    world = World()
    await world.hold(a_parcel(0, [1, 2], np.array([1.0, 2.0]), unit="m"))
    await world.hold(a_parcel(1, [3], np.array([300.0]), unit="cm"))
    assert (await world.read())[1:] == [[100.0, 200.0, 300.0], [51, 52, 53], "cm"]
    await world.fold(ANY)
    assert (await world.aggregate(function="sum", unit="m")).buckets.values == [pytest.approx(6.0)]
    await world.hold(a_parcel(2, [4], np.array([1.0]), unit="kg"))
    for _ in range(2):
        with pytest.raises(Problem) as raised:
            await world.aggregate(function="sum")
        assert raised.value.row.code == "reading.unit_incommensurable"
        await world.fold(ANY)


async def test_texts_are_folded_as_they_are() -> None:
    world = World()
    await world.hold(a_parcel(0, [1, 2], ("low", "high"), unit=""))
    await world.hold(a_parcel(1, [2], np.empty(0), unit="", retracts=True))
    await world.fold(ANY)
    assert (await world.read())[:2] == [[1], ["low"]]
    assert (await world.aggregate(function="count")).buckets.values == [1.0]


async def test_of_an_erased_twin_nothing_is_folded_and_nothing_read() -> None:
    world = await a_long_day(2)
    await world.fold(GLUCOSE, DAY_US + HOUR_US)
    world.seals.destroyed.add(TWIN_ID)
    assert await world.fold() == 0
    assert (await world.read())[0] == []
    assert (await world.aggregate()).buckets.values == []
