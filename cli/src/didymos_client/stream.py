"""Server-sent events of a house, with a fresh proof for each connection; broken ones are made again."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
from didymos_cli.client import Client, http_client, problem_in
from didymos_contracts.errors.platform import PLATFORM_UNAVAILABLE

ATTEMPTS: Final = 6  # connections in a row that bring nothing
PAUSE_SECONDS: Final = 1.0
QUIET_SECONDS: Final = 60.0  # the server writes a comment each 15 s


async def changes(calls: Client, path: str) -> AsyncIterator[dict[str, Any]]:
    """The data of each event of `path`, until the stream ends by itself.

    Raises the Problem that is answered, and PLATFORM_UNAVAILABLE after `ATTEMPTS` connections that brought nothing.
    """
    service, empty = path.split("/", 2)[1], 0
    async with http_client() as http:
        while empty < ATTEMPTS:
            empty += 1
            await calls.get(path.rpartition("/")[0])  # learns the nonce, and whether this may be seen at all
            try:
                async with http.stream(
                    "GET", calls.origin + path, headers=await _headers(calls, service, path), timeout=QUIET_SECONDS
                ) as answer:
                    if answer.status_code >= 400:
                        await answer.aread()
                        raise problem_in(answer)
                    async for kind, data in _events(answer):
                        empty = 0
                        if kind == "end":
                            return
                        if kind in ("drain", "problem"):
                            break
                        yield json.loads(data)
                    else:
                        return
            except httpx.TransportError:
                pass
            await asyncio.sleep(PAUSE_SECONDS)
    raise PLATFORM_UNAVAILABLE.problem(detail="the stream brings nothing")


async def _headers(calls: Client, service: str, path: str) -> dict[str, str]:
    token = await calls.token(service)
    return {
        "authorization": f"DPoP {token}", "dpop": calls.proof(service, "GET", path, token),
        "accept": "text/event-stream",
    }  # fmt: skip


async def _events(answer: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    """Kind and data of each event that is whole."""
    kind, data = "message", list[str]()
    async for line in answer.aiter_lines():
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield kind, "\n".join(data)
            kind, data = "message", []
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)
