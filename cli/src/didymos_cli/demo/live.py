"""After the run: the last hours arrive reading by reading, the twin forecasts by its own model, a steward watches."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from didymos_kit.telemetry import tracing

from didymos_cli.client import Client
from didymos_cli.demo.cast import HELD_BACK, Person
from didymos_cli.demo.onboarding import ALARM, ALARM_RANGE, LEVEL, Grants
from didymos_cli.demo.readings import Devices, total
from didymos_cli.demo.stage import Stage, each
from didymos_cli.demo.training import Ran
from didymos_cli.device import Sent
from didymos_cli.report import Curve, Hop

BAND: Final = (80, 120)  # mg/dL: where the owner wants to stay
NEAR_US: Final = 150_000_000
WAIT_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.2
SPANS: Final = {
    "/v1/batches": "ingestion", "/v1/twins": "twin-state", "didymos.twin": "twin-state", "twin.": "twin-state",
    "didymos.identity": "identity", "didymos.readings": "twin-state",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lived:
    """What the last hours showed. `acts`: of the steward, as the owner sees them, the newest first."""

    sent: Sent
    person: str
    curve: Curve
    hops: tuple[Hop, ...]
    acts: Sequence[Mapping[str, Any]]
    undone: str  # state of the first act after its owner took it back


async def live_on(stage: Stage, devices: Devices, grants: Mapping[str, Grants], ran: Ran) -> Lived:
    """The person with the most to see lives through it; of all others the rest is sent at once."""
    person = _chosen(stage, ran)
    client = stage.client(person.owner)
    await _attached(client, person, ran)
    body = {
        "twin": person.twin, "grant": grants[person.twin].act.id, "property": LEVEL, "command": ALARM,
        "band": {"low": BAND[0], "high": BAND[1]},
    }  # fmt: skip
    await client.post("/steward/v1/stewards", body)
    forecasts, parts = [], []
    hops: tuple[Hop, ...] = ()
    for row in range(len(person.times_us) - HELD_BACK, len(person.times_us)):
        if row == len(person.times_us) - 1:
            sent, hops = await _traced(devices, person, row)
        else:
            sent = await devices.send(person, slice(row, row + 1))
        parts.append(sent)
        forecasts.append(await client.get(f"/twin-state/v1/twins/{person.twin}/forecast", property=LEVEL))
    others = [one for one in stage.cast.people if one is not person]
    parts += await each(others, lambda one: devices.send(one, slice(-HELD_BACK, None)))
    acts = await _acted(client, person)
    undone = await _taken_back(client, person, acts[0]) if acts else ""
    _tell(stage, person, acts, undone)
    return Lived(total(parts), person.name, _curve(person, forecasts), hops, acts, undone)


def _chosen(stage: Stage, ran: Ran) -> Person:
    """Of those whose personal model passed the gate, whoever's glucose rose highest in the last hours."""
    accepted = {one["twin"] for one in ran.evaluation["subjects"] if one["accepted"]}
    people = [one for one in stage.cast.people if one.twin in accepted] or list(stage.cast.people)
    return max(people, key=lambda one: float(one.levels[-HELD_BACK:].max()))


async def _attached(client: Client, person: Person, ran: Ran) -> None:
    """Until the twin shows its own model, if it got one."""
    own = {one["model"] for one in ran.models if one["twin"] == person.twin}
    async with asyncio.timeout(WAIT_SECONDS):
        while own:
            twin = await client.get(f"/twin-state/v1/twins/{person.twin}")
            if own & {one["model"] for one in twin["models"]}:
                return
            await asyncio.sleep(POLL_SECONDS)


async def _traced(devices: Devices, person: Person, row: int) -> tuple[Sent, tuple[Hop, ...]]:
    """Send one reading and follow it: the spans of its trace, until the twin shows it."""
    client = devices.stage.client(person.owner)
    with tracing.recorded() as spans:
        with tracing.span("device.send") as root:
            sent = await devices.send(person, slice(row, row + 1))
            await client.get(f"/twin-state/v1/twins/{person.twin}")
        trace = root.get_span_context().trace_id
        found = [span for span in spans.all() if trace in _traces(span)]
    begin = min((span.start_time or 0 for span in found), default=0)
    hops = [
        Hop(
            _service(span.name), span.name, ((span.start_time or 0) - begin) / 1e6,
            ((span.end_time or 0) - (span.start_time or 0)) / 1e6,
        )
        for span in sorted(found, key=lambda span: span.start_time or 0)
    ]  # fmt: skip
    return sent, tuple(hops)


def _traces(span: Any) -> set[int]:  # noqa: ANN401 - of the telemetry library
    """The trace of a span, and those that it links to: a slice of the log names its producers."""
    return {span.context.trace_id, *(link.context.trace_id for link in span.links)}


def _service(name: str) -> str:
    """Whose span it is, by its name: a route, a method, a topic, or `room.what`."""
    return next((service for sign, service in SPANS.items() if sign in name), name.partition(".")[0])


async def _acted(client: Client, person: Person) -> Sequence[Mapping[str, Any]]:
    """The steward's acts, once the newest is decided; none if it does nothing for a while."""
    acts: list[Mapping[str, Any]] = []
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while not acts or acts[0]["state"] == "proposed":
                acts = (await client.get(f"/steward/v1/twins/{person.twin}/acts"))["acts"]
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        pass
    return acts


async def _taken_back(client: Client, person: Person, act: Mapping[str, Any]) -> str:
    """The owner undoes the act; `undone` once the twin shows no such desired value any more."""
    answer = await client.post(f"/steward/v1/acts/{act['id']}/undo", None)
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            if ALARM not in await client.get(f"/twin-state/v1/twins/{person.twin}/desired"):
                break
            await asyncio.sleep(POLL_SECONDS)
    return str(answer["state"])


def _tell(stage: Stage, person: Person, acts: Sequence[Mapping[str, Any]], undone: str) -> None:
    if not acts:
        stage.say(f"the steward of {person.name} found nothing to do")
        return
    act = acts[0]
    stage.say(f"the steward of {person.name} acted: {act['reason']}, alarm at {act['value']:g}; then {undone}")


def _curve(person: Person, forecasts: Sequence[Mapping[str, Any]]) -> Curve:
    """The forecasts beside what was measured at the times they spoke of."""
    rows = []
    for said in forecasts:
        at = int(np.argmin(np.abs(person.times_us - said["at_us"])))
        if abs(int(person.times_us[at]) - said["at_us"]) <= NEAR_US:
            rows.append((said["at_us"], float(person.levels[at]), said["mean"], said["low"], said["high"]))
    begin = rows[0][0] if rows else 0
    columns = list(zip(*((round((at - begin) / 6e7, 2), *rest) for at, *rest in rows), strict=True)) or [()] * 5
    return Curve(person.name, *columns)


def steward_lines(lived: Lived) -> tuple[str, ...]:
    """What the steward saw, did, and under which bounds, for the report."""
    low, high = BAND
    watched = f"It watched {lived.person}, whose owner wants the forecast between {low} and {high} mg/dL."
    bounds = (
        f"It may set the alarm between {ALARM_RANGE[0]} and {ALARM_RANGE[1]} mg/dL, once an hour, ten times in all."
    )
    if not lived.acts:
        return watched, bounds, "Nothing it saw called for an act."
    act = lived.acts[0]
    did = f"Its {act['reason']}, so it set the alarm to {act['value']:g} {act['unit']}: {act['state']} by the twin."
    return watched, bounds, did, f"The owner then took the act back: {lived.undone}."
