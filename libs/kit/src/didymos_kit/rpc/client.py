"""Calls to a peer: a deadline on each, a fresh proof on each, and the peer's problem raised as ours.

`TwinStateStub(peer.channel)` is used as any generated stub: `await stub.GetTwin(request)` or
`async for answer in stub.Watch(request)`. Both raise Problem.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeAlias, cast

import grpc
from didymos_contracts.errors.platform import PLATFORM_DEADLINE
from didymos_did.tokens import ProofKey, make_proof

from didymos_kit.clock import Clock
from didymos_kit.ids import Ids
from didymos_kit.rpc.interceptors import ADMITTED, NONCE
from didymos_kit.rpc.status import MESSAGE_BYTES, problem_of_call
from didymos_kit.telemetry import tracing

DEADLINE_SECONDS: Final = 5.0
OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
Pairs: TypeAlias = tuple[tuple[str, str], ...]
Codec: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class BoundToken:
    """A token and the key that it is bound to."""

    token: str
    key: ProofKey
    expires_at: datetime


class TokenSource(Protocol):
    """Gets tokens of the caller, and keeps them until shortly before they expire."""

    async def token(self, audience: str) -> BoundToken: ...


@dataclass(frozen=True, slots=True)
class Target:
    """Where a peer listens (`host:port`) and what it is called: `origin` and `service` make its audience."""

    address: str
    origin: str
    service: str


class Peer:
    """A peer to call, as the DID behind `tokens`; without them only its public methods answer."""

    def __init__(
        self, target: Target, clock: Clock, ids: Ids, tokens: TokenSource | None = None,
        *, credentials: grpc.ChannelCredentials | None = None, deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:  # fmt: skip
        self._target, self._clock, self._ids, self._tokens = target, clock, ids, tokens
        self._deadline = deadline_seconds
        self._nonce: str | None = None
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target.address, options=OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(target.address, credentials, options=OPTIONS)

    @property
    def channel(self) -> grpc.aio.Channel:
        """For generated stubs. It has the methods that they call."""
        return cast("grpc.aio.Channel", self)

    async def __aenter__(self) -> "Peer":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close(None)

    def unary_unary(self, path: str, request_serializer: Codec, response_deserializer: Codec, **_: object) -> Codec:
        call = self._channel.unary_unary(path, request_serializer, response_deserializer)

        async def ask(request: Any, *, timeout: float | None = None) -> Any:  # noqa: ANN401, ASYNC109 - as in every stub
            async def once(metadata: Pairs) -> Any:  # noqa: ANN401 - the answer
                made = call(request, metadata=metadata, timeout=timeout or self._deadline)
                answer = await made
                self._remember(await made.trailing_metadata())
                return answer

            return await self._proving(path, once)

        return ask

    def stream_unary(self, path: str, request_serializer: Codec, response_deserializer: Codec, **_: object) -> Codec:
        call = self._channel.stream_unary(path, request_serializer, response_deserializer)

        async def send(requests: AsyncIterable[Any], *, timeout: float | None = None) -> Any:  # noqa: ANN401, ASYNC109
            made, admitted = await self._opened(call, path, requests, timeout or self._deadline)
            _settle(admitted, go=True)
            try:
                answer = await made
                self._remember(await made.trailing_metadata())
            except grpc.aio.AioRpcError as error:
                raise problem_of_call(error) from error
            return answer

        return send

    def unary_stream(self, path: str, request_serializer: Codec, response_deserializer: Codec, **_: object) -> Codec:
        call = self._channel.unary_stream(path, request_serializer, response_deserializer)

        async def listen(request: Any, *, timeout: float | None = None) -> AsyncIterator[Any]:  # noqa: ANN401, ASYNC109
            made, _ = await self._opened(call, path, request, timeout)
            async for answer in _answers(made):
                yield answer

        return listen

    def stream_stream(self, path: str, request_serializer: Codec, response_deserializer: Codec, **_: object) -> Codec:
        call = self._channel.stream_stream(path, request_serializer, response_deserializer)

        async def talk(requests: AsyncIterable[Any], *, timeout: float | None = None) -> AsyncIterator[Any]:  # noqa: ASYNC109
            made, admitted = await self._opened(call, path, requests, timeout)
            _settle(admitted, go=True)
            async for answer in _answers(made):
                yield answer

        return talk

    async def _opened(
        self, call: Codec, path: str, sent: object, seconds: float | None
    ) -> tuple[Any, asyncio.Future[bool]]:
        """An admitted stream. What is sent waits for that, so that a second attempt has all of it."""

        async def once(metadata: Pairs) -> tuple[Any, asyncio.Future[bool]]:
            admitted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            requests = _held(sent, admitted) if isinstance(sent, AsyncIterable) else sent
            made = call(requests, metadata=metadata, timeout=seconds)
            try:
                async with asyncio.timeout(self._deadline):
                    await _admission(made)
            except BaseException as error:
                _settle(admitted, go=False)  # its sender ends too; one that waits for ever ends in an error line
                made.cancel()
                if isinstance(error, TimeoutError):
                    raise PLATFORM_DEADLINE.problem() from None
                raise
            return made, admitted

        opened: tuple[Any, asyncio.Future[bool]] = await self._proving(path, once)
        return opened

    async def _proving(self, path: str, once: Callable[[Pairs], Any]) -> Any:  # noqa: ANN401 - what `once` answers
        """`once` with a proof; a second time when the peer asks for a nonce of its own."""
        for attempt in (1, 2):
            try:
                return await once(await self._metadata(path))
            except grpc.aio.AioRpcError as error:
                problem = problem_of_call(error)
                self._remember(error.trailing_metadata())
                if attempt == 2 or problem.row.code != "auth.use_dpop_nonce":
                    raise problem from error
        raise AssertionError("two attempts answer or raise")  # pragma: no cover

    async def _metadata(self, path: str) -> Pairs:
        trace = tracing.traceparent()
        said: Pairs = () if trace is None else (("traceparent", trace),)
        if self._tokens is None:
            return said
        bound = await self._tokens.token(f"{self._target.origin}/{self._target.service}")
        proof = make_proof(
            bound.key, "POST", self._target.origin + path, self._clock.now_us() // 1_000_000, str(self._ids.uuid7()),
            token=bound.token, nonce=self._nonce,
        )  # fmt: skip
        return (*said, ("authorization", f"DPoP {bound.token}"), ("dpop", proof))

    def _remember(self, trailers: Any) -> None:  # noqa: ANN401 - the library's metadata
        for name, said in trailers or ():
            if name == NONCE:
                self._nonce = said


async def _admission(made: Any) -> None:  # noqa: ANN401 - a call of either kind
    """Return once the peer let the stream in. Raises AioRpcError for one that it refused."""
    if any(name == ADMITTED for name, _ in await made.initial_metadata() or ()):
        return
    code, trailers = await made.code(), await made.trailing_metadata()  # refused: the status follows at once
    raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailers, await made.details(), None)


def _settle(admitted: asyncio.Future[bool], *, go: bool) -> None:
    if not admitted.done():  # a call that ended meanwhile took its sender along
        admitted.set_result(go)


async def _held(requests: AsyncIterable[Any], admitted: asyncio.Future[bool]) -> AsyncIterator[Any]:
    if not await admitted:  # refused: nothing of it is read, so that the next attempt has all
        return
    async for request in requests:
        yield request


async def _answers(made: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - a call of either kind
    try:
        async for answer in made:
            yield answer
    except grpc.aio.AioRpcError as error:
        raise problem_of_call(error) from error
    finally:
        made.cancel()
