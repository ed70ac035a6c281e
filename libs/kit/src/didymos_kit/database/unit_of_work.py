"""One transaction of a service: what it changes and what it publishes commits together, or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from didymos_contracts.topics import TOPICS, Topic
from didymos_kit.clock import Clock
from didymos_kit.database import outbox
from didymos_kit.eventlog import envelope
from didymos_kit.eventlog.port import Record
from didymos_kit.eventlog.records import check_sizes
from didymos_kit.ids import Ids
from didymos_kit.telemetry import tracing
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

_TOPIC_OF: Final[Mapping[str, Topic]] = {event: row.name for row in TOPICS for event in row.events}


@dataclass(frozen=True, slots=True)
class Stamp:
    """What every event of a service says of its origin. `source`: didymos://<org>/<service>."""

    source: str
    clock: Clock
    ids: Ids


@dataclass(frozen=True, slots=True)
class Published:
    """An event of this transaction. `row` is its row of the outbox, known once the transaction is written out."""

    event_id: str
    record: Record
    row: int | None = None


class Transaction:
    """Made by `Database.unit_of_work`, which alone commits. Await no other system while it is open."""

    def __init__(self, connection: AsyncConnection, stamp: Stamp) -> None:
        self.connection = connection
        self._stamp = stamp
        self._published: list[Published] = []

    @property
    def published(self) -> Sequence[Published]:
        return tuple(self._published)

    def publish(
        self,
        event_type: str,
        value: bytes | None,
        topic: Topic,
        key: str | bytes,
        route: str | bytes | None = None,
        headers: Mapping[str, bytes] | None = None,
        *,
        subject: str = "",
    ) -> str:
        """The `ce_id` of an event that is in the log once this transaction commits. `value` None: a tombstone.

        `event_type`: full name of the protobuf message; `headers` are added to those of the envelope. Events of one
        key come in the order of their transactions if those lock the key's row first. Raises `platform.too_large`.
        """
        now, event_id = self._stamp.clock.now(), str(self._stamp.ids.uuid7())
        built = envelope.build(
            envelope.Envelope(event_id, self._stamp.source, event_type, now, subject, tracing.traceparent())
        )
        at_ms = self._stamp.clock.now_us() // 1000
        record = Record(topic, _bytes(key), value, {**(headers or {}), **built}, at_ms, _route(route))
        check_sizes([record])
        self._published.append(Published(event_id, record))
        return event_id

    def publish_event(self, event: Message, key: str | bytes, route: str | bytes | None = None) -> str:
        """`publish` with type, bytes and topic from the event itself. Raises KeyError for one of no topic."""
        name = event.DESCRIPTOR.full_name
        return self.publish(name, event.SerializeToString(deterministic=True), _TOPIC_OF[name], key, route)

    async def write_out(self) -> None:
        """Insert the events last, when all rows they depend on are locked: so ids grow in the order of a key."""
        if not self._published:
            return
        rows = await outbox.add(self.connection, [event.record for event in self._published])
        self._published = [
            Published(event.event_id, event.record, row) for event, row in zip(self._published, rows, strict=True)
        ]


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _route(route: str | bytes | None) -> bytes | None:
    return None if route is None else _bytes(route)
