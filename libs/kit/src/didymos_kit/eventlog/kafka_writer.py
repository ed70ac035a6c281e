"""Writers of the Kafka log: an idempotent one, and a transactional one that ends its predecessors. platform.md 7."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownProducerId,
)
from aiokafka.structs import RecordMetadata
from didymos_contracts.topics import Topic

from didymos_kit import log
from didymos_kit.eventlog.kafka_client import Cluster, translated
from didymos_kit.eventlog.port import MAX_RECORD_BYTES, FencedError, Position, Record
from didymos_kit.eventlog.records import check_sizes, partition_for

APPEND_SECONDS: Final = 15.0  # an idempotent producer would try for ever, and callers want an answer
CLOSE_SECONDS: Final = 5.0
LINGER_MS: Final = 5
BATCH_BYTES: Final = 512 << 10
REQUEST_BYTES: Final = 4 << 20
_SEQUENCE: Final = (OutOfOrderSequenceNumber, UnknownProducerId)
_FENCED: Final = (ProducerFenced, InvalidProducerEpoch)

PartitionsOf = Callable[[Topic], Awaitable[int]]


async def open_producer(cluster: Cluster, transactional_id: str | None) -> AIOKafkaProducer:
    """Fenced writers carry rows of tables, which compress; all others carry sealed bytes, which do not."""
    fenced = transactional_id is not None
    producer = AIOKafkaProducer(
        **cluster.bootstrap(), acks="all", enable_idempotence=True, transactional_id=transactional_id,
        linger_ms=0 if fenced else LINGER_MS, compression_type="zstd" if fenced else None,
        max_batch_size=BATCH_BYTES, max_request_size=max(REQUEST_BYTES, 2 * MAX_RECORD_BYTES),
    )  # fmt: skip
    try:
        with translated():
            await producer.start()
    except BaseException:
        await close_producer(producer)
        raise
    return producer


async def close_producer(producer: AIOKafkaProducer) -> None:
    """Flush, within a bound: what is not acknowledged by then was never promised."""
    stopping = asyncio.create_task(producer.stop())
    await asyncio.wait([stopping], timeout=CLOSE_SECONDS)
    if not stopping.done() and producer._sender.sender_task is not None:
        producer._sender.sender_task.cancel()
    await asyncio.wait([stopping], timeout=CLOSE_SECONDS)
    if not stopping.done():
        stopping.cancel()
        await asyncio.wait([stopping])
    if not stopping.cancelled() and stopping.exception() is not None:
        log.get().warning("log.close_failed", error=type(stopping.exception()).__name__)


async def place(records: Sequence[Record], partitions_of: PartitionsOf) -> list[int]:
    """The partition of each. Raises `platform.too_large`, `platform.topic_mismatch`."""
    check_sizes(records)
    counts = {topic: await partitions_of(topic) for topic in {record.topic for record in records}}
    return [partition_for(record, counts[record.topic]) for record in records]


async def send(
    producer: AIOKafkaProducer, records: Sequence[Record], placed: Sequence[int]
) -> list[asyncio.Future[RecordMetadata]]:
    """Queue in order."""
    return [
        await producer.send(
            record.topic, record.value, record.key, partition, record.at_ms, list(record.headers.items())
        )
        for record, partition in zip(records, placed, strict=True)
    ]


def positions(acknowledged: Sequence[RecordMetadata]) -> list[Position]:
    return [Position(Topic(said.topic), said.partition, said.offset) for said in acknowledged]


class PlainWriter:
    """Idempotent: no repeats and no reordering within one producer. A producer that lost its place is replaced."""

    def __init__(self, cluster: Cluster, producer: AIOKafkaProducer, partitions_of: PartitionsOf) -> None:
        self._cluster, self._producer, self._partitions_of = cluster, producer, partitions_of
        self._replacing = asyncio.Lock()

    async def append(self, records: Sequence[Record]) -> list[Position]:
        placed = await place(records, self._partitions_of)
        said = await self._try(records, placed)
        again = [index for index, found in enumerate(said) if isinstance(found, _SEQUENCE)]
        if again:  # readers drop what was stored after all by `ce_id`
            repeated = await self._try([records[index] for index in again], [placed[index] for index in again])
            for index, found in zip(again, repeated, strict=True):
                said[index] = found
        with translated():
            for found in said:
                if isinstance(found, BaseException):
                    raise found
        return positions([found for found in said if not isinstance(found, BaseException)])

    async def close(self) -> None:
        await close_producer(self._producer)

    async def _try(self, records: Sequence[Record], placed: Sequence[int]) -> list[RecordMetadata | BaseException]:
        producer = self._producer
        try:
            with translated():
                async with asyncio.timeout(APPEND_SECONDS):
                    sent = await send(producer, records, placed)
                    said = await asyncio.gather(*sent, return_exceptions=True)
        except BaseException:
            await self._replace(producer)
            raise
        if any(isinstance(found, KafkaError) for found in said):
            await self._replace(producer)
        return said

    async def _replace(self, broken: AIOKafkaProducer) -> None:
        """After a failed batch the sequence has a hole: no later batch of this producer would be taken."""
        async with self._replacing:
            if self._producer is broken:
                self._producer = await open_producer(self._cluster, None)
                await close_producer(broken)


class FencedWriter:
    """Each append is a transaction: whoever opened this name later makes the broker refuse ours. KIP-98."""

    def __init__(self, producer: AIOKafkaProducer, partitions_of: PartitionsOf) -> None:
        self._producer, self._partitions_of = producer, partitions_of
        self._one = asyncio.Lock()
        self._lost = False

    async def append(self, records: Sequence[Record]) -> list[Position]:
        placed = await place(records, self._partitions_of)
        if not records:
            return []
        async with self._one:
            if self._lost:
                raise FencedError
            try:
                with translated():
                    async with asyncio.timeout(APPEND_SECONDS):
                        return await self._transaction(records, placed)
            except _FENCED as error:
                self._lost = True
                raise FencedError from error
            except BaseException:
                await self._abort()
                raise

    async def close(self) -> None:
        await close_producer(self._producer)

    async def _transaction(self, records: Sequence[Record], placed: Sequence[int]) -> list[Position]:
        await self._producer.begin_transaction()
        sent = await send(self._producer, records, placed)
        acknowledged = await asyncio.gather(*sent)
        await self._producer.commit_transaction()
        return positions(acknowledged)

    async def _abort(self) -> None:
        """The next append needs a clean state; without one this writer is of no more use."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._producer.abort_transaction()
        except (KafkaError, TimeoutError, AssertionError) as error:  # aiokafka asserts its state transitions
            self._lost = True
            log.get().warning("log.writer_lost", error=type(error).__name__)
