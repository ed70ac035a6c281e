"""The house of the demo, and what everybody reaches it with."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from didymos_contracts.errors.platform import PLATFORM_INVALID_SETTING
from didymos_did import ProofKey, Signer
from didymos_kit.house import House, Where
from didymos_kit.house_settings import HouseSettings
from didymos_kit.settings import load

from didymos_cli.card import Card, card_of
from didymos_cli.client import Client, Seen, http_client
from didymos_cli.demo.cast import Cast
from didymos_cli.up import rooms, running_in

AT_ONCE: Final = 4  # people served at the same time
Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass
class Stage:
    """`client(signer)` is the same client each time: it keeps tokens, nonces and what it has seen."""

    cast: Cast
    folder: Path
    card: Card
    http: httpx.AsyncClient
    say: Callable[[str], None]
    _clients: dict[str, Client] = field(default_factory=dict)

    def client(self, signer: Signer) -> Client:
        did = signer.did
        if did not in self._clients:
            key = ProofKey(self.cast.secret(f"proof {did}"))
            self._clients[did] = Client(self.card.origin, signer, self.http, Seen(), key)
        return self._clients[did]


@asynccontextmanager
async def opened(
    cast: Cast, folder: Path, validation: Path, say: Callable[[str], None], *, servers: bool
) -> AsyncIterator[Stage]:
    """Every service in this process, on ports that are free; with `servers` on Kafka, PostgreSQL and Redis.

    Raises PLATFORM_INVALID_SETTING when those hold an earlier demo.
    """
    given: Mapping[str, Mapping[str, Any]] = {
        "training-orchestration": {"validation": validation, "poll_seconds": 0.1},
        "ledger": {"agree_seconds": 0.2, "folder": folder / "house" / "ledger"} if servers else {"agree_seconds": 0.2},
    }
    house = _on_servers(cast, folder) if servers else _embedded(cast, folder)
    async with running_in(house, given=given) as running, http_client() as http:
        if any(running.house.identity.owner_of(person.twin) for person in cast.people):
            raise PLATFORM_INVALID_SETTING.problem(
                name="DIDYMOS_KAFKA_URL", detail="an earlier demo is there; take empty servers or another --seed"
            )
        yield Stage(cast, folder, card_of(running.house), http, say)


@asynccontextmanager
async def elsewhere(cast: Cast, folder: Path, card: Card, say: Callable[[str], None]) -> AsyncIterator[Stage]:
    """A house that runs already, as its card says; `cast.house` has its keys, for the hospital operates it.

    Raises PLATFORM_INVALID_SETTING when they are the keys of another house.
    """
    if cast.house.organisation.did != card.org:
        raise PLATFORM_INVALID_SETTING.problem(name="DIDYMOS_SECRET", detail=f"it is not the secret of {card.org}")
    async with http_client() as http:
        yield Stage(cast, folder, card, http, say)


def _embedded(cast: Cast, folder: Path) -> AbstractAsyncContextManager[House]:
    where = Where(f"http://127.0.0.1:{_free_port()}", f"127.0.0.1:{_free_port()}")
    return House.embedded(folder / "house", where, keys=cast.house)


def _on_servers(cast: Cast, folder: Path) -> AbstractAsyncContextManager[House]:
    """Where the environment says the servers are; keys and addresses are the demo's own."""
    rest, rpc = _free_port(), _free_port()
    own: dict[str, Any] = {
        "origin": f"http://127.0.0.1:{rest}", "rest_port": rest, "grpc_port": rpc, "files": folder / "house" / "files",
        "secret": cast.house.root.hex(),
    }  # fmt: skip
    return House.servers(load(HouseSettings, beside=[room.settings for room in rooms()], **own), "demo")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def each(
    items: Iterable[Item], work: Callable[[Item], Awaitable[Answer]], at_once: int = AT_ONCE
) -> list[Answer]:
    """`work` for every item, a few at a time; answers in order. One that fails ends all."""
    turns = asyncio.Semaphore(at_once)

    async def one(item: Item) -> Answer:
        async with turns:
            return await work(item)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(item)) for item in items]
    return [task.result() for task in tasks]
