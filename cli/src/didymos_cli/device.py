"""What a device does: columns of readings become signed batches, sent until they are acknowledged. data-path.md 3."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import httpx
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from didymos_readings.batch import Envelope, message_of

from didymos_cli.client import Seen, problem_in, traced

PATH: Final = "/ingestion/v1/batches"
MEDIA: Final = "application/vnd.didymos.batch"
ATTEMPTS: Final = 20


@dataclass(slots=True)
class Sent:
    """Readings by what ingestion said of them."""

    sent: int = 0
    accepted: int = 0
    refused: int = 0
    batches: int = 0


async def send_batch(http: httpx.AsyncClient, origin: str, envelope: Envelope, seen: Seen) -> dict[str, object]:
    """The acknowledgement. The same bytes are sent again while the house is busy or away, as a repeat changes nothing.

    Raises the Problem of a batch that is refused as a whole.
    """
    body = message_of(envelope).SerializeToString()
    for attempt in range(1, ATTEMPTS + 1):
        answer = await _posted(http, origin, body, seen)
        if answer is not None and answer.status_code < 400:
            seen.remember(answer.headers.get("consistency-token"))
            said: dict[str, object] = answer.json()
            seen.remember(str(said.get("token", "")))
            return said
        problem = PLATFORM_UNAVAILABLE.problem() if answer is None else problem_in(answer)
        if problem.row.retry != "later" or attempt == ATTEMPTS:
            raise problem
        await asyncio.sleep(float("1" if answer is None else answer.headers.get("retry-after", "1")))
    raise AssertionError("the last attempt answers or raises")


async def _posted(http: httpx.AsyncClient, origin: str, body: bytes, seen: Seen) -> httpx.Response | None:
    """The answer; None if none came, which says nothing of whether the batch was taken."""
    headers = {"content-type": MEDIA, **traced()}
    if seen.offsets:
        headers["consistency-token"] = seen.token()
    try:
        return await http.post(origin + PATH, content=body, headers=headers)
    except httpx.TransportError:
        return None


async def send_all(http: httpx.AsyncClient, origin: str, envelopes: Iterable[tuple[Envelope, int]], seen: Seen) -> Sent:
    """Send batches one after the other, each with its number of readings."""
    totals = Sent()
    for envelope, count in envelopes:
        said = await send_batch(http, origin, envelope, seen)
        accepted = said["accepted"]
        if not isinstance(accepted, int):
            raise TypeError("an acknowledgement counts what it accepts")
        totals.sent += count
        totals.accepted += accepted
        totals.refused += count - accepted
        totals.batches += 1
    return totals
