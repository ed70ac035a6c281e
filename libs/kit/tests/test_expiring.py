"""A bounded map whose values expire."""

from didymos_kit.expiring import Expiring


def test_a_value_is_there_until_its_end() -> None:
    kept: Expiring[str, int | None] = Expiring(8, 10.0)
    kept.put("one", 1, 0.0)
    kept.put("none", None, 5.0)
    assert kept.get("one", 9.9) == (1, 10.0)
    assert kept.get("one", 10.0) is None
    assert kept.get("none", 10.0) == (None, 15.0)
    assert kept.get("other", 0.0) is None


def test_what_has_expired_goes_with_the_next_that_is_put() -> None:
    kept: Expiring[int, int] = Expiring(1_000, 10.0)
    for number in range(100):
        kept.put(number, number, 0.0)
    kept.put(100, 100, 10.0)
    assert len(kept) == 1


def test_the_oldest_goes_when_there_is_no_room_and_what_is_put_anew_is_new() -> None:
    kept: Expiring[str, int] = Expiring(2, 10.0)
    kept.put("a", 1, 0.0)
    kept.put("b", 2, 1.0)
    kept.put("a", 3, 2.0)
    kept.put("c", 4, 3.0)
    assert kept.get("b", 3.0) is None
    assert kept.get("a", 3.0) == (3, 12.0)
    assert kept.get("c", 3.0) == (4, 13.0)
    assert len(kept) == 2
