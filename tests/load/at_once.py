"""The same question of many, some of them at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


async def at_once(many: Iterable[S], ask: Callable[[S], Awaitable[T]], limit: int) -> list[T]:
    """What `ask` gives of each, in their order; at most `limit` wait at a time. The first error ends all."""
    room = asyncio.Semaphore(limit)

    async def one(each: S) -> T:
        async with room:
            return await ask(each)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(each)) for each in many]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [task.result() for task in tasks]
