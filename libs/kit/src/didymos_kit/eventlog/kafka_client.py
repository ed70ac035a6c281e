"""What all clients of Kafka here share: where it is, how it is spoken to, and what its errors mean to us."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, OffsetOutOfRangeError
from didymos_contracts.errors.platform import PLATFORM_OFFSET_LOST, PLATFORM_UNAVAILABLE
from didymos_contracts.topics import Topic

from didymos_kit.eventlog.port import Part, Stored

SCHEME: Final = "kafka://"
FETCH_WAIT_MS: Final = 100  # one fetch a broker is in flight, and seeks and offset queries wait for it
CLOSED: Final = (
    "the handler is closed"  # uvloop's RuntimeError, of a transport that closed between two steps of aiokafka
)
HEARTBEAT_MS: Final = 1_000  # members learn of a rebalance by it


@dataclass(frozen=True, slots=True)
class Cluster:
    """`url` is `kafka://host:port[,host:port]`. Members that name themselves keep their parts over a restart."""

    url: str
    client: str
    session_seconds: float = 30.0
    member: str | None = None

    def bootstrap(self) -> dict[str, Any]:
        return {"bootstrap_servers": self.url.removeprefix(SCHEME).split(","), "client_id": self.client}

    def consumer(self, **changes: Any) -> AIOKafkaConsumer:  # noqa: ANN401 - options of aiokafka
        """Reads committed transactions only, begins where it is told to, commits when it is told to."""
        return AIOKafkaConsumer(
            **self.bootstrap(), auto_offset_reset="none", enable_auto_commit=False, isolation_level="read_committed",
            fetch_max_wait_ms=FETCH_WAIT_MS, **changes,
        )  # fmt: skip


@contextmanager
def translated() -> Iterator[None]:
    """Errors that pass become `platform.unavailable`, lost offsets `platform.offset_lost`; others stay as they are."""
    try:
        yield
    except OffsetOutOfRangeError as error:
        ((tp, offset),) = error.args[0].items()
        raise PLATFORM_OFFSET_LOST.problem(topic=tp.topic, partition=tp.partition, offset=offset) from error
    except (KafkaTimeoutError, KafkaConnectionError, OSError) as error:
        raise PLATFORM_UNAVAILABLE.problem(detail=f"Kafka: {error!r}"[:200]) from error
    except KafkaError as error:
        unexpected = type(error) is KafkaError  # what aiokafka makes of a coordinator's answer that it does not know
        if error.retriable or unexpected:
            raise PLATFORM_UNAVAILABLE.problem(detail=f"Kafka: {error!r}"[:200]) from error
        raise
    except RuntimeError as error:
        if CLOSED in str(error):
            raise PLATFORM_UNAVAILABLE.problem(detail="Kafka: the connection closed under a request") from error
        raise


def _lost_as_lost(
    send: Callable[[AIOKafkaConnection, object, bool], Awaitable[object]],
) -> Callable[[AIOKafkaConnection, object, bool], Awaitable[object]]:
    """aiokafka looks for OSError alone where it writes. By any other the task that keeps a client's metadata ends, and
    with it the client, for good: all its requests time out. ADR 142.
    """

    def sent(connection: AIOKafkaConnection, request: object, expect_response: bool = True) -> Awaitable[object]:  # noqa: FBT001, FBT002 - as aiokafka's
        try:
            return send(connection, request, expect_response)
        except RuntimeError as error:
            if CLOSED not in str(error):
                raise
            connection.close(reason=CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError("the connection closed under a request") from error

    return sent


AIOKafkaConnection.send = _lost_as_lost(AIOKafkaConnection.send)


def to_kafka(part: Part) -> TopicPartition:
    return TopicPartition(part.topic, part.partition)


def to_part(tp: TopicPartition) -> Part:
    return Part(Topic(tp.topic), tp.partition)


def stored(record: ConsumerRecord) -> Stored:
    headers = {name: value or b"" for name, value in record.headers}
    return Stored(
        Topic(record.topic), record.key or b"", record.value, headers, record.timestamp, record.partition, record.offset
    )


def all_stored(records: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> dict[Part, Sequence[Stored]]:
    return {to_part(tp): [stored(record) for record in found] for tp, found in records.items()}
