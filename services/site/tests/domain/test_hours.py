"""When a site trains."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from didymos_site.domain.hours import Hours, Limits

NIGHT = Hours.parse("22:00-06:00")


@pytest.mark.parametrize(
    ("hours", "now", "held"),
    [
        ("", "12:00", True),
        ("00:00-00:00", "12:00", True),
        ("09:00-17:00", "09:00", True),
        ("09:00-17:00", "17:00", False),
        ("22:00-06:00", "23:59", True),
        ("22:00-06:00", "05:59", True),
        ("22:00-06:00", "06:00", False),
        ("22:00-06:00", "21:59", False),
    ],
)
def test_hours_hold_from_their_begin_until_before_their_end(hours: str, now: str, held: bool) -> None:
    assert Hours.parse(hours).hold(time.fromisoformat(now)) is held


@pytest.mark.parametrize(
    "text", ["22-6", "24:00-06:00", "22:60-06:00", "22:00-06:00 ", "22:00", "\u0662\u0662:00-06:00"]
)
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HH:MM-HH:MM"):
        Hours.parse(text)


def test_days_and_hours_are_those_of_the_zone() -> None:
    limits = Limits(NIGHT, 2, ZoneInfo("Asia/Tokyo"))
    at = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)  # half past midnight there, the next day
    assert limits.day(at) == "2026-03-02"
    assert limits.refuses(at, 1) == ""
    assert "2 rounds of today" in limits.refuses(at, 2)
    assert "22:00 to 06:00" in limits.refuses(datetime(2026, 3, 1, 3, 0, tzinfo=UTC), 0)
    assert Limits(NIGHT, 0, UTC).refuses(datetime(2026, 3, 1, 22, 0, tzinfo=UTC), 10_000) == ""
