"""What twins are searched by: searchable values and a place, in clear beside the sealed state. data-path.md 11."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from didymos_readings import Profile

from didymos_twin_state.domain.geo import Place, is_place
from didymos_twin_state.domain.twin import TwinState

Op: TypeAlias = Literal["eq", "ne", "lt", "le", "gt", "ge"]
OPS: Final[tuple[Op, ...]] = ("eq", "ne", "lt", "le", "gt", "ge")
TEXT_CHARACTERS: Final = 256


@dataclass(frozen=True, slots=True)
class Clear:
    """Values by property; the place, and which property says it."""

    attributes: Mapping[str, float | str] = field(default_factory=dict)
    where: str = ""
    place: Place | None = None


def clear_of(state: TwinState, profile: Profile | None) -> Clear | None:
    """What of a twin may stand in clear: nothing but what its profile calls searchable. None: it calls nothing so."""
    rules = [] if profile is None else [rule for rule in profile.properties.values() if rule.searchable]
    if not rules:
        return None
    attributes: dict[str, float | str] = {}
    where, place = "", None
    for rule in sorted(rules, key=lambda each: each.name):
        cell = state.cells.get(rule.name)
        if cell is None or cell.value is None:
            continue
        value = cell.value
        if isinstance(value, tuple):
            if place is None and is_place(value[0], value[1]):
                where, place = rule.name, Place(value[0], value[1])
        elif isinstance(value, str):
            attributes[rule.name] = value[:TEXT_CHARACTERS]
        else:
            attributes[rule.name] = float(value)
    return Clear(attributes, where, place)


@dataclass(frozen=True, slots=True)
class Filter:
    """A searchable property compared with a value: numbers by all of `OPS`, texts by `eq` and `ne`."""

    name: str
    op: Op
    value: float | str
