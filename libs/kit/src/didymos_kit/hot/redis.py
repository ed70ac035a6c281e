"""Redis, Valkey, and the fake of them for one process: one client speaks to all three."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self

import redis.asyncio as client
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE
from redis.exceptions import BusyLoadingError, ConnectionError, NoScriptError, TimeoutError

from didymos_kit.hot.port import Argument, Listener, Script

COMMAND_SECONDS: Final = 5.0
_AWAY: Final = (ConnectionError, TimeoutError, BusyLoadingError, OSError)


class RedisHot:
    """`async with RedisHot.at("redis://host:port/0") as hot`."""

    def __init__(self, connected: "client.Redis") -> None:
        self._client = connected

    @classmethod
    def at(cls, url: str) -> Self:
        return cls(client.Redis.from_url(url, socket_timeout=COMMAND_SECONDS, socket_connect_timeout=COMMAND_SECONDS))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:  # noqa: ANN401 - what Lua gives
        call: Any = self._client
        try:
            try:
                return await call.evalsha(script.sha, len(keys), *keys, *args)
            except NoScriptError:  # a server that restarted
                return await call.eval(script.text, len(keys), *keys, *args)
        except _AWAY as error:
            raise PLATFORM_UNAVAILABLE.problem(dependency="hot store") from error

    @asynccontextmanager
    async def listen(self, channels: Sequence[str]) -> AsyncIterator[Listener]:
        pubsub = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            await pubsub.subscribe(*channels)
            yield _Messages(pubsub)
        except _AWAY as error:
            raise PLATFORM_UNAVAILABLE.problem(dependency="hot store") from error
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call] # of the client


class _Messages:
    def __init__(self, pubsub: Any) -> None:  # noqa: ANN401 - of the client
        self._pubsub = pubsub

    async def next(self, seconds: float) -> tuple[str, bytes] | None:
        """What the server says of the subscription itself is skipped."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                message = await self._pubsub.get_message(timeout=left)
            except _AWAY as error:
                raise PLATFORM_UNAVAILABLE.problem(dependency="hot store") from error
            if message is not None and message.get("type") == "message":
                return message["channel"].decode(), message["data"]
        return None
