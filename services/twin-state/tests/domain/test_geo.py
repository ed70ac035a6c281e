"""Searches by place find what measuring every place finds: at the poles, at the 180th meridian, everywhere."""

from itertools import pairwise

import pytest
from didymos_twin_state.domain.geo import (
    RADIUS_M,
    RANGES,
    Box,
    Place,
    boxes_near,
    boxes_of,
    cell_of,
    distance_m,
    holds,
    ranges_of,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

longitudes = st.sampled_from([-180.0, 180.0, 0.0, 179.9999, -179.9999]) | st.floats(-180, 180)
latitudes = st.sampled_from([-90.0, 90.0, 0.0, 89.9999, -89.9999]) | st.floats(-90, 90)
places = st.builds(Place, longitudes, latitudes)
radii = st.sampled_from([0.0, 1.0, 1_000.0, 200_000.0, 6e6, 2e7, 3e7]) | st.floats(0, 2.1e7)


def found(ranges: list[tuple[int, int]], place: Place) -> bool:
    return any(low <= cell_of(place) <= high for low, high in ranges)


@st.composite
def near(draw: st.DrawFn, centre: Place, radius_m: float) -> Place:
    """A place that lies about as far away as asked for."""
    degrees = radius_m / RADIUS_M * 57.29577951308232
    lon = centre.lon + draw(st.floats(-1.5, 1.5)) * degrees
    lat = min(90.0, max(-90.0, centre.lat + draw(st.floats(-1.5, 1.5)) * degrees))
    return Place((lon + 180.0) % 360.0 - 180.0, lat)


@settings(max_examples=300)
@given(places, radii, st.data())
def test_near_is_what_measuring_finds(centre: Place, radius_m: float, data: st.DataObject) -> None:
    points = data.draw(st.lists(places | near(centre, radius_m), min_size=1, max_size=20))
    ranges = ranges_of(boxes_near(centre, radius_m))
    assert len(ranges) <= RANGES
    for point in [*points, centre]:
        if distance_m(centre, point) <= radius_m:
            assert found(ranges, point)
            assert holds(boxes_near(centre, radius_m), point)


@settings(max_examples=300)
@given(longitudes, latitudes, longitudes, latitudes, st.lists(places, min_size=1, max_size=20))
@example(170.0, -10.0, 180.0, 10.0, [Place(-180.0, 0.0), Place(180.0, 0.0), Place(179.0, 0.0)])
@example(170.0, -10.0, -170.0, 10.0, [Place(-180.0, 0.0), Place(180.0, 0.0), Place(0.0, 0.0)])
@example(-180.0, -90.0, 180.0, 90.0, [Place(-180.0, 90.0), Place(180.0, -90.0)])
def test_a_box_is_what_comparing_finds(
    west: float, south: float, east: float, north: float, points: list[Place]
) -> None:
    south, north = min(south, north), max(south, north)
    boxes = boxes_of(west, south, east, north)
    ranges = ranges_of(boxes)
    assert len(ranges) <= RANGES

    def inside(lon: float) -> bool:
        return west <= lon <= east if west <= east else (lon >= west or lon <= east)

    for point in points:
        turned = {-180.0, 180.0} if abs(point.lon) == 180.0 else {point.lon}
        expected = any(map(inside, turned)) and south <= point.lat <= north
        if expected:
            assert found(ranges, point)
        assert holds(boxes, point) == expected or (expected is False and abs(point.lon) == 180.0)


@given(places, st.floats(1, 50_000))
def test_a_cover_is_not_much_wider_than_its_circle(centre: Place, radius_m: float) -> None:
    if abs(centre.lat) > 60:
        return
    cells = sum(high - low + 1 for low, high in ranges_of(boxes_near(centre, radius_m)))
    (south, north), width = (box := boxes_near(centre, radius_m))[0][1::2], sum(each.east - each.west for each in box)
    share = (width / 360) * ((north - south) / 180)
    assert cells / 2**52 <= 40 * share + 64 / 2**52


def test_distances_are_those_of_the_sphere() -> None:
    assert distance_m(Place(0, 0), Place(0, 90)) == pytest.approx(RADIUS_M * 3.141592653589793 / 2)
    assert distance_m(Place(180, 10), Place(-180, 10)) == pytest.approx(0, abs=1e-6)
    assert distance_m(Place(12, 90), Place(-77, 90)) == pytest.approx(0, abs=1e-6)
    assert distance_m(Place(13.4, 52.5), Place(2.35, 48.86)) == pytest.approx(877_500, rel=0.002)


def test_no_box_has_no_range_and_ranges_do_not_touch() -> None:
    assert ranges_of([]) == []
    ranges = ranges_of([Box(-10, -10, 10, 10)])
    assert all(a[1] + 1 < b[0] for a, b in pairwise(ranges))
