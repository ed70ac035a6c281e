"""REST of the past: ranges as JSON, CSV or protobuf, aggregates, proofs."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.ingestion import READING_UNIT_INCOMMENSURABLE
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import QUERY_TOO_WIDE, READ_TOKEN_TIMEOUT
from didymos_did import Did, TwinId
from didymos_kit.http.paging import CursorQuery, Cursors
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from fastapi import APIRouter, Query, Request, Response

from didymos_twin_state.application.permits import Permits
from didymos_twin_state.application.prove_reading import Prover, prove_reading
from didymos_twin_state.application.read_aggregate import AggregateQuery, read_aggregate
from didymos_twin_state.application.read_history import END_US, Past, RangeQuery, read_range
from didymos_twin_state.domain.aggregate import FUNCTIONS
from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.entrypoints.columns import (
    CSV,
    PROTOBUF,
    MolarMasses,
    csv_of,
    finite,
    in_unit,
    range_message,
    wanted_form,
    zone_of,
)
from didymos_twin_state.entrypoints.shapes import instant_us, reader_of, step_us, value_json
from didymos_twin_state.entrypoints.waiting import Arrivals, TokenHeader

LIMIT: Final = 1_000
MOST: Final = 100_000
NEXT: Final = "didymos-next"  # the header with the cursor of the next page, where the body has no room for it
Property = Annotated[str, Query(min_length=1, max_length=256)]
Limit = Annotated[int, Query(ge=1, le=MOST)]
From = Annotated[str, Query(alias="from", max_length=40)]
To = Annotated[str, Query(alias="to", max_length=40)]
Unit = Annotated[str | None, Query(max_length=128, description="UCUM code; values are converted to it")]
Device = Annotated[str, Query(max_length=256, description="DID of the device that measured")]
Quality = Annotated[int, Query(ge=0, le=100)]
FORMS: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {
    CSV: {"schema": {"type": "string"}}, PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
}}}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HistoryRoutes:
    """What the routes of history work with."""

    permits: Permits
    past: Past
    arrivals: Arrivals
    cursors: Cursors
    prover: Prover
    molar: MolarMasses


def routes(parts: HistoryRoutes) -> APIRouter:
    answers = problems(
        PLATFORM_NOT_FOUND, CONSENT_STALE, READ_TOKEN_TIMEOUT, QUERY_TOO_WIDE, PLATFORM_INVALID_FIELD,
        READING_UNIT_INCOMMENSURABLE,
    )  # fmt: skip
    router = APIRouter(prefix="/v1/twins", responses=answers)
    _ranges(router, parts)
    _aggregates(router, parts)
    _proofs(router, parts)
    return router


def _ranges(router: APIRouter, parts: HistoryRoutes) -> None:
    @router.get("/{twin_id}/history", responses=FORMS, response_model=None)
    async def history(  # noqa: PLR0913, PLR0917 - the query, by name
        twin_id: str, property: Property, caller: Caller, request: Request, begin: From = "0", end: To = str(END_US),
        min_quality: Quality = 0, unit: Unit = None, device: Device = "", limit: Limit = LIMIT,
        cursor: CursorQuery = None, token: TokenHeader = None,
    ) -> dict[str, Any] | Response:  # fmt: skip
        """Columns `t` (microseconds UTC), `v` (in `unit`) and `q` (0..100) of [from, to), oldest first.

        A page may be short while there is a next one, where `min_quality` leaves most readings out.

        As CSV or protobuf (`didymos.twin.v1.RangeResponse`) the cursor of the next page is in `Didymos-Next`.
        """
        form = wanted_form(request.headers.get("accept", ""))
        await parts.arrivals.durable(token)
        begin_us, end_us = instant_us(begin, "?from"), instant_us(end, "?to")
        asked = {
            "twin": twin_id, "property": property, "from": str(begin_us), "to": str(end_us), "q": min_quality,
            "device": device, "caller": caller.caller,
        }  # fmt: skip
        place = parts.cursors.read(cursor, asked)
        begin_us = begin_us if place is None else int(place[0])
        query = RangeQuery(TwinId(Did(twin_id)), property, begin_us, end_us, limit, min_quality, device)
        found, following = await read_range(query, reader_of(caller), parts.permits, parts.past)
        shown = in_unit(found, unit, await parts.molar.of(twin_id, property, unit))
        more = None if following is None else parts.cursors.write((str(following),), asked)
        if form is not None:
            body = csv_of(shown) if form == CSV else range_message(shown).SerializeToString()
            return Response(body, media_type=form, headers={} if more is None else {NEXT: more})
        return {
            "property": property, "unit": shown.unit, "t": shown.times_us.tolist(), "v": _values(shown),
            "q": shown.quality.tolist(), "next": more,
        }  # fmt: skip


def _aggregates(router: APIRouter, parts: HistoryRoutes) -> None:
    @router.get("/{twin_id}/aggregate")
    async def aggregate(  # noqa: PLR0913, PLR0917 - the query, by name
        twin_id: str, property: Property, begin: From, end: To, step: Annotated[str, Query(max_length=32)],
        fn: Annotated[str, Query(max_length=16)], caller: Caller,
        fill: Literal["none", "null", "zero", "previous", "linear"] = "none",
        zone: Annotated[str | None, Query(max_length=64, description="IANA name; steps are whole local days")] = None,
        unit: Unit = None, min_quality: Quality = 0, device: Device = "", token: TokenHeader = None,
    ) -> dict[str, Any]:  # fmt: skip
        """A value a step, half-open and aligned to 1970 or to the days of `zone`.

        Steps that hold no reading are left out unless `fill` says what they get. `twa`: each reading holds until the
        next one, the last until the step ends. `rollups`: how many stored entries served in place of readings.
        """
        await parts.arrivals.durable(token)
        if fn not in FUNCTIONS:
            raise PLATFORM_INVALID_FIELD.problem(
                pointer="?fn", detail="one of count avg sum min max first last stddev twa, or p50 to p99"
            )
        query = AggregateQuery(
            TwinId(Did(twin_id)), property, instant_us(begin, "?from"), instant_us(end, "?to"), step_us(step), fn, fill,
            zone_of(zone), unit, await parts.molar.of(twin_id, property, unit), min_quality, device,
        )  # fmt: skip
        found = await read_aggregate(query, reader_of(caller), parts.permits, parts.past)
        return {
            "property": property, "fn": fn, "step_us": query.step_us, "unit": "" if fn == "count" else found.unit,
            "t": found.buckets.begins_us.tolist(), "v": finite(found.buckets.values), "rollups": found.rollups,
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


def _values(shown: Readings) -> list[Any]:
    numbers = shown.numbers
    return [value_json(each) for each in shown.values] if numbers is None else finite(numbers.tolist())
