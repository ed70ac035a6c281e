from datetime import UTC, datetime
from uuid import UUID

import pytest
from didymos_kit.clock import SystemClock, from_us, to_us
from didymos_kit.ids import OrderedIds, uuid7
from didymos_testing.clock import NOON, FixedClock, seeded_ids
from hypothesis import given
from hypothesis import strategies as st


def test_the_example_of_rfc_9562_appendix_a6() -> None:
    """017F22E2-79B0-7CC3-98C4-DC0C0C07398F, made on 22 February 2022, 19:22:22 UTC."""
    ms = to_us(datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)) // 1000
    made = uuid7(ms, 0xCC3, (0x18C4DC0C0C07398F).to_bytes(8, "big"))
    assert made == UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
    assert made.version == 7


@given(st.lists(st.integers(-5, 5), max_size=50))
def test_ids_increase_even_when_the_clock_goes_back(steps: list[int]) -> None:
    clock = FixedClock()
    ids = seeded_ids(clock)
    made = [ids.uuid7()]
    for step in steps:
        clock.step(step / 1000)
        made.append(ids.uuid7())
    assert made == sorted(set(made))


def test_more_ids_than_one_millisecond_holds_still_increase() -> None:
    ids = seeded_ids()
    made = [ids.uuid7() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_ids_of_the_same_seed_repeat() -> None:
    assert [seeded_ids(seed=7).uuid7() for _ in range(2)] == [seeded_ids(seed=7).uuid7()] * 2


def test_ids_of_this_machine_differ_between_sources() -> None:
    assert OrderedIds(SystemClock()).uuid7() != OrderedIds(SystemClock()).uuid7()


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_lose_nothing(at: datetime) -> None:
    assert from_us(to_us(at)) == at


def test_the_system_clock_is_utc_and_of_one_time() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert abs(clock.now_us() - to_us(clock.now())) < 1_000_000
    assert clock.monotonic() <= clock.monotonic()


def test_a_fixed_clock_stands_until_told() -> None:
    clock = FixedClock()
    assert (clock.now(), clock.monotonic()) == (NOON, 0.0)
    clock.advance(1.5)
    assert clock.now_us() == to_us(NOON) + 1_500_000
    assert clock.monotonic() == pytest.approx(1.5)
