"""The line to the coordinator: hello, answers, heartbeats, other grants, bad orders, and lines that break."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from didymos.identity.v1.identity_service_pb2_grpc import GrantsServicer, add_GrantsServicer_to_server
from didymos.training.v1 import training_types_pb2 as pb
from didymos.training.v1.training_service_pb2_grpc import RoundsServicer, add_RoundsServicer_to_server
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_kit.clock import SystemClock
from didymos_kit.ids import OrderedIds
from didymos_kit.lifecycle import AT_ONCE, Listen, Program, running
from didymos_kit.rpc import Peer, Target
from didymos_kit.service import Service
from didymos_kit.telemetry.metrics import Metrics
from didymos_site.adapters.consent import WatchedConsent
from didymos_site.adapters.folder import STORE, Folder
from didymos_site.adapters.learner import FolderLearner
from didymos_site.adapters.objects import PeerObjects
from didymos_site.adapters.protobuf import Trust
from didymos_site.adapters.store import SqliteStore
from didymos_site.adapters.voice import SignedVoice
from didymos_site.application.ports import Ports
from didymos_site.domain.hours import Hours, Limits
from didymos_site.entrypoints.attend import Patience, Site
from didymos_testing.did import STRANGER
from didymos_testing.kit import Issuer
from didymos_testing.site import (
    COORDINATOR,
    ORGANISATION,
    Coordinator,
    Post,
    a_beat,
    a_person,
    a_site_folder,
    a_spec,
    told_grant,
)
from typing_extensions import override

PUBLIC = frozenset({
    "/didymos.training.v1.Rounds/Attend", "/didymos.training.v1.Rounds/Fetch", "/didymos.training.v1.Rounds/Deliver",
    "/didymos.identity.v1.Grants/Watch",
})  # fmt: skip
PEOPLE = [a_person(1), a_person(2)]


class Rounds(RoundsServicer):
    """Hears signals, tells orders from a queue; None ends the stream."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[pb.SignalBody] = asyncio.Queue()
        self.orders: asyncio.Queue[pb.Order | None] = asyncio.Queue()

    @override
    async def Attend(self, request_iterator: Any, context: Any) -> Any:
        async def hear() -> None:
            async for signal in request_iterator:
                self.heard.put_nowait(pb.SignalBody.FromString(signal.body))

        hearing = asyncio.create_task(hear())
        try:
            while (order := await self.orders.get()) is not None:
                yield order
        finally:
            hearing.cancel()

    @override
    async def Fetch(self, request: Any, context: Any) -> Any:
        if request.object:
            raise PLATFORM_NOT_FOUND.problem(object=request.object.hex())
        yield pb.Piece()

    @override
    async def Deliver(self, request_iterator: Any, context: Any) -> Any:
        raise PLATFORM_NOT_FOUND.problem()

    async def said(self, step: str) -> pb.SignalBody:
        """The next signal of this kind; others are passed over."""
        async with asyncio.timeout(20):
            while (body := await self.heard.get()).WhichOneof("step") != step:
                pass
        return body


class Grants(GrantsServicer):
    """Says nothing until `begun`."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.begun.set()

    @override
    async def Get(self, request: Any, context: Any) -> Any:
        raise PLATFORM_NOT_FOUND.problem()

    Register = Revoke = Get  # a site asks for none of them

    @override
    async def Watch(self, request: Any, context: Any) -> Any:
        await self.begun.wait()
        for person in PEOPLE:
            yield told_grant(person.grant)
        while True:
            yield a_beat()
            await asyncio.sleep(0.05)


ALWAYS = Limits(Hours.parse(""), 0, UTC)


@asynccontextmanager
async def attending(folder: Path, rounds: Rounds, grants: Grants | None = None) -> AsyncIterator[Site]:
    issuer, clock = Issuer(), SystemClock()
    services = [
        Service("training-orchestration", servicers=(lambda s: add_RoundsServicer_to_server(rounds, s),),
                public_rpcs=frozenset(name for name in PUBLIC if "Rounds" in name)),
        Service("identity", servicers=(lambda s: add_GrantsServicer_to_server(grants or Grants(), s),),
                public_rpcs=frozenset(name for name in PUBLIC if "Grants" in name)),
    ]  # fmt: skip
    listen = Listen(rest=0, grpc=0, admin=0)
    async with running(Program(services, issuer.access, Metrics()), listen, AT_ONCE) as process:
        ids, place = OrderedIds(clock), Folder(folder)
        targets = [Target(process.grpc_address, issuer.origin, each.name) for each in services]
        store, learner = SqliteStore(folder / STORE), FolderLearner(folder)
        voice = SignedVoice(place.signer(), place.enrolment())
        consent = WatchedConsent(place.subjects(), place.grants, clock, patience_seconds=0.05)
        async with Peer(targets[0], clock, ids) as coordinator, Peer(targets[1], clock, ids) as watched:
            objects = PeerObjects(coordinator, voice.site)
            ports = Ports(store, objects, learner, consent, voice, clock, place.subjects(), b"x" * 32, ALWAYS)
            trust = Trust(COORDINATOR.did, frozenset({ORGANISATION.did}), clock.now)
            site = Site(coordinator, watched, consent, voice, ports, trust, Patience(0.01, 0.05, 0.1))
            task = asyncio.create_task(site.run())
            try:
                yield site
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                learner.shut()
                store.shut()


def a_line(site: Site) -> Coordinator:
    spec = a_spec()
    params = np.zeros(spec.model.layout.size, dtype=np.float32)
    return Coordinator(Post(), spec, params, {site.voice.site: [person.twin for person in PEOPLE]})


async def told(folder: Path, check: Callable[[Site, Rounds, Coordinator], Any]) -> None:
    a_site_folder(folder, PEOPLE)
    rounds = Rounds()
    async with attending(folder, rounds) as site:
        await check(site, rounds, a_line(site))


async def test_a_site_says_hello_beats_and_answers(tmp_path: Path) -> None:
    async def check(site: Site, rounds: Rounds, coordinator: Coordinator) -> None:
        hello = (await rounds.said("hello")).hello
        assert list(hello.twins) == sorted(person.twin for person in PEOPLE)
        assert hello.enrolment == site.voice.enrolment
        assert (await rounds.said("heartbeat")).heartbeat.at_us > 0
        rounds.orders.put_nowait(coordinator.opening(site.voice.site, 1))
        refusal = (await rounds.said("refusal")).refusal
        assert refusal.code == "platform.not_found"  # this coordinator lends no objects

    await told(tmp_path / "site", check)


async def test_orders_that_are_not_to_be_believed_do_not_end_the_line(tmp_path: Path) -> None:
    async def check(site: Site, rounds: Rounds, coordinator: Coordinator) -> None:
        await rounds.said("hello")
        coordinator.signer = STRANGER
        rounds.orders.put_nowait(coordinator.opening(site.voice.site, 1))  # ignored: there is nobody to answer
        coordinator.signer = COORDINATOR
        body = coordinator.header(1)
        body.setup.list.adverts.add(body=b"no advert")
        rounds.orders.put_nowait(coordinator.signed(site.voice.site, body))
        assert (await rounds.said("refusal")).refusal.code == "privacy.advert_invalid"
        rounds.orders.put_nowait(coordinator.close(site.voice.site, 1))
        assert (await rounds.said("heartbeat")).site == site.voice.site

    await told(tmp_path / "site", check)


async def test_a_site_that_does_not_know_what_owners_allow_does_not_attend(tmp_path: Path) -> None:
    a_site_folder(tmp_path / "site", PEOPLE)
    rounds, grants = Rounds(), Grants()
    grants.begun.clear()
    async with attending(tmp_path / "site", rounds, grants):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await rounds.said("hello")
        grants.begun.set()
        assert (await rounds.said("hello")).hello.twins


async def test_a_line_that_ends_is_dialled_again(tmp_path: Path) -> None:
    async def check(_site: Site, rounds: Rounds, _coordinator: Coordinator) -> None:
        for _ in range(3):
            await rounds.said("hello")
            rounds.orders.put_nowait(None)
        await rounds.said("hello")

    await told(tmp_path / "site", check)


async def test_a_grant_that_comes_into_the_folder_is_offered(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    a_site_folder(folder, PEOPLE)
    late = folder / "grants/person 2.json"
    kept = late.read_bytes()
    late.unlink()
    rounds = Rounds()
    async with attending(folder, rounds):
        assert list((await rounds.said("hello")).hello.twins) == [PEOPLE[0].twin]
        late.write_bytes(kept)
        assert len((await rounds.said("hello")).hello.twins) == 2
