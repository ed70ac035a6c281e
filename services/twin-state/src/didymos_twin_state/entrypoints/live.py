"""Live changes of twins, filtered by what the reader may see at the moment of delivery. data-path.md section 14."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from didymos.twin.v1.twin_events_pb2 import ChangeBody, TwinChanged
from didymos_contracts.errors import Problem
from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.metrics import TWIN_PUSHES_TOTAL
from didymos_did import Action, TwinId
from didymos_kit.eventlog import Stored
from didymos_kit.http.live import Closing
from didymos_kit.telemetry import tracing
from didymos_kit.telemetry.metrics import Metrics

from didymos_twin_state.adapters.changes import ChangeFeed, OpenChange, Subscription
from didymos_twin_state.application.permits import Permits, Reader, feature
from didymos_twin_state.application.read_twin import Twins, TwinView, read_twin
from didymos_twin_state.entrypoints.live_forecasts import Beside, foretold, taken, withdrawn_of

LOOK_SECONDS: Final = 0.5  # grants also end by their date; a stream of many twins looks at each more seldom
FEW: Final = 8
STALE_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 0.1
REVOKED: Final = "grant.revoked"


class Waits(Protocol):
    async def wait(self) -> None: ...


Changes = Callable[[TwinId], AbstractAsyncContextManager[Waits]]


@dataclass(frozen=True, slots=True)
class Visible:
    """A change with what the reader may see of it. `id`: after what the reader goes on."""

    id: str
    said: TwinChanged
    body: ChangeBody


@dataclass(frozen=True, slots=True)
class Afresh:
    """The reader missed changes of this twin: it takes the state in their place."""

    id: str
    twin: TwinId
    view: TwinView


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing of this twin may be watched any more; others of the stream go on."""

    twin: TwinId
    reason: str


Seen: TypeAlias = Visible | Afresh | Gone | Beside


@dataclass(frozen=True, slots=True)
class Watch:
    """A stream that is opened: who reads, and which properties of which twins it could see so far."""

    reader: Reader
    names: dict[TwinId, set[str]]
    gone: list[Gone] = field(default_factory=list)


class LiveTwins:
    """Streams of this process."""

    def __init__(
        self, feed: ChangeFeed, twins: Twins, permits: Permits, changes: Changes, metrics: Metrics,
        *, stale_seconds: float = STALE_SECONDS,
    ) -> None:  # fmt: skip
        """`stale_seconds`: how long a stream is silent while consent is stale, until it is closed."""
        self._feed, self._twins, self._permits, self._changes = feed, twins, permits, changes
        self._stale_seconds = stale_seconds
        self._pushed = {
            outcome: metrics.counter(TWIN_PUSHES_TOTAL, outcome=outcome)
            for outcome in ("delivered", "denied", "dropped")
        }

    async def open(self, twins: Collection[TwinId], reader: Reader) -> Watch:
        """Raises PLATFORM_NOT_FOUND if one of them may not be watched now, CONSENT_STALE."""
        names = {}
        for twin in twins:
            view = await self._view(twin, reader)
            names[twin] = {*view.cells, *view.desired}
        return Watch(reader, names)

    async def changes(
        self, watch: Watch, closing: Closing, after: Mapping[int, int] | None, *, coalesce: bool = False
    ) -> AsyncIterator[Seen]:
        """What may be seen of each change, from now on or from after the offsets seen last. Ends by `closing`.

        With `coalesce` a slow reader gets the latest of each property, and never lags.
        """
        with self._feed.watch(watch.names, after, coalesce=coalesce) as subscription:
            guards = [
                asyncio.create_task(self._guard(twin, watch, subscription, closing), name="grant guard")
                for twin in watch.names
            ]
            try:
                while (records := await subscription.take()) is not None:
                    async for seen in self._delivered(records, subscription, watch):
                        if closing:
                            return
                        yield seen
                self._pushed["dropped"].inc()
                closing.close("lagged")
            finally:
                for guard in guards:
                    guard.cancel()
                await asyncio.gather(*guards, return_exceptions=True)

    async def _delivered(
        self, records: Sequence[Stored], subscription: Subscription, watch: Watch
    ) -> AsyncIterator[Seen]:
        while watch.gone:
            yield watch.gone.pop()
        while subscription.afresh:
            twin = TwinId(subscription.afresh.pop())
            if twin in watch.names:
                yield Afresh(subscription.place, twin, await self._view(twin, watch.reader))
        latest: dict[str, Visible] = {}
        for record in records:
            with _pushing(record):
                seen = await self._judged(record, watch, subscription.place)
            if isinstance(seen, Beside):
                self._pushed["delivered"].inc()
                yield seen
            elif seen is not None:
                known = latest.pop(seen.said.twin, None)
                latest[seen.said.twin] = seen if known is None else Visible(seen.id, seen.said, _later(known, seen))
        for seen in latest.values():
            self._pushed["delivered"].inc()
            yield seen

    async def _judged(self, record: Stored, watch: Watch, place: str) -> Visible | Beside | None:
        """Waits while consent is stale: nothing is sent, nothing is left out. The guard ends a stream that waits on."""
        gone = withdrawn_of(record)
        if gone is not None:
            return taken(gone, watch.reader, watch.names, self._permits, place)
        forecast, change = await self._feed.forecast(record), await self._feed.opened(record)
        while True:
            try:
                if forecast is not None:
                    return foretold(forecast, watch.reader, watch.names, self._permits, place)
                return None if change is None else self._seen(change, watch, place)
            except Problem:
                await asyncio.sleep(PAUSE_SECONDS)

    def _seen(self, change: OpenChange, watch: Watch, place: str) -> Visible | None:
        """Raises CONSENT_STALE."""
        body, twin, reader = change.body, TwinId(change.said.twin), watch.reader
        watched = watch.names.get(twin)
        if body is None or watched is None:
            return None
        names = {each.property for each in body.reported} | {each.property for each in body.desired}
        allowed = self._permits.visible(reader, Action.SUBSCRIBE, twin, names)
        watched |= allowed
        owner = self._permits.is_owner(reader, twin)
        if not (allowed or owner):
            self._pushed["denied"].inc()
            return None
        shown = ChangeBody(
            reported=[each for each in body.reported if each.property in allowed],
            desired=[each for each in body.desired if each.property in allowed],
            relations=body.relations if owner else (), models=body.models if owner else (), lifecycle=body.lifecycle,
        )  # fmt: skip
        return Visible(place, change.said, shown)

    async def _view(self, twin: TwinId, reader: Reader) -> TwinView:
        return await read_twin(twin, reader, self._permits, self._twins, Action.SUBSCRIBE)

    async def _guard(self, twin: TwinId, watch: Watch, subscription: Subscription, closing: Closing) -> None:
        """Take the twin out when nothing of it may be watched any more, and close when it was the last.

        Looks at each change of a grant, and each half a second or few: no event passes that is not allowed meanwhile.
        """
        stale_since: float | None = None
        loop = asyncio.get_running_loop()
        async with self._changes(twin) as changed:
            while not closing:
                reason = self._standing(twin, watch)
                if reason == CONSENT_STALE.code:
                    stale_since = stale_since or loop.time()
                    if loop.time() - stale_since > self._stale_seconds:
                        closing.close(reason)
                elif reason:
                    watch.names.pop(twin, None)
                    watch.gone.append(Gone(twin, reason))
                    subscription.wake()
                    if not watch.names:
                        closing.close(reason)
                    return
                else:
                    stale_since = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS * max(1.0, len(watch.names) / FEW)):
                        await changed.wait()

    def _standing(self, twin: TwinId, watch: Watch) -> str:
        """Why nothing may be seen now; empty while something may."""
        if self._permits.is_owner(watch.reader, twin):
            return ""
        names = watch.names.get(twin, ())
        found = [self._permits.decision(watch.reader, Action.SUBSCRIBE, twin, feature(name)) for name in names]
        if any(each.allowed for each in found):
            return ""
        if any(each.reason.value == "stale_consent" for each in found):
            return CONSENT_STALE.code
        return REVOKED


def _later(known: Visible, seen: Visible) -> ChangeBody:
    """Two changes of one twin as one: of each property, relation and model the later."""
    first, second = known.body, seen.body
    reported = {each.property: each for each in (*first.reported, *second.reported)}
    desired = {each.property: each for each in (*first.desired, *second.desired)}
    relations = {(each.name, each.target): each for each in (*first.relations, *second.relations)}
    models = {(each.task, each.personal): each for each in (*first.models, *second.models)}
    return ChangeBody(
        reported=reported.values(), desired=desired.values(), relations=relations.values(), models=models.values(),
        lifecycle=second.lifecycle or first.lifecycle,
    )  # fmt: skip


def _pushing(record: Stored) -> AbstractContextManager[object]:
    """A span of the trace in which a reading came, for as long as its change is opened and looked at."""
    sampled = tracing.extract(record.headers)
    return nullcontext() if sampled is None else tracing.span("twin.push", kind=tracing.PRODUCER, parent=sampled)
