"""Live changes as events of a stream, the same over SSE and WebSocket; and the ids that readers go on from."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from didymos_kit.http.live import Event

from didymos_twin_state.application.read_twin import PARTITIONS
from didymos_twin_state.entrypoints.live import Afresh, Seen, Visible
from didymos_twin_state.entrypoints.live_forecasts import Foretold, Withdrawn
from didymos_twin_state.entrypoints.shapes import desired_json, reported_json, view_json

ID_CHARACTERS: Final = 24 * PARTITIONS


async def events(found: AsyncIterator[Seen]) -> AsyncIterator[Event]:
    """`changed`, `forecast`, `withdrawn`; `resync` with the state of a twin after too long an absence of its reader;
    `gone` with a reason."""
    try:
        async for seen in found:
            match seen:
                case Visible():
                    yield Event(seen.id, "changed", json.dumps(_change_json(seen)))
                case Afresh():
                    yield Event(seen.id, "resync", json.dumps(view_json(seen.view)))
                case Foretold():
                    yield Event(seen.id, "forecast", json.dumps(_forecast_json(seen)))
                case Withdrawn(place, said):
                    told = {"twin": said.twin, "model": said.model_id, "task": said.task, "reason": said.reason}
                    yield Event(place, "withdrawn", json.dumps(told))
                case _:
                    yield Event("", "gone", json.dumps({"twin": seen.twin, "reason": seen.reason}))
    finally:
        await found.aclose()  # type: ignore[attr-defined] # it is a generator


def parse_event_id(said: str | None) -> Mapping[int, int] | None:
    """Offsets by partition of an id we gave: `3:91822,17:55`; None for none. One that we never gave has no offsets:
    then every twin is taken afresh."""
    if not said:
        return None
    places: dict[int, int] = {}
    for place in said.split(",") if len(said) <= ID_CHARACTERS else ():
        part, _, offset = place.partition(":")
        if not (part.isascii() and part.isdecimal() and offset.isascii() and offset.isdecimal()) or len(offset) > 18:
            return {}
        places[int(part[:6])] = int(offset)
    return places


def _change_json(seen: Visible) -> dict[str, Any]:
    said, body = seen.said, seen.body
    shown: dict[str, Any] = {
        "twin": said.twin, "revision": said.revision, "source": f"{said.source_partition}:{said.source_offset}",
        "reported": {each.property: reported_json(each) for each in body.reported},
        "desired": {each.property: desired_json(each) for each in body.desired},
    }  # fmt: skip
    if body.relations:
        shown["relations"] = [{"name": r.name, "target": r.target, "accepted": r.accepted} for r in body.relations]
    if body.models:
        shown["models"] = [{"model": m.model_id, "task": m.task, "personal": m.personal} for m in body.models]
    return shown


def _forecast_json(seen: Foretold) -> dict[str, Any]:
    said, body = seen.said, seen.body
    strange = {"chance": body.chance, "alarm": body.alarm, "compared": body.compared} if body.compared else None
    return {
        "twin": said.twin, "property": said.property, "mean": body.mean, "low": body.low, "high": body.high,
        "unit": body.unit, "at_us": said.at_us, "made_at_us": said.made_at_us, "model": said.model_id,
        "personal": said.personal, "anomaly": strange,
    }  # fmt: skip
