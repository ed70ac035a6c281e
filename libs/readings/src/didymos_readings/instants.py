"""Times of strangers as microseconds UTC: RFC 3339 with its zone, or a local time that its zone makes one moment."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from didymos_readings.errors import Refusal

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_INSTANT: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,18}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_ZONE: Final = re.compile(r"[A-Za-z0-9_+\-]{1,32}(/[A-Za-z0-9_+\-]{1,32}){0,2}", re.ASCII)
AMBIGUOUS: Final = "reading.time_ambiguous"
INVALID: Final = "reading.time_invalid"


def parse_instant(text: object) -> int | None:
    """RFC 3339 with its zone, in us; what is finer is cut. None for anything else, a leap second too."""
    found = _INSTANT.fullmatch(text) if isinstance(text, str) and len(text) <= 64 else None
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        return micros_of(at) + int((fraction or "0").ljust(6, "0")[:6])
    except (ValueError, OverflowError):
        return None


def micros_of(at: datetime) -> int:
    """Of an aware datetime."""
    return (at - _EPOCH) // _MICROSECOND


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo | None:
    """The zone of the IANA data base; None if it has none of that name."""
    if not _ZONE.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def resolve_local(at: datetime, zone: ZoneInfo) -> int | tuple[str, str]:
    """The moment that clocks of the zone showed `at` (naive); why there is none, or more than one, as code and detail.

    RFC 5545 picks the first of two; here none is picked, because a wrong hour cannot be seen later.
    """
    try:
        early, late = (micros_of(at.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    except OverflowError:
        return INVALID, "the time is out of range"
    if early == late:
        return early
    if early < late:
        return AMBIGUOUS, "clocks showed this local time twice; send its offset"
    return INVALID, "clocks went forward over this local time"


def refusal_of(found: tuple[str, str], index: int) -> Refusal:
    return Refusal(found[0], found[1], index, 1)
