"""gRPC on loopback: callers, errors, deadlines and streams, over generated stubs and our own server and client."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import pytest
from didymos.ingestion.v1.ingestion_service_pb2 import Ack
from didymos.ingestion.v1.ingestion_service_pb2_grpc import IngestServicer, IngestStub, add_IngestServicer_to_server
from didymos.ingestion.v1.ingestion_types_pb2 import SignedBatch
from didymos.training.v1.training_service_pb2 import Delivered
from didymos.training.v1.training_service_pb2_grpc import RoundsServicer, RoundsStub, add_RoundsServicer_to_server
from didymos.training.v1.training_types_pb2 import Piece
from didymos.twin.v1.twin_service_pb2 import GetTwinRequest, GetTwinResponse, WatchRequest, WatchResponse
from didymos.twin.v1.twin_service_pb2_grpc import TwinStateServicer, TwinStateStub, add_TwinStateServicer_to_server
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_STALE
from didymos_did import DidError
from didymos_kit.access import Access
from didymos_kit.lifecycle import Drain, Process, Program, running
from didymos_kit.rpc import Peer, Target, caller
from didymos_kit.rpc.server import RpcSurfaceError
from didymos_kit.service import Service
from didymos_kit.telemetry import tracing
from didymos_kit.telemetry.metrics import Metrics
from didymos_testing.clock import seeded_ids
from didymos_testing.did import a_signer
from didymos_testing.kit import IssuedTokens, Issuer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from typing_extensions import override

ALICE = a_signer("alice")
STREAM = "/didymos.ingestion.v1.Ingest/Stream"


class Twins(TwinStateServicer):
    """Answers by the name it is asked for."""

    def __init__(self) -> None:
        self.watching, self.left = 0, asyncio.Event()

    @override
    async def GetTwin(self, request: Any, context: Any) -> Any:
        match request.twin:
            case "stale":
                raise PLATFORM_STALE.problem(expected=3, pointer="/revision", detail="is 5")
            case "library":
                raise DidError("key.weak", "small order")
            case "bug":
                raise KeyError("reading 5.5 of somebody")
            case "slow":
                await asyncio.sleep(60)
        return GetTwinResponse(twin=caller().did)

    @override
    async def PatchDesired(self, request: Any, context: Any) -> Any:
        raise AssertionError("never called")

    @override
    async def Watch(self, request: Any, context: Any) -> Any:
        self.watching += 1
        try:
            for _ in range(3):
                yield WatchResponse()
            if request.twin == "breaks":
                raise PLATFORM_STALE.problem(expected=1)
            if request.twin == "endless":
                await asyncio.sleep(60)
        finally:
            self.watching -= 1
            self.left.set()


class Rounds(RoundsServicer):
    @override
    async def Attend(self, request_iterator: Any, context: Any) -> Any:
        yield

    @override
    async def Fetch(self, request: Any, context: Any) -> Any:
        yield

    @override
    async def Deliver(self, request_iterator: Any, context: Any) -> Any:
        self.delivered = len([piece async for piece in request_iterator])
        return Delivered()


class Ingest(IngestServicer):
    @override
    async def Stream(self, request_iterator: Any, context: Any) -> Any:
        async for _ in request_iterator:
            yield Ack()


class World:
    """A process with three services, and peers to call them as somebody."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer, self.metrics = issuer, Metrics()
        self.twins, self.rounds = Twins(), Rounds()
        self.services = (
            Service("twin-state", servicers=(lambda server: add_TwinStateServicer_to_server(self.twins, server),)),
            Service("training-orchestration", servicers=(lambda s: add_RoundsServicer_to_server(self.rounds, s),)),
            Service(
                "ingestion",
                servicers=(lambda server: add_IngestServicer_to_server(Ingest(), server),),
                public_rpcs=frozenset({STREAM}),
            ),
        )

    @asynccontextmanager
    async def process(self, drain: Drain | None = None) -> AsyncIterator[Process]:
        async with running(
            Program(self.services, self.issuer.access, self.metrics), drain=drain or Drain(0, 0.1, 10)
        ) as process:
            yield process

    def peer(self, process: Process, service: str = "twin-state", *, name: str | None = "alice", **claims: Any) -> Peer:
        tokens = None if name is None else IssuedTokens(self.issuer, name, **claims)
        target = Target(process.grpc_address, self.issuer.origin, service)
        return Peer(target, self.issuer.clock, seeded_ids(), tokens)


@pytest.fixture
async def world() -> World:
    return World(Issuer())


async def read(stream: Any, seen: list[Any]) -> None:
    async for answer in stream:
        seen.append(answer)  # noqa: PERF401 - what came before a failure counts


async def refusal(call: Any) -> Problem:
    with pytest.raises(Problem) as raised:
        await call
    return raised.value


async def test_a_caller_proves_itself_and_the_nonce_is_fetched_by_the_way(world: World) -> None:
    async with world.process() as process, world.peer(process) as peer:
        for _ in range(3):
            await TwinStateStub(peer.channel).GetTwin(GetTwinRequest(twin="x"))
    refused = world.metrics.sample("didymos_rpc_requests_total", service="twin-state", outcome="refused")
    answered = world.metrics.sample("didymos_rpc_requests_total", service="twin-state", outcome="ok")
    assert (refused, answered) == (1, 3)


async def test_a_stream_that_was_refused_once_leaves_no_sender_behind(world: World) -> None:
    """The first attempt is refused for its nonce; its task must not wait for ever, or it is dropped with an error."""

    async def pieces() -> AsyncIterator[Piece]:
        yield Piece()

    dropped: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: dropped.append(told))
    async with world.process() as process, world.peer(process, "training-orchestration") as peer:
        await RoundsStub(peer.channel).Deliver(pieces())
        gc.collect()
        await asyncio.sleep(0)
    assert dropped == []


async def test_without_a_token_or_with_another_services_nothing_answers(world: World) -> None:
    async with world.process() as process:
        for peer in (
            world.peer(process, name=None),
            world.peer(process, audience=f"{world.issuer.origin}/identity"),
            world.peer(process, jkt="x" * 43),
        ):
            async with peer:
                stub = TwinStateStub(peer.channel)
                assert (await refusal(stub.GetTwin(GetTwinRequest()))).row.code == "platform.unauthenticated"
                assert (await refusal(read(stub.Watch(WatchRequest()), []))).row.code == "platform.unauthenticated"
    assert world.twins.watching == 0


async def test_a_method_is_open_only_when_its_service_says_so(world: World) -> None:
    async def batches() -> AsyncIterator[SignedBatch]:
        for _ in range(3):
            yield SignedBatch()

    async with world.process() as process, world.peer(process, "ingestion", name=None) as peer:
        acks = [ack async for ack in IngestStub(peer.channel).Stream(batches())]
    assert len(acks) == 3


async def test_the_peers_problem_is_raised_as_it_was(world: World) -> None:
    async with world.process() as process, world.peer(process) as peer:
        stub = TwinStateStub(peer.channel)
        stale = await refusal(stub.GetTwin(GetTwinRequest(twin="stale")))
        assert (stale.row, stale.values) == (PLATFORM_STALE, {"expected": 3, "pointer": "/revision", "detail": "is 5"})
        assert (await refusal(stub.GetTwin(GetTwinRequest(twin="library")))).row.code == "key.weak"
        bug = await refusal(stub.GetTwin(GetTwinRequest(twin="bug")))
        assert (bug.row.code, bug.values) == ("platform.internal", {})


async def test_a_problem_in_the_middle_of_a_stream_arrives_after_what_was_sent(world: World) -> None:
    async with world.process() as process, world.peer(process) as peer:
        seen: list[Any] = []
        broken = await refusal(read(TwinStateStub(peer.channel).Watch(WatchRequest(twin="breaks")), seen))
        assert (len(seen), broken.row) == (3, PLATFORM_STALE)


async def test_what_a_stream_sends_is_whole_although_its_first_proof_is_refused(world: World) -> None:
    async def pieces() -> AsyncIterator[Piece]:
        for _ in range(5):
            yield Piece()

    async with world.process() as process, world.peer(process, "training-orchestration") as peer:
        await RoundsStub(peer.channel).Deliver(pieces())
    assert world.rounds.delivered == 5


async def test_a_call_that_takes_too_long_is_over_on_both_sides(world: World) -> None:
    async with world.process() as process, world.peer(process) as peer:
        stub = TwinStateStub(peer.channel)
        await stub.GetTwin(GetTwinRequest())
        slow = await refusal(stub.GetTwin(GetTwinRequest(twin="slow"), timeout=0.1))
        assert slow.row.code == "platform.deadline"


async def test_a_peer_that_is_away_is_unavailable() -> None:
    target = Target("127.0.0.1:1", "https://didymos.example", "twin-state")
    async with Peer(target, Issuer().clock, seeded_ids()) as peer:
        away = await refusal(TwinStateStub(peer.channel).GetTwin(GetTwinRequest()))
    assert away.row.code == "platform.unavailable"


async def test_bytes_that_are_no_message_are_the_callers_problem(world: World) -> None:
    async with world.process() as process, world.peer(process) as peer:
        ask = peer.unary_unary("/didymos.twin.v1.TwinState/GetTwin", bytes, bytes)
        assert (await refusal(ask(b"\xff\xff\xff"))).row.code == "platform.malformed"

    async with world.process() as process, world.peer(process, "ingestion", name=None) as peer:

        async def batches() -> AsyncIterator[bytes]:
            yield b"\xff"

        broken = await refusal(read(peer.stream_stream(STREAM, bytes, bytes)(batches()), []))
        assert broken.row.code == "platform.malformed"


async def test_a_message_over_the_limit_and_an_unknown_method_are_refused(world: World) -> None:
    async with world.process() as process, world.peer(process) as peer:
        stub = TwinStateStub(peer.channel)
        await stub.GetTwin(GetTwinRequest())
        large = await refusal(
            peer.unary_unary("/didymos.twin.v1.TwinState/GetTwin", bytes, bytes)(b"\x0a" + b"\x80" * (4 << 20))
        )
        unknown = await refusal(peer.unary_unary("/didymos.twin.v1.TwinState/Nothing", bytes, bytes)(b""))
    assert (large.row.grpc, unknown.row.code) == ("RESOURCE_EXHAUSTED", "platform.method_not_allowed")


async def test_a_stream_ends_with_the_token_that_opened_it(world: World) -> None:
    expires = world.issuer.clock.now_us() // 1_000_000 + 1
    world.issuer.clock.advance(0.8)
    async with world.process() as process, world.peer(process, expires_at=expires) as peer:
        ended = await refusal(read(TwinStateStub(peer.channel).Watch(WatchRequest(twin="endless")), []))
        assert "expired" in str(ended)
    assert world.twins.watching == 0


async def test_a_drain_ends_open_streams_as_unavailable(world: World) -> None:
    async with asyncio.timeout(5):
        async with world.process() as process:
            peer = world.peer(process)
            stream: Any = TwinStateStub(peer.channel).Watch(WatchRequest(twin="endless"))
            await anext(stream)
        assert (await refusal(read(stream, []))).row.code == "platform.unavailable"
        await peer.__aexit__()


async def test_a_reader_that_goes_away_ends_its_stream(world: World) -> None:
    async with world.process() as process, world.peer(process) as peer:
        stream: Any = TwinStateStub(peer.channel).Watch(WatchRequest(twin="endless"))
        async with aclosing(stream):
            async for _ in stream:
                break
        async with asyncio.timeout(2):
            await world.twins.left.wait()


async def test_a_call_is_one_trace_on_both_sides(world: World) -> None:
    with tracing.recorded() as spans:
        async with world.process() as process, world.peer(process) as peer:
            with tracing.span("test.caller"):
                trace = tracing.trace_id()
                await TwinStateStub(peer.channel).GetTwin(GetTwinRequest())
    served = spans.named("didymos.twin.v1.TwinState/GetTwin")
    assert {f"{span.context.trace_id:032x}" for span in served} == {trace}


async def test_health_and_reflection_answer_without_a_token(world: World) -> None:
    async with world.process() as process, grpc.aio.insecure_channel(process.grpc_address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for name in ("", "didymos.twin.v1.TwinState"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        async for answer in reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(asked):
            names = {service.name for service in answer.list_services_response.service}
    assert {"didymos.twin.v1.TwinState", "didymos.ingestion.v1.Ingest", "grpc.health.v1.Health"} <= names


@pytest.mark.parametrize(
    ("access", "public", "match"),
    [(None, frozenset[str](), "no Access"), (Issuer().access, frozenset({"/x/Y"}), "nobody registers")],
)
async def test_a_method_that_nobody_decided_about_does_not_start(
    access: Access | None, public: frozenset[str], match: str
) -> None:
    service = Service(
        "twin-state", servicers=(lambda s: add_TwinStateServicer_to_server(Twins(), s),), public_rpcs=public
    )
    with pytest.raises(RpcSurfaceError, match=match):
        async with running(Program((service,), access)):
            pass
