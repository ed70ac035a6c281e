"""Places on the globe: Morton cells that a database can range over, and exact distances. data-path.md section 12.

A place is longitude and latitude in degrees (WGS 84). A box that crosses the 180th meridian is two boxes; a circle that
holds a pole has all longitudes.
"""

from collections.abc import Sequence
from heapq import heappop, heappush
from math import asin, cos, degrees, inf, pi, radians, sin, sqrt
from typing import Final, NamedTuple

BITS: Final = 26  # of each axis: cells of 0.6 m by 0.3 m at the equator
SIDE: Final = 1 << BITS
RADIUS_M: Final = 6_371_008.8  # mean radius of the earth
RANGES: Final = 16
_SLACK: Final = 1e-9  # degrees, for rounding: what a box lets in too much is measured anyhow


class Place(NamedTuple):
    lon: float
    lat: float


class Box(NamedTuple):
    """West is not east of east."""

    west: float
    south: float
    east: float
    north: float


def is_place(lon: float, lat: float) -> bool:
    return -180 <= lon <= 180 and -90 <= lat <= 90


def cell_of(place: Place) -> int:
    """The Morton code of the cell that holds the place. 180 east is 180 west."""
    x, y = _grid(place)
    return _spread(x) | _spread(y) << 1


def distance_m(a: Place, b: Place) -> float:
    """Along the sphere, by haversine."""
    south, north = radians(a.lat), radians(b.lat)
    across = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin(radians(b.lon - a.lon) / 2) ** 2
    return 2 * RADIUS_M * asin(min(1.0, sqrt(across)))


def boxes_of(west: float, south: float, east: float, north: float) -> tuple[Box, ...]:
    """A bounding box as RFC 7946 writes it: with west beyond east it crosses the 180th meridian."""
    if west > east:
        return (Box(west, south, 180.0, north), Box(-180.0, south, east, north))
    if east == 180.0 and west > -180.0:  # the meridian itself is kept as 180 west
        return (Box(west, south, east, north), Box(-180.0, south, -180.0, north))
    return (Box(west, south, east, north),)


def boxes_near(place: Place, radius_m: float) -> tuple[Box, ...]:
    """Boxes that hold all that is within the radius, and little more."""
    reach = min(radius_m / RADIUS_M, pi)
    south, north = place.lat - degrees(reach) - _SLACK, place.lat + degrees(reach) + _SLACK
    if south <= -90 or north >= 90:
        return (Box(-180.0, max(south, -90.0), 180.0, min(north, 90.0)),)
    wide = degrees(asin(min(1.0, sin(reach) / cos(radians(place.lat))))) + _SLACK
    west, east = place.lon - wide, place.lon + wide
    if east - west >= 360:
        return (Box(-180.0, south, 180.0, north),)
    return boxes_of(west + 360 if west < -180 else west, south, east - 360 if east > 180 else east, north)


def holds(boxes: Sequence[Box], place: Place) -> bool:
    lon = -180.0 if place.lon == 180.0 else place.lon
    return any(box.west <= lon <= box.east and box.south <= place.lat <= box.north for box in boxes)


def ranges_of(boxes: Sequence[Box], most: int = RANGES) -> list[tuple[int, int]]:
    """At most `most` inclusive ranges of cells that cover the boxes: the widest cell is cut until there are as many."""
    grids = [(*_grid(Place(box.west, box.south), _WEST), *_grid(Place(box.east, box.north), _EAST)) for box in boxes]
    open_: list[tuple[int, int, int, int]] = []  # minus the side, x, y, code
    closed: list[tuple[int, int]] = []
    if grids:
        heappush(open_, (-SIDE, 0, 0, 0))
    while open_:
        side, x, y, code = heappop(open_)
        side = -side
        if side == 1 or any(w <= x and s <= y and x + side - 1 <= e and y + side - 1 <= n for w, s, e, n in grids):
            closed.append((code, code + side * side - 1))
            continue
        half = side >> 1
        parts = [
            (-half, x + dx * half, y + dy * half, code + (dx | dy << 1) * half * half) for dy in (0, 1) for dx in (0, 1)
        ]
        inside = [
            (size, px, py, at)
            for size, px, py, at in parts
            if any(px <= e and px + half > w and py <= n and py + half > s for w, s, e, n in grids)
        ]
        if len(open_) + len(closed) + len(inside) > most:
            closed.append((code, code + side * side - 1))
            closed += [(at, at + size * size - 1) for size, _, _, at in open_]
            break
        for part in inside:
            heappush(open_, part)
    return _adjacent(sorted(closed))


_WEST: Final = False
_EAST: Final = True


def _grid(place: Place, edge: bool = _WEST) -> tuple[int, int]:  # noqa: FBT001 - of this module only
    """Column and row. As the east edge of a box, 180 stays in the last column."""
    lon = -180.0 if place.lon == 180.0 and not edge else place.lon
    x, y = int((lon + 180.0) / 360.0 * SIDE), int((place.lat + 90.0) / 180.0 * SIDE)
    return min(x, SIDE - 1), min(y, SIDE - 1)


def _spread(x: int) -> int:
    """The bits of x, each followed by a zero."""
    x = (x | x << 16) & 0x0000FFFF0000FFFF
    x = (x | x << 8) & 0x00FF00FF00FF00FF
    x = (x | x << 4) & 0x0F0F0F0F0F0F0F0F
    x = (x | x << 2) & 0x3333333333333333
    return (x | x << 1) & 0x5555555555555555


def _adjacent(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges that touch, as one."""
    found: list[tuple[int, int]] = []
    end = -inf
    for low, high in ranges:
        if low == end + 1:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
        end = high
    return found
