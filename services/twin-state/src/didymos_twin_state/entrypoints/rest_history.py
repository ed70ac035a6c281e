"""REST of the past: ranges, aggregates, proofs."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.ingestion import READING_UNIT_INCOMMENSURABLE
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import QUERY_TOO_WIDE, READ_TOKEN_TIMEOUT
from didymos_did import Did, TwinId
from didymos_kit.http.paging import CursorQuery, Cursors
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from didymos_readings import Affine, UnitProblem, built_in_profiles, compile_unit
from fastapi import APIRouter, Query

from didymos_twin_state.application.permits import Permits
from didymos_twin_state.application.prove_reading import Prover, prove_reading
from didymos_twin_state.application.read_history import (
    END_US,
    AggregateQuery,
    Past,
    RangeQuery,
    read_aggregate,
    read_range,
)
from didymos_twin_state.domain.aggregate import FUNCTIONS
from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.entrypoints.shapes import instant_us, reader_of, step_us, value_json
from didymos_twin_state.entrypoints.waiting import Arrivals, TokenHeader

LIMIT: Final = 1_000
MOST: Final = 100_000
Property = Annotated[str, Query(min_length=1, max_length=256)]
Limit = Annotated[int, Query(ge=1, le=MOST)]
From = Annotated[str, Query(alias="from", max_length=40)]
To = Annotated[str, Query(alias="to", max_length=40)]


@dataclass(frozen=True, slots=True)
class HistoryRoutes:
    """What the routes of history work with. `profile` says the profile of a twin, for molar masses."""

    permits: Permits
    past: Past
    arrivals: Arrivals
    cursors: Cursors
    prover: Prover


def routes(parts: HistoryRoutes) -> APIRouter:
    answers = problems(PLATFORM_NOT_FOUND, CONSENT_STALE, READ_TOKEN_TIMEOUT, QUERY_TOO_WIDE, PLATFORM_INVALID_FIELD)
    router = APIRouter(prefix="/v1/twins", responses=answers)
    _ranges(router, parts)
    _aggregates(router, parts)
    _proofs(router, parts)
    return router


def _ranges(router: APIRouter, parts: HistoryRoutes) -> None:
    @router.get("/{twin_id}/history")
    async def history(  # noqa: PLR0913, PLR0917 - the query, by name
        twin_id: str, property: Property, caller: Caller, begin: From = "0", end: To = str(END_US),
        min_quality: Annotated[int, Query(ge=0, le=100)] = 0, unit: Annotated[str | None, Query(max_length=64)] = None,
        limit: Limit = LIMIT, cursor: CursorQuery = None, token: TokenHeader = None,
    ) -> dict[str, Any]:  # fmt: skip
        """Columns `t` (microseconds UTC), `v` (in `unit`) and `q` (0..100) of [from, to), oldest first."""
        await parts.arrivals.durable(token)
        begin_us, end_us = instant_us(begin, "?from"), instant_us(end, "?to")
        asked = {
            "twin": twin_id, "property": property, "from": str(begin_us), "to": str(end_us), "q": min_quality,
            "caller": caller.caller,
        }  # fmt: skip
        place = parts.cursors.read(cursor, asked)
        begin_us = begin_us if place is None else int(place[0])
        query = RangeQuery(TwinId(Did(twin_id)), property, begin_us, end_us, limit, min_quality)
        found, following = await read_range(query, reader_of(caller), parts.permits, parts.past)
        shown = found if unit is None else in_unit(found, unit, property)
        more = None if following is None else parts.cursors.write((str(following),), asked)
        return {
            "property": property, "unit": shown.unit, "t": shown.times_us.tolist(), "v": _values(shown),
            "q": shown.quality.tolist(), "next": more,
        }  # fmt: skip


def _aggregates(router: APIRouter, parts: HistoryRoutes) -> None:
    @router.get("/{twin_id}/aggregate")
    async def aggregate(  # noqa: PLR0913, PLR0917 - the query, by name
        twin_id: str, property: Property, begin: From, end: To, step: Annotated[str, Query(max_length=32)],
        fn: Annotated[str, Query(max_length=16)], caller: Caller, token: TokenHeader = None,
    ) -> dict[str, Any]:  # fmt: skip
        """One value a step that holds readings; steps are aligned to 1970 and half-open."""
        await parts.arrivals.durable(token)
        if fn not in FUNCTIONS:
            raise PLATFORM_INVALID_FIELD.problem(pointer="?fn", detail=f"one of {', '.join(sorted(FUNCTIONS))}")
        query = AggregateQuery(
            TwinId(Did(twin_id)), property, instant_us(begin, "?from"), instant_us(end, "?to"), step_us(step), fn
        )
        buckets, unit = await read_aggregate(query, reader_of(caller), parts.permits, parts.past)
        return {
            "property": property, "fn": fn, "step_us": query.step_us, "unit": "" if fn == "count" else unit,
            "t": buckets.begins_us.tolist(), "v": buckets.values.tolist(),
        }  # fmt: skip


def _proofs(router: APIRouter, parts: HistoryRoutes) -> None:
    @router.get("/{twin_id}/proofs")
    async def proofs(
        twin_id: str, property: Property, observed_at: Annotated[str, Query(max_length=40)], caller: Caller,
        token: TokenHeader = None,
    ) -> dict[str, Any]:  # fmt: skip
        """The signed block that holds a reading, with its way to the device's signature: checked offline."""
        await parts.arrivals.durable(token)
        at_us = instant_us(observed_at, "?observed_at")
        found = await prove_reading(
            TwinId(Did(twin_id)), property, at_us, reader_of(caller), parts.permits, parts.prover
        )
        return {"twin": twin_id, "property": property, "observed_at_us": at_us, "proofs": found}


def in_unit(found: Readings, unit: str, name: str) -> Readings:
    """The readings in another UCUM unit. Raises READING_UNIT_INCOMMENSURABLE."""
    molar = next((p.properties[name].molar_mass for p in built_in_profiles().values() if name in p.properties), None)
    if not len(found):
        return found
    way = compile_unit(found.unit, unit, molar)
    numbers = found.numbers
    if isinstance(way, UnitProblem) or numbers is None:
        raise READING_UNIT_INCOMMENSURABLE.problem(pointer="?unit", detail=f"from {found.unit or 'no unit'}")
    converted = numbers * way.a + way.b if isinstance(way, Affine) else way(numbers)
    return Readings(found.times_us, np.asarray(converted, np.float64), found.quality, unit)


def _values(shown: Readings) -> list[Any]:
    numbers = shown.numbers
    return [value_json(each) for each in shown.values] if numbers is None else numbers.tolist()
