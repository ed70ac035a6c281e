"""When a site trains, and how often: what whoever runs it allows, whatever owners granted."""

import re
from dataclasses import dataclass
from datetime import datetime, time, tzinfo
from typing import Final

_SPAN: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begin` until `end` of each day, over midnight if `end` is the earlier one; all day if they are equal."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "Hours":
        """`22:00-06:00`; empty: all day. Raises ValueError."""
        if not text:
            return cls(time(), time())
        found = _SPAN.fullmatch(text)
        if found is None:
            raise ValueError("hours are HH:MM-HH:MM")
        begin_hour, begin_minute, end_hour, end_minute = map(int, found.groups())
        return cls(time(begin_hour, begin_minute), time(end_hour, end_minute))

    def hold(self, now: time) -> bool:
        if self.begin == self.end:
            return True
        if self.begin < self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end


@dataclass(frozen=True, slots=True)
class Limits:
    """`rounds_a_day` 0: no limit. Days and hours are those of `zone`."""

    hours: Hours
    rounds_a_day: int
    zone: tzinfo

    def day(self, now: datetime) -> str:
        """The day that a round trained now counts for."""
        return now.astimezone(self.zone).date().isoformat()

    def refuses(self, now: datetime, trained: int) -> str:
        """Why nothing is trained now, `trained` rounds having been trained this day; empty if it is."""
        here = now.astimezone(self.zone).time()
        if not self.hours.hold(here):
            return f"this site trains from {self.hours.begin:%H:%M} to {self.hours.end:%H:%M}"
        if self.rounds_a_day and trained >= self.rounds_a_day:
            return f"this site has trained its {self.rounds_a_day} rounds of today"
        return ""
