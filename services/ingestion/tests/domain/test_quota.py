"""Buckets and load: how much comes in."""

from didymos_ingestion.domain.quota import DEVICES, Buckets, Load
from hypothesis import given
from hypothesis import strategies as st


def test_a_device_may_burst_ten_seconds_of_its_rate() -> None:
    buckets = Buckets()
    assert buckets.take("d", 1_000, 100, now=0) == 0
    assert buckets.take("d", 50, 100, now=0) == 0.5
    assert buckets.take("d", 50, 100, now=0.5) == 0


def test_a_batch_above_the_burst_needs_a_full_bucket_and_leaves_a_debt() -> None:
    buckets = Buckets()
    assert buckets.take("d", 10_000, 100, now=0) == 0
    assert buckets.wait_seconds("d", now=0) == 90
    assert buckets.wait_seconds("d", now=90) == 0
    assert buckets.take("d", 10_000, 100, now=90) == 10


def test_asking_takes_nothing() -> None:
    buckets = Buckets()
    assert [buckets.wait_seconds("d", now=0) for _ in range(3)] == [0, 0, 0]
    assert buckets.take("d", 1_000, 100, now=0) == 0


def test_devices_share_nothing_and_the_silent_are_forgotten() -> None:
    buckets = Buckets()
    for number in range(DEVICES + 1):
        assert buckets.take(f"d{number}", 1_000, 100, now=0) == 0
    assert buckets.take("d0", 1_000, 100, now=0) == 0
    assert buckets.take(f"d{DEVICES}", 1_000, 100, now=0) > 0


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0, 5)), max_size=40))
def test_no_device_gets_more_than_its_rate_and_one_burst(wishes: list[tuple[int, float]]) -> None:
    buckets, now, taken = Buckets(), 0.0, 0
    for readings, pause in wishes:
        now += pause
        if not buckets.take("d", readings, 20, now):
            taken += readings
    assert taken <= 20 * now + 2 * 500 + 200


def test_a_full_pipe_sheds_and_says_when_to_come_again() -> None:
    load = Load(shed_bytes=1_000)
    assert load.wait_seconds(1_000, now=0) == 0
    load.enter(1_000)
    assert load.wait_seconds(1, now=0) == 30  # nothing drains
    load.leave(500, now=1)
    assert load.wait_seconds(500, now=1) == 0
    assert load.wait_seconds(501, now=1) == 5  # 500 bytes left at 100 a second
    assert load.wait_seconds(501, now=20) == 30


def test_what_left_long_ago_is_forgotten() -> None:
    load = Load(shed_bytes=10)
    for second in range(100):
        load.enter(10)
        load.leave(10, now=second)
    assert load.in_flight == 0
    assert load.wait_seconds(11, now=99) == 1
