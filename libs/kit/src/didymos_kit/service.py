"""What a bootstrap yields: a service as data. The app factory runs one or many of them in one process."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from fastapi import APIRouter

Check: TypeAlias = Callable[[], Awaitable[str | None]]
"""A readiness check: None when ready, else the reason in a few words (`database: schema behind`)."""


class Stopping:
    """Tells the loops of a process that it drains. One for all loops of a process."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        """Return when the process begins to drain."""
        await self._event.wait()

    async def within(self, seconds: float) -> bool:
        """Wait at most `seconds`; True as soon as the process drains. The pause of a loop: `while not await ...`."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        return True


Loop: TypeAlias = Callable[[Stopping], Coroutine[Any, Any, None]]
Servicer: TypeAlias = Callable[[grpc.aio.Server], None]


@dataclass(frozen=True, slots=True)
class Service:
    """A service, ready to run.

    `name` is its prefix below the origin and the end of its token audience. A servicer registers itself on the server
    it is called with. A loop (consumer, relay, timer) runs until its `Stopping` is set, finishes what it has in hand
    and returns; one that returns earlier or raises ends the process. `checks` decide readiness only.
    `public_rpcs` are the gRPC methods that need no token, as `/package.Service/Method`: all others are denied without.
    """

    name: str
    routers: tuple[APIRouter, ...] = ()
    servicers: tuple[Servicer, ...] = ()
    loops: tuple[Loop, ...] = ()
    checks: tuple[Check, ...] = ()
    public_rpcs: frozenset[str] = frozenset()
