"""WebSockets of a test: opened with the proof that a GET would carry, and read event by event."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

Prove = Callable[[str | None], Mapping[str, str]]
"""Headers of a handshake, for the nonce that the house gave, if it gave one."""


class Socket:
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            said: dict[str, Any] = json.loads(await self._connection.recv())
            return said

    async def until(self, event: str) -> dict[str, Any]:
        while True:
            said = await self.next()
            if said["event"] == event:
                return said

    async def closed(self) -> tuple[int, str]:
        """Code and reason, once the house closed it. What is read meanwhile is let go."""
        try:
            async with asyncio.timeout(10):
                while True:
                    await self._connection.recv()
        except ConnectionClosed as error:
            ended = error.rcvd or error.sent
            return (1006, "") if ended is None else (ended.code, ended.reason)


@asynccontextmanager
async def a_socket(url: str, prove: Prove = lambda _nonce: {}) -> AsyncIterator[Socket]:
    """Tries again with the nonce it is given, once. Raises InvalidStatus for what is refused."""
    connection: ClientConnection
    try:
        connection = await connect(url, additional_headers=prove(None), proxy=None)
    except InvalidStatus as refused:
        nonce = refused.response.headers.get("dpop-nonce")
        if nonce is None or b"use_dpop_nonce" not in (refused.response.body or b""):
            raise
        connection = await connect(url, additional_headers=prove(nonce), proxy=None)
    async with connection:
        yield Socket(connection)


def refusal(error: InvalidStatus) -> tuple[int, str]:
    """Status and code of the problem that a handshake was refused with."""
    return error.response.status_code, str(json.loads(error.response.body or b"{}")["code"])
