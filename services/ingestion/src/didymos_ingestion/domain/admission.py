"""What a device may send: enrolment, window, profile and the life of the twin, asked once per block. data-path.md 5."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from didymos_did import Enrolled, TwinId, matches

NOT_ENROLLED: Final = "reading.not_enrolled"
OTHER_PROFILE: Final = "profile.unknown"
LOST: Final = "batch.device_lost"
PATHS: Final = "features/"  # property `glucose/level` is path `features/glucose/level`


class Enrolment(Enrolled, Protocol):
    """How fast a device may send, under which profile, and by which names it knows the twin."""

    @property
    def max_rate(self) -> int: ...
    @property
    def profile(self) -> str: ...
    @property
    def aliases(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Admission:
    """What one device may send at one time: by twin its paths, and why none of it comes in (None: it does)."""

    by_twin: Mapping[str, tuple[tuple[str, ...], str | None]]

    def __call__(self, twin: str, prop: str) -> str | None:
        """The code that refuses readings of this property of this twin; None: they may come in."""
        found = self.by_twin.get(twin)
        if found is None:
            return NOT_ENROLLED
        paths, code = found
        return code if _covers(paths, prop) else NOT_ENROLLED


@lru_cache(maxsize=8192)
def _covers(patterns: tuple[str, ...], prop: str) -> bool:
    return any(matches(pattern, PATHS + prop) for pattern in patterns)


def admission(
    enrolments: Iterable[Enrolment], profile: str, at_us: int, closed: Callable[[TwinId], str | None]
) -> Admission:
    """What holds at `at_us`, the clock here: a device's own clock opens no window. `closed`: why a twin takes nothing.

    A lost device is refused whatever its readings say of their time: who holds its key can write any. What it sent is
    kept for the owner, who can tell the honest part.
    """
    found: dict[str, tuple[tuple[str, ...], str | None]] = {}
    for each in enrolments:
        if each.not_before_us <= at_us < each.until_us:
            code = closed(each.twin)
            if code is None and each.lost_since_us is not None:
                code = LOST
            elif code is None and each.profile != profile:
                code = OTHER_PROFILE
            found[each.twin] = each.paths, code
    return Admission(found)


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


def subject_of(enrolments: Iterable[Enrolment]) -> Callable[[str], str | None]:
    """The twin of a sender's name for it: an alias or the twin's DID; of the empty name the only twin there is."""
    known = tuple(enrolments)
    names: dict[str, str] = {name: each.twin for each in known for name in (*each.aliases, each.twin)}
    if len({each.twin for each in known}) == 1:
        names.setdefault("", known[0].twin)
    return names.get
