"""Questions about many twins, as REST and gRPC put them: areas and comparisons. All raise PLATFORM_INVALID_FIELD."""

from math import isfinite
from typing import Final

from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_readings.profile import NAME

from didymos_twin_state.application.search_twins import Area
from didymos_twin_state.domain.geo import RADIUS_M, Place, boxes_near, boxes_of, is_place
from didymos_twin_state.domain.search import OPS, TEXT_CHARACTERS, Filter

MOST_FILTERS: Final = 8
HALF_TURN_M: Final = RADIUS_M * 3.1416


def area_of(near: str | None, bbox: str | None) -> Area | None:
    """`lon,lat,metres` or `west,south,east,north`."""
    if near is not None and bbox is not None:
        raise PLATFORM_INVALID_FIELD.problem(pointer="?bbox", detail="near or bbox, not both")
    if near is not None:
        lon, lat, metres = _numbers(near, 3, "?near")
        return near_of(lon, lat, metres)
    if bbox is not None:
        west, south, east, north = _numbers(bbox, 4, "?bbox")
        return bbox_of(west, south, east, north)
    return None


def near_of(lon: float, lat: float, metres: float) -> Area:
    if not is_place(lon, lat) or not 0 <= metres <= HALF_TURN_M:
        raise PLATFORM_INVALID_FIELD.problem(pointer="?near", detail="longitude, latitude, metres")
    centre = Place(lon, lat)
    return Area(boxes_near(centre, metres), centre, metres)


def bbox_of(west: float, south: float, east: float, north: float) -> Area:
    if not (is_place(west, south) and is_place(east, north) and south <= north):
        raise PLATFORM_INVALID_FIELD.problem(pointer="?bbox", detail="west, south, east, north in degrees")
    return Area(boxes_of(west, south, east, north))


def filters_of(text: str) -> tuple[Filter, ...]:
    """`property:op:value`, joined by semicolons; what reads as a number is one, a text may stand in quotes."""
    said = [each.split(":", 2) for each in text.split(";")] if text else []
    if any(len(each) != 3 for each in said):
        raise PLATFORM_INVALID_FIELD.problem(pointer="?filter", detail="property:op:value, joined by semicolons")
    return checked([(name, op, _value(value)) for name, op, value in said])


def checked(said: list[tuple[str, str, float | str]]) -> tuple[Filter, ...]:
    if len(said) > MOST_FILTERS:
        raise PLATFORM_INVALID_FIELD.problem(pointer="?filter", detail=f"at most {MOST_FILTERS}")
    return tuple(_checked(*each) for each in said)


def _checked(name: str, op: str, value: float | str) -> Filter:
    if not NAME.fullmatch(name) or op not in OPS:
        raise PLATFORM_INVALID_FIELD.problem(pointer="?filter", detail="a property, and one of " + " ".join(OPS))
    if isinstance(value, str):
        if op not in ("eq", "ne") or not 0 < len(value) <= TEXT_CHARACTERS or "\x00" in value:
            raise PLATFORM_INVALID_FIELD.problem(pointer="?filter", detail="texts are compared by eq and ne")
    elif not isfinite(value):
        raise PLATFORM_INVALID_FIELD.problem(pointer="?filter", detail="a finite number is expected")
    return Filter(name, op, value)


def _value(text: str) -> float | str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    try:
        number = float(text)
    except ValueError:
        return text
    return number if isfinite(number) else text


def _numbers(text: str, count: int, pointer: str) -> list[float]:
    try:
        found = [float(each) for each in text.split(",")]
    except ValueError:
        found = []
    if len(found) != count or not all(map(isfinite, found)):
        raise PLATFORM_INVALID_FIELD.problem(pointer=pointer, detail=f"{count} numbers joined by commas")
    return found
