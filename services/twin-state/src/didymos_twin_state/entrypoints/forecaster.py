"""The forecaster's loop: changes of twins in, batches of forecasts out, and between them a replay of one twin's past.

At least once: what a batch says is kept and published before its offsets are committed, and a batch that could not be
kept is read again. Changes that are too old to be foretold of are passed over: the window is read anew after them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from didymos.twin.v1.twin_events_pb2 import ChangeBody, TwinChanged
from didymos.twin.v1.twin_types_pb2 import Reported
from didymos_contracts.errors import Problem
from didymos_contracts.metrics import (
    TWIN_FORECAST_BATCH_SECONDS,
    TWIN_MODELS_WITHDRAWN_TOTAL,
    TWIN_READING_TO_FORECAST_SECONDS,
)
from didymos_contracts.topics import READINGS, TWIN_CHANGED
from didymos_did import DidError
from didymos_kit import log
from didymos_kit.clock import Clock
from didymos_kit.eventlog import EventLog, Part, StaleCommitError, Start, Stored
from didymos_kit.eventlog.envelope import event_type
from didymos_kit.eventlog.lane import full_jitter
from didymos_kit.service import Stopping
from didymos_kit.telemetry.metrics import Metrics
from google.protobuf.message import DecodeError

from didymos_twin_state.adapters.changes import CHANGE_PATH, CHANGED
from didymos_twin_state.adapters.seals import VaultSeals
from didymos_twin_state.application.forecast_twins import News, Rounds
from didymos_twin_state.application.ports import SealedBlob

GROUP: Final = "twin-state.forecast"
POLL_SECONDS: Final = 0.1
GATHER_SECONDS: Final = 0.1  # after a batch: what comes meanwhile is one batch, one transaction and one append
COMMIT_SECONDS: Final = 1.0
OLD_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class ForecasterPorts:
    """What the loop works with."""

    event_log: EventLog
    seals: VaultSeals
    rounds: Rounds
    clock: Clock
    metrics: Metrics


class Forecaster:
    """`run` it as a loop of the process."""

    def __init__(self, ports: ForecasterPorts) -> None:
        self._ports = ports
        self._done: dict[Part, int] = {}
        self._committed_at = 0.0
        self._batch = ports.metrics.histogram(TWIN_FORECAST_BATCH_SECONDS)
        self._behind = ports.metrics.histogram(TWIN_READING_TO_FORECAST_SECONDS)
        self._withdrawn = ports.metrics.counter(TWIN_MODELS_WITHDRAWN_TOTAL)

    async def run(self, stopping: Stopping) -> None:
        failures = 0
        async with self._ports.event_log.group(GROUP, [TWIN_CHANGED.name], self) as self._group:
            while not stopping:
                polled: Mapping[Part, Sequence[Stored]] = {}
                try:
                    polled = await self._group.poll(timeout_seconds=POLL_SECONDS)
                    if await self._turn(polled):
                        await stopping.within(GATHER_SECONDS)
                    failures = 0
                except Exception as error:  # a store, the vault or the log is away: the batch is read again
                    if isinstance(error, Problem) and error.row.retry != "later":
                        raise
                    failures += 1
                    self._back(polled)
                    log.get().warning("twin.forecasts_held", error=type(error).__name__, said=str(error)[:200])
                    await stopping.within(full_jitter(failures))

    async def assigned(self, parts: frozenset[Part]) -> Mapping[Part, Start]:
        """Each part goes on at what was committed."""
        self._done = {part: offset for part, offset in self._done.items() if part in parts}
        return {}

    async def revoked(self, parts: frozenset[Part]) -> None:
        """What is tracked may change elsewhere from now on."""
        await self._commit(parts)
        self._ports.rounds.fleet.clear()

    async def _turn(self, polled: Mapping[Part, Sequence[Stored]]) -> int:
        """How many forecasts were made."""
        begun, records = self._ports.clock.monotonic(), [each for many in polled.values() for each in many]
        made = await self._ports.rounds.forecast(await self._news(records))
        if made:
            now_ms = self._ports.clock.now_us() / 1e3
            self._batch.observe(self._ports.clock.monotonic() - begun)
            self._behind.observe(max(0.0, now_ms - min((each.at_ms for each in records), default=now_ms)) / 1e3)
        self._done |= {part: many[-1].offset + 1 for part, many in polled.items() if many}
        if self._ports.clock.monotonic() - self._committed_at >= COMMIT_SECONDS:
            await self._commit(self._group.parts)
        if await self._ports.rounds.review():
            self._withdrawn.inc()
        return made

    async def _commit(self, parts: frozenset[Part]) -> None:
        self._committed_at = self._ports.clock.monotonic()
        ours = {part: offset for part, offset in self._done.items() if part in parts}
        if not ours:
            return
        try:
            await self._group.commit(ours)
        except StaleCommitError:
            log.get().warning("log.commit_stale", group=GROUP, parts=len(ours))
        self._done = {}

    def _back(self, polled: Mapping[Part, Sequence[Stored]]) -> None:
        for part, records in polled.items():
            try:
                self._group.seek({part: records[0].offset})
            except (ValueError, IndexError):  # it is another's by now
                continue

    async def _news(self, records: Sequence[Stored]) -> list[News]:
        """In order; of each twin only what may have a forecast. Raises what the vault raises while it is away."""
        oldest_ms = self._ports.clock.now_us() / 1e3 - OLD_SECONDS * 1e3
        fleet = self._ports.rounds.fleet
        young = [each for each in records if event_type(each.headers) == CHANGED and each.at_ms >= oldest_ms]
        told = [
            said
            for each in young
            if (said := _parsed(each)) is not None and (said.source_topic != READINGS.name or fleet.concerns(said.twin))
        ]
        read = [said for said in told if said.source_topic == READINGS.name and said.sealed and fleet.known(said.twin)]
        await self._ports.seals.warm((said.twin, said.key_epoch) for said in read)
        found = []
        for said in told:
            if said.source_topic != READINGS.name:
                found.append(News(said.twin, restated=True))
            elif fleet.known(said.twin) is None:
                found.append(News(said.twin))
            elif fleet.known(said.twin):
                found.append(News(said.twin, await self._readings(said)))
        return found

    async def _readings(self, said: TwinChanged) -> dict[str, tuple[int, float, str]]:
        blob = SealedBlob(said.key_epoch, said.salt, said.sealed)
        try:
            plain = await self._ports.seals.open_blob(said.twin, blob, CHANGE_PATH) if said.sealed else None
            body = ChangeBody() if plain is None else ChangeBody.FromString(plain)
        except (DidError, DecodeError) as error:
            log.get().warning("twin.change_unreadable", twin=said.twin, error=type(error).__name__)
            return {}
        numbers = ((each.property, each.observed_at_us, _number(each), each.unit) for each in body.reported)
        return {name: (at_us, value, unit) for name, at_us, value, unit in numbers if value is not None}


def _parsed(record: Stored) -> TwinChanged | None:
    """None for what can never be read: nothing of it is foretold."""
    try:
        return TwinChanged.FromString(record.value or b"")
    except DecodeError:
        log.get().warning("twin.change_unreadable", partition=record.partition, offset=record.offset)
        return None


def _number(said: Reported) -> float | None:
    """None for what is no number."""
    kind = said.value.WhichOneof("kind")
    if kind not in ("number", "integer"):
        return None
    value = float(getattr(said.value, kind))
    return value if isfinite(value) else None
