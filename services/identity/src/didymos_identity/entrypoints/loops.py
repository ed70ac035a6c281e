"""What identity does by itself: beat, keep a token key published, end grants that are over, finish erasures."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from didymos.identity.v1.identity_events_pb2 import IdentityHeartbeat
from didymos_contracts.errors import Problem
from didymos_contracts.topics import CONSENT, HEARTBEAT, IDENTITY, TopicRow
from didymos_kit import log
from didymos_kit.clock import Clock
from didymos_kit.database.relay import Relay
from didymos_kit.eventlog.envelope import Envelope, build
from didymos_kit.eventlog.port import EventLog, Part, Record, Writer
from didymos_kit.ids import Ids
from didymos_kit.service import Loop, Stopping

from didymos_identity.adapters.token_keys import ProcessTokenKey
from didymos_identity.application.erase_twin import finish_erasure
from didymos_identity.application.expire_grants import AT_ONCE, expire_grants
from didymos_identity.application.publish_token_key import publish_token_key
from didymos_identity.domain.twin import TwinState
from didymos_identity.entrypoints.surface import Desk

RETRY_SECONDS: Final = 1.0
TOKEN_KEY_SECONDS: Final = 60.0
EXPIRY_SECONDS: Final = 30.0
TYPE: Final = "didymos.identity.v1.IdentityHeartbeat"


async def patiently(stopping: Stopping, seconds: float, step: Callable[[], Awaitable[None]]) -> None:
    """Do `step` every `seconds`; what passes by itself (`later`) is tried again sooner."""
    while not stopping:
        pause = seconds
        try:
            await step()
        except Problem as problem:
            if problem.row.retry != "later":
                raise
            log.get().warning("identity.loop_waits", code=problem.row.code)
            pause = min(seconds, RETRY_SECONDS)
        await stopping.within(pause)


class Heart:
    """Beats while the relay is at work and nothing waits: then all that was committed is where the beat points.

    The order matters: the outbox was seen empty first, the ends are read after that. identity.md section 8.
    """

    def __init__(self, relay: Relay, event_log: EventLog, source: str, clock: Clock, ids: Ids, seconds: float) -> None:
        self._relay, self._event_log, self._source = relay, event_log, source
        self._clock, self._ids, self._seconds = clock, ids, seconds

    async def run(self, stopping: Stopping) -> None:
        async with self._event_log.writer("identity.heartbeat") as writer:
            await patiently(stopping, self._seconds, lambda: self.beat(writer))

    async def beat(self, writer: Writer) -> None:
        idle_since, epoch = self._relay.idle_since(), self._relay.epoch
        if idle_since is None:
            return
        ends = await self._event_log.ends([CONSENT.name, IDENTITY.name])
        age = self._clock.monotonic() - idle_since
        beat = IdentityHeartbeat(
            age_ms=max(0, int(age * 1000)), relay_epoch=epoch, consent_next=_ends(ends, CONSENT),
            identity_next=_ends(ends, IDENTITY),
        )  # fmt: skip
        await writer.append([self._record(beat)])

    def _record(self, beat: IdentityHeartbeat) -> Record:
        headers = build(Envelope(str(self._ids.uuid7()), self._source, TYPE, self._clock.now()))
        return Record(HEARTBEAT.name, b"identity", beat.SerializeToString(), headers, self._clock.now_us() // 1000)


def _ends(ends: Mapping[Part, int], row: TopicRow) -> list[int]:
    """The next offset of each partition, in order."""
    return [ends.get(Part(row.name, part), 0) for part in range(row.partitions)]


def token_keys(desk: Desk, keys: ProcessTokenKey) -> Loop:
    """Publishes the key of this process, and another one well before it ends."""

    async def keep_a_token_key(stopping: Stopping) -> None:
        await patiently(stopping, TOKEN_KEY_SECONDS, step)

    async def step() -> None:
        if keys.due():
            key = keys.made()
            await desk.dispatch(lambda work: publish_token_key(key, work, desk.clock))
            keys.published(key)

    return keep_a_token_key


def upkeep(desk: Desk) -> Loop:
    """Ends grants that are over, and finishes the erasures that a crash or an outage interrupted."""

    async def keep_up(stopping: Stopping) -> None:
        await patiently(stopping, EXPIRY_SECONDS, step)

    async def step() -> None:
        async with desk.reading() as reads:
            erasing = await reads.twins.in_state(TwinState.ERASING)
        for twin in erasing:
            await finish_erasure(twin, desk.dispatch, desk.vault, desk.clock)
            desk.counts.destroyed.inc()
        while True:
            done = await desk.dispatch(lambda work: expire_grants(work, desk.clock))
            desk.counts.expired.inc(done.value)
            if done.value < AT_ONCE:
                return

    return keep_up
