"""Twins that a caller may see, by type, by searchable values and by place. data-path.md section 12.

Search shows a twin only to who may read each property that the question is about; a twin that is not shown leaves no
trace but time, so there are no totals.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Action, Did, TwinId

from didymos_twin_state.application.permits import Permits, Reader
from didymos_twin_state.application.read_twin import Twins, TwinView, read_twin
from didymos_twin_state.application.search_ports import Found, TwinSearch, Wanted
from didymos_twin_state.domain.geo import Box, Place, distance_m, holds, ranges_of

PAGES: Final = 10  # asked of the store for one page of an answer
BATCH: Final = 1_000
AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Area:
    """`boxes` cover it; within `radius_m` of `centre` if there is one."""

    boxes: tuple[Box, ...]
    centre: Place | None = None
    radius_m: float = 0.0

    def holds(self, place: Place) -> bool:
        if self.centre is None:
            return holds(self.boxes, place)
        return distance_m(self.centre, place) <= self.radius_m


@dataclass(frozen=True, slots=True)
class Search:
    wanted: Wanted
    area: Area | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """`after`: the id to go on from; None: there are no more. It may be that none of a page may be seen."""

    found: tuple[Found, ...]
    after: str | None


async def search_twins(
    search: Search, after: str, limit: int, reader: Reader, permits: Permits, twins: Twins, store: TwinSearch
) -> Page:
    """At most `limit` twins, by id. Raises CONSENT_STALE for who is no owner."""
    wanted = search.wanted
    if search.area is not None:
        cells = tuple(ranges_of(search.area.boxes))
        wanted = Wanted(wanted.owner, wanted.kind, wanted.filters, cells)
    shown: list[Found] = []
    for _ in range(PAGES):
        rows = await store.find(wanted, after, limit)
        for row in rows:
            after = row.twin
            if _lies(row, search.area) and await _may_see(row, search, reader, permits, twins):
                shown.append(row)
                if len(shown) == limit:
                    return Page(tuple(shown), after)
        if len(rows) < limit:
            return Page(tuple(shown), None)
    return Page(tuple(shown), after)


async def read_twins(names: Sequence[TwinId], reader: Reader, permits: Permits, twins: Twins) -> list[TwinView]:
    """What may be seen of each, in order; what may not, or is not there, is left out. Raises CONSENT_STALE."""
    found: list[TwinView] = []
    mine = [name for name in dict.fromkeys(names) if may_know(name, reader, permits)]
    for first in range(0, len(mine), AT_ONCE):
        some = mine[first : first + AT_ONCE]
        views = await asyncio.gather(*(_view(name, reader, permits, twins) for name in some))
        found += [view for view in views if view is not None]
    return found


def may_know(twin: TwinId, reader: Reader, permits: Permits) -> bool:
    """Whether there is any reason to look: its owner asks, or somebody whom it granted something."""
    return permits.is_owner(reader, twin) or permits.is_grantee(reader, twin)


async def may_see(twin: TwinId, reader: Reader, permits: Permits, twins: Twins) -> bool:
    """Whether the reader may see that the twin is there. Raises CONSENT_STALE."""
    return may_know(twin, reader, permits) and await _view(twin, reader, permits, twins) is not None


def _lies(row: Found, area: Area | None) -> bool:
    return area is None or (row.place is not None and area.holds(row.place))


async def _may_see(row: Found, search: Search, reader: Reader, permits: Permits, twins: Twins) -> bool:
    twin = TwinId(Did(row.twin))
    if permits.is_owner(reader, twin):
        return True
    if not permits.is_grantee(reader, twin):
        return False
    names = {each.name for each in search.wanted.filters} | ({row.where} if search.area is not None else set())
    if names:
        return permits.visible(reader, Action.READ, twin, names) == names
    return await _view(twin, reader, permits, twins) is not None


async def _view(twin: TwinId, reader: Reader, permits: Permits, twins: Twins) -> TwinView | None:
    try:
        return await read_twin(twin, reader, permits, twins)
    except Problem as problem:
        if problem.row is PLATFORM_NOT_FOUND:
            return None
        raise
