"""Live changes of one twin, filtered by what the reader may see at the moment of delivery. data-path.md section 14."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

from didymos.twin.v1.twin_events_pb2 import ChangeBody
from didymos_contracts.errors import Problem
from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.metrics import TWIN_PUSHES_TOTAL
from didymos_did import Action, TwinId
from didymos_kit.eventlog import Stored
from didymos_kit.http.live import Closing, Event
from didymos_kit.telemetry import tracing
from didymos_kit.telemetry.metrics import Metrics

from didymos_twin_state.adapters.changes import ChangeFeed, OpenChange
from didymos_twin_state.application.permits import Permits, Reader, feature
from didymos_twin_state.application.read_twin import Twins, read_twin
from didymos_twin_state.entrypoints.shapes import desired_json, reported_json, view_json

LOOK_SECONDS: Final = 0.5  # grants also end by their date
STALE_SECONDS: Final = 30.0


class Waits(Protocol):
    async def wait(self) -> None: ...


Changes = Callable[[TwinId], AbstractAsyncContextManager[Waits]]


@dataclass(frozen=True, slots=True)
class Visible:
    """One change with what the reader may see of it."""

    change: OpenChange
    body: ChangeBody


class LiveTwins:
    """Streams of this process."""

    def __init__(self, feed: ChangeFeed, twins: Twins, permits: Permits, changes: Changes, metrics: Metrics) -> None:
        self._feed, self._twins, self._permits, self._changes = feed, twins, permits, changes
        self._pushed = {
            outcome: metrics.counter(TWIN_PUSHES_TOTAL, outcome=outcome)
            for outcome in ("delivered", "denied", "dropped")
        }

    async def open(self, twin: TwinId, reader: Reader) -> frozenset[str]:
        """The properties that may be watched now. Raises PLATFORM_NOT_FOUND, CONSENT_STALE."""
        view = await read_twin(twin, reader, self._permits, self._twins, Action.SUBSCRIBE)
        return frozenset({*view.cells, *view.desired})

    async def changes(
        self, twin: TwinId, reader: Reader, names: frozenset[str], closing: Closing, after: tuple[int, int] | None
    ) -> AsyncIterator[Visible | None]:
        """What may be seen of each change; None first if the reader has to take the state afresh. Ends by `closing`."""
        watched = set(names)
        guard = asyncio.create_task(self._guard(twin, reader, watched, closing), name="grant guard")
        try:
            with self._feed.watch(twin, after) as subscription:
                if not subscription.resumed:
                    yield None
                while (record := await subscription.next()) is not None:
                    with _pushing(record):
                        change = await self._feed.opened(record)
                        seen = None if change is None else self._seen(twin, reader, change, watched)
                    if closing:
                        return
                    if seen is not None:
                        self._pushed["delivered"].inc()
                        yield seen
            self._pushed["dropped"].inc()
            closing.close("lagged")
        finally:
            guard.cancel()
            with suppress(asyncio.CancelledError):
                await guard

    async def events(
        self, twin: TwinId, reader: Reader, names: frozenset[str], closing: Closing, after: tuple[int, int] | None
    ) -> AsyncIterator[Event]:
        """As server-sent events: `changed`, and `resync` with the state when the reader was away for too long."""
        async for seen in self.changes(twin, reader, names, closing, after):
            if seen is None:
                view = await read_twin(twin, reader, self._permits, self._twins, Action.SUBSCRIBE)
                yield Event("", "resync", json.dumps(view_json(view)))
            else:
                yield Event(seen.change.id, "changed", json.dumps(_change_json(seen)))

    def _seen(self, twin: TwinId, reader: Reader, change: OpenChange, watched: set[str]) -> Visible | None:
        body = change.body
        if body is None:
            return None
        names = {each.property for each in body.reported} | {each.property for each in body.desired}
        try:
            allowed = self._permits.visible(reader, Action.SUBSCRIBE, twin, names)
        except Problem:  # consent is stale: nothing is sent until it is fresh, or the guard ends the stream
            allowed = frozenset()
        watched |= allowed
        owner = self._permits.is_owner(reader, twin)
        shown = ChangeBody(
            reported=[each for each in body.reported if each.property in allowed],
            desired=[each for each in body.desired if each.property in allowed],
            relations=body.relations if owner else (), models=body.models if owner else (), lifecycle=body.lifecycle,
        )  # fmt: skip
        if not (allowed or owner):
            self._pushed["denied"].inc()
            return None
        return Visible(change, shown)

    async def _guard(self, twin: TwinId, reader: Reader, watched: set[str], closing: Closing) -> None:
        """Close when nothing may be watched any more. Looks at each change of a grant, and twice a second."""
        stale_since: float | None = None
        loop = asyncio.get_running_loop()
        async with self._changes(twin) as changed:
            while not closing:
                reason = self._standing(twin, reader, watched)
                if reason == CONSENT_STALE.code:
                    stale_since = stale_since or loop.time()
                    if loop.time() - stale_since > STALE_SECONDS:
                        closing.close(reason)
                elif reason:
                    closing.close(reason)
                else:
                    stale_since = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await changed.wait()

    def _standing(self, twin: TwinId, reader: Reader, watched: set[str]) -> str:
        """Why nothing may be seen now; empty while something may."""
        if self._permits.is_owner(reader, twin):
            return ""
        found = [self._permits.decision(reader, Action.SUBSCRIBE, twin, feature(name)) for name in watched]
        if any(each.allowed for each in found):
            return ""
        if any(each.reason.value == "stale_consent" for each in found):
            return CONSENT_STALE.code
        return "grant.revoked"


def _pushing(record: Stored) -> AbstractContextManager[object]:
    """A span of the trace in which a reading came, for as long as its change is opened and looked at."""
    sampled = tracing.extract(record.headers)
    return nullcontext() if sampled is None else tracing.span("twin.push", kind=tracing.PRODUCER, parent=sampled)


def parse_event_id(said: str | None) -> tuple[int, int] | None:
    """(partition, offset) of an id we gave; None for none, or for one that we never gave: then nothing is resumed."""
    part, colon, offset = (said or "").partition(":")
    if not colon or not (part.isdecimal() and offset.isdecimal()) or len(part) > 5 or len(offset) > 18:
        return None
    return int(part), int(offset)


def _change_json(seen: Visible) -> dict[str, Any]:
    said, body = seen.change.said, seen.body
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
