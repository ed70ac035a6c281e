"""A boundary: connections pass through it to somebody else's port, and every byte of them is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

PIECE: Final = 64 * 1024


@dataclass
class Relay:
    """`heard`: what passed, one stretch for each direction of each connection."""

    port: int
    heard: list[bytearray] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def all(self) -> bytes:
        return b"\0".join(map(bytes, self.heard))


@asynccontextmanager
async def relaying(host: str, port: int) -> AsyncIterator[Relay]:
    """On a free port of loopback, to `host` and `port`; nobody needs to listen there yet."""
    relay, connections = Relay(0), set[asyncio.Task[None]]()

    def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(_between(relay, reader, writer, host, port))
        connections.add(connection)
        connection.add_done_callback(connections.discard)

    server = await asyncio.start_server(met, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _between(
    relay: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    ends = [writer]
    try:
        far_reader, far_writer = await asyncio.open_connection(host, port)
        ends.append(far_writer)
        async with asyncio.TaskGroup() as both:
            both.create_task(_passed(relay, reader, far_writer))
            both.create_task(_passed(relay, far_reader, writer))
    except OSError:  # nobody listens there: whoever dialled sees a connection that closes, as at any gateway
        pass
    finally:
        for end in ends:
            end.close()
            with suppress(ConnectionError):
                await end.wait_closed()


async def _passed(relay: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    heard = bytearray()
    relay.heard.append(heard)
    try:
        while piece := await reader.read(PIECE):
            heard += piece
            writer.write(piece)
            await writer.drain()
    except ConnectionError:  # one end went away: the other one hears of it by the close
        pass
    finally:
        writer.close()
