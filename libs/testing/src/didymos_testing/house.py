"""A whole house for tests: real log, real databases, real surfaces on loopback, in one process and one folder."""

import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import randbelow
from uuid import uuid4

import httpx
from didymos_did import Ed25519Signer, Purpose
from didymos_did.tokens import make_proof
from didymos_kit.clock import Clock
from didymos_kit.house import House, Where
from didymos_kit.keyring import KeyRing
from didymos_kit.lifecycle import AT_ONCE, Listen, Process, Program, running
from didymos_kit.rpc.client import BoundToken, Peer, Target
from didymos_kit.rpc.tokens import ExchangedTokens
from didymos_kit.service import Service

from didymos_testing.identity_box import IdentityBox

ROOT = b"house root of tests, 32 bytes ok"
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody: to read whom the system trusts takes 60 ms a client


def free_port() -> int:
    """Nobody listens there now, and it lies below the range that calling sockets are given."""
    while True:
        port = 20_000 + randbelow(12_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


@asynccontextmanager
async def a_house(folder: Path, clock: Clock | None = None) -> AsyncIterator[House]:
    """An embedded house, on ports that are free now. Open it again on the same folder: that is a restart."""
    where = Where(f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    async with House.embedded(folder, where, keys=KeyRing(ROOT), clock=clock) as house:
        yield house


@dataclass
class World:
    """What a test calls the running services with."""

    house: House
    process: Process
    box: IdentityBox | None
    _open: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def identity(self) -> IdentityBox:
        if self.box is None:
            raise RuntimeError("the real identity service runs here")
        return self.box

    def rest(self, signer: Ed25519Signer | None, service: str, purpose: Purpose | str = "") -> httpx.AsyncClient:
        """A client of `<origin>/<service>` that proves `signer` on each call; None: without any token."""
        auth = None if signer is None else _Dpop(self, self.tokens(signer, purpose), service)
        return httpx.AsyncClient(base_url=f"{self.house.origin}/{service}", auth=auth, timeout=60, verify=NO_TLS)

    def peer(self, signer: Ed25519Signer | None, service: str, purpose: Purpose | str = "") -> Peer:
        """A gRPC peer; enter it as a context."""
        tokens = None if signer is None else self.tokens(signer, purpose)
        return Peer(Target(self.house.where.rpc, self.house.origin, service), self.house.clock, self.house.ids, tokens)

    def tokens(self, signer: Ed25519Signer, purpose: Purpose | str = "") -> ExchangedTokens:
        house = self.house
        door = Peer(Target(house.where.rpc, house.origin, "identity"), house.clock, house.ids)
        self._open.push_async_exit(door)
        return ExchangedTokens(signer, door, house.origin, house.clock, house.ids, purpose)


class _Dpop(httpx.Auth):
    """Signs each request anew; proves again with the nonce given when asked to."""

    def __init__(self, world: World, tokens: ExchangedTokens, service: str) -> None:
        self._house, self._tokens = world.house, tokens
        self._audience = f"{world.house.origin}/{service}"
        self._nonce: str | None = None

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        for _ in range(2):
            bound = await self._tokens.token(self._audience)
            self._sign(request, bound)
            response = yield request
            before, self._nonce = self._nonce, response.headers.get("dpop-nonce")
            asked = "use_dpop_nonce" in response.headers.get("www-authenticate", "")
            if response.status_code != 401 or not asked or before == self._nonce:
                return

    def _sign(self, request: httpx.Request, bound: BoundToken) -> None:
        url = self._house.origin + request.url.raw_path.partition(b"?")[0].decode()
        now = self._house.clock.now_us() // 1_000_000
        proof = make_proof(bound.key, request.method, url, now, uuid4().hex, token=bound.token, nonce=self._nonce)
        request.headers["authorization"], request.headers["dpop"] = f"DPoP {bound.token}", proof


@asynccontextmanager
async def served(house: House, *services: Service) -> AsyncIterator[World]:
    """The services, ready. An identity box runs beside them unless the real service is among them."""
    boxed = all(service.name != "identity" for service in services)
    box = IdentityBox(house) if boxed else None
    shown = (*services, *([] if box is None else [box.service]))
    if box is not None:
        await box.open()
    rest = int(house.origin.rpartition(":")[2])
    listen = Listen(rest=rest, grpc=int(house.where.rpc.rpartition(":")[2]), admin=0)
    async with (
        running(Program(shown, house.access, house.metrics), listen, AT_ONCE) as process,
        AsyncExitStack() as stack,
    ):
        yield World(house, process, box, stack)
