"""`Ingest.Stream`: many batches over one call, acknowledged in order. Each proves its sender by itself."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Final

import grpc
from didymos.ingestion.v1.ingestion_service_pb2 import Ack
from didymos.ingestion.v1.ingestion_service_pb2_grpc import IngestServicer, add_IngestServicer_to_server
from didymos.ingestion.v1.ingestion_types_pb2 import SignedBatch
from didymos_kit.errors import problem_of
from didymos_kit.rpc.interceptors import Context
from didymos_readings import envelope_of

from didymos_ingestion.adapters.protobuf import ack_of, nack_of
from didymos_ingestion.entrypoints.intake import Intake

UNACKNOWLEDGED: Final = 64
PUBLIC_RPCS: Final = frozenset({"/didymos.ingestion.v1.Ingest/Stream"})


class IngestRpc(IngestServicer):
    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def register(self, server: grpc.aio.Server) -> None:
        add_IngestServicer_to_server(self, server)

    async def Stream(self, batches: AsyncIterator[SignedBatch], _context: Context) -> AsyncIterator[Ack]:  # noqa: N802
        """At most 64 batches are read ahead of their acks: a sender that goes on waits at the transport."""
        acks: asyncio.Queue[asyncio.Task[Ack] | None] = asyncio.Queue()
        room = asyncio.Semaphore(UNACKNOWLEDGED)
        reading = asyncio.create_task(self._read(batches, acks, room))
        try:
            while (ack := await acks.get()) is not None:
                yield await ack
                room.release()
            await reading
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            while not acks.empty():
                left = acks.get_nowait()
                if left is not None:
                    left.cancel()

    async def _read(
        self,
        batches: AsyncIterator[SignedBatch],
        acks: "asyncio.Queue[asyncio.Task[Ack] | None]",
        room: asyncio.Semaphore,
    ) -> None:
        try:
            async for batch in batches:
                await room.acquire()
                acks.put_nowait(asyncio.create_task(self._ack(batch)))
        finally:
            acks.put_nowait(None)

    async def _ack(self, batch: SignedBatch) -> Ack:
        """What became of one batch. One that cannot be taken does not end the stream."""
        try:
            return ack_of(await self._intake.signed(lambda: envelope_of(batch), batch.ByteSize(), "protobuf"))
        except Exception as error:
            return nack_of(_digest(batch), problem_of(error))


def _digest(batch: SignedBatch) -> bytes:
    return sha256(batch.header).digest()
