"""What a device may send: enrolment, window, profile and the life of the twin, asked once per block. data-path.md 5."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from didymos_did import TwinId, matches

NOT_ENROLLED: Final = "reading.not_enrolled"
OTHER_PROFILE: Final = "profile.unknown"
LOST: Final = "batch.device_lost"
PATHS: Final = "features/"  # property `glucose/level` is path `features/glucose/level`


class Enrolment(Protocol):
    """An owner lets a device send `paths` of `twin`, within a window and under one profile."""

    @property
    def twin(self) -> TwinId: ...
    @property
    def paths(self) -> tuple[str, ...]: ...
    @property
    def max_rate(self) -> int: ...
    @property
    def not_before_us(self) -> int: ...
    @property
    def until_us(self) -> int: ...
    @property
    def profile(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...
    @property
    def lost_since_us(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Admission:
    """The enrolments of one device at one time, by twin. `closed`: why a twin takes nothing now, None if it does."""

    by_twin: Mapping[str, Enrolment]
    profile: str
    closed: Callable[[TwinId], str | None]

    def __call__(self, twin: str, prop: str) -> str | None:
        """The code that refuses readings of this property of this twin; None: they may come in.

        A lost device is refused whatever its readings say of their time: who holds its key can write any. What it sent
        is kept for the owner, who can tell the honest part.
        """
        enrolled = self.by_twin.get(twin)
        if enrolled is None or not _covers(enrolled.paths, prop):
            return NOT_ENROLLED
        code = self.closed(enrolled.twin)
        if code is not None:
            return code
        if enrolled.lost_since_us is not None:
            return LOST
        return None if enrolled.profile == self.profile else OTHER_PROFILE


@lru_cache(maxsize=8192)
def _covers(patterns: tuple[str, ...], prop: str) -> bool:
    return any(matches(pattern, PATHS + prop) for pattern in patterns)


def admission(
    enrolments: Iterable[Enrolment], profile: str, at_us: int, closed: Callable[[TwinId], str | None]
) -> Admission:
    """What holds at `at_us`, the clock here: a device's own clock opens no window."""
    current: dict[str, Enrolment] = {
        each.twin: each for each in enrolments if each.not_before_us <= at_us < each.until_us
    }
    return Admission(current, profile, closed)


def place_of(enrolments: Iterable[Enrolment]) -> Callable[[str], tuple[str, str] | None]:
    """(twin, property) of a sender's name: an alias or the twin's DID, then `/` or `:`, then the property.

    A device of a single twin may send bare properties.
    """
    known = tuple(enrolments)
    names = {name: each.twin for each in known for name in (*each.aliases, each.twin)}
    only = known[0].twin if len(known) == 1 else None

    def place(name: str) -> tuple[str, str] | None:
        for subject, twin in names.items():
            if name.startswith(subject) and name[len(subject) : len(subject) + 1] in ("/", ":"):
                return (twin, name[len(subject) + 1 :]) if len(name) > len(subject) + 1 else None
        return None if only is None or name.startswith("did:") else (only, name)

    return place
