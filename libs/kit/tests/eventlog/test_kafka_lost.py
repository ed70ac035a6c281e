"""A connection that uvloop has closed, and aiokafka has not noticed yet: it is lost, and nothing else is."""

import asyncio

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from didymos_kit.eventlog import kafka_client


async def unnoticed() -> AIOKafkaConnection:
    """Its transport is closed, and the task that reads from it has not run since."""
    gone = asyncio.Event()
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    connection = AIOKafkaConnection(host, port)
    connection._reader, connection._writer = await asyncio.open_connection(host, port)
    connection._read_task = asyncio.create_task(gone.wait())
    connection._versions = {MetadataRequest.API_KEY: (0, 1)}
    connection._writer.transport.abort()
    await connection._writer.wait_closed()
    await asyncio.sleep(0)
    server.close()
    return connection


def test_a_request_on_it_meets_a_lost_connection_and_closes_it() -> None:
    async def asked() -> None:
        connection = await unnoticed()
        with pytest.raises(KafkaConnectionError, match="closed under a request"):
            connection.send(MetadataRequest([]))
        assert not connection.connected()

    uvloop.run(asked())


def test_another_error_stays_what_it_is() -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        kafka_client._lost_as_lost(fails)(None, None, True)  # type: ignore[arg-type]
