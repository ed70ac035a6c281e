"""`Rounds` and `Runs` on the wire: who may attend, what may be fetched and delivered, and what each refusal is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from didymos.training.v1 import training_service_pb2 as messages
from didymos.training.v1 import training_types_pb2 as pb
from didymos.training.v1.training_service_pb2_grpc import RoundsStub, RunsStub
from didymos_contracts.errors import Problem
from didymos_did import Ed25519Signer, jcs, sign_detached, sign_site_enrolment
from didymos_testing.did import STRANGER, a_signer
from didymos_testing.training import AGREEMENT, BUYER, People, a_spec
from didymos_training_orchestration.adapters.objects import FileObjects
from didymos_training_orchestration.bootstrap import NAME

SITE, OTHER = a_signer("site 0"), a_signer("site 1")


def an_enrolment(world: Any, site: Ed25519Signer = SITE, by: Ed25519Signer | None = None, days: int = 30) -> bytes:
    now = world.house.clock.now()
    window = (now - timedelta(days=40), now + timedelta(days=days))
    return jcs(sign_site_enrolment(site.did, window, by or world.house.keys.organisation))


def a_signal(body: pb.SignalBody, signer: Ed25519Signer = SITE, tag: str = "site-signal") -> pb.SiteSignal:
    signed = sign_detached(tag, body.SerializeToString(deterministic=True), signer)
    return pb.SiteSignal(body=signed.body, kid=signed.kid, signature=signed.signature)


def a_hello(enrolment: bytes, **changes: Any) -> pb.SignalBody:
    said: dict[str, Any] = {"subjects": 1, "enrolment": enrolment, "twins": [a_signer("twin").did]}
    return pb.SignalBody(site=SITE.did, hello=pb.Hello(**{**said, **changes}))


async def sent(*signals: pb.SiteSignal, hold: bool = False) -> AsyncIterator[pb.SiteSignal]:
    for signal in signals:
        yield signal
    if hold:
        await asyncio.Event().wait()


async def refusal(world: Any, *signals: pb.SiteSignal, caller: Ed25519Signer = SITE) -> str:
    """The code that ends the stream."""
    async with world.peer(caller, NAME) as peer:
        return await code_of(all_orders(RoundsStub(peer.channel), *signals))


async def all_orders(stub: Any, *signals: pb.SiteSignal) -> int:
    async with asyncio.timeout(20):
        return len([order async for order in stub.Attend(sent(*signals))])


async def test_only_a_site_that_a_pinned_organisation_enrolled_attends(
    tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    async with coordinator_in(tmp_path) as coordinator:
        world = coordinator.world
        cases = {
            "another organisation": an_enrolment(world, by=STRANGER),
            "another site": an_enrolment(world, OTHER),
            "over": an_enrolment(world, days=-1),
            "no credential": b"{}",
        }
        for name, enrolment in cases.items():
            assert await refusal(world, a_signal(a_hello(enrolment))) == "training.site_not_enrolled", name


async def test_what_a_site_says_is_signed_by_it_and_begins_with_hello(
    tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    async with coordinator_in(tmp_path) as coordinator:
        world = coordinator.world
        good = a_hello(an_enrolment(world))
        beat = pb.SignalBody(site=SITE.did, heartbeat=pb.Heartbeat(at_us=1))
        advert = pb.SignalBody(site=SITE.did, run="r", round=1, attempt=1, advert=pb.Advert(subjects=1))
        cases = [
            [a_signal(beat)],
            [],
            [a_signal(good, OTHER)],
            [a_signal(good, tag="sa-advertise")],
            [pb.SiteSignal(body=b"\xff", kid=SITE.kid, signature=b"x")],
            [a_signal(pb.SignalBody(site=OTHER.did, hello=good.hello))],
            [a_signal(a_hello(an_enrolment(world), twins=["alice"]))],
            [a_signal(good), a_signal(advert)],  # an advert is signed as an advert
            [a_signal(good), a_signal(pb.SignalBody(site=SITE.did))],
        ]
        for signals in cases:
            assert await refusal(world, *signals) == "training.signal_invalid", signals
        assert await refusal(world, a_signal(good), caller=OTHER) == "training.signal_invalid"


async def test_objects_go_to_sites_that_attend_and_to_services_of_the_house(
    tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    data = bytes(range(256)) * 2048  # two pieces
    async with coordinator_in(tmp_path) as coordinator:
        world = coordinator.world
        digest = await FileObjects(world.house.files).put(data)
        wanted = messages.FetchRequest(object=digest)
        async with world.peer(SITE, NAME) as peer:
            stub = RoundsStub(peer.channel)
            assert await code_of(fetched(stub, wanted)) == "training.site_not_enrolled"
        async with world.peer(world.house.keys.signer("twin-state"), NAME) as peer:
            stub = RoundsStub(peer.channel)
            assert await fetched(stub, wanted) == data
            assert await fetched(stub, messages.FetchRequest(object=digest, offset=300_000)) == data[300_000:]
            assert await fetched(stub, messages.FetchRequest(object=digest, offset=len(data))) == b""
            missing = messages.FetchRequest(object=b"x" * 32)
            assert await code_of(fetched(stub, missing)) == "platform.not_found"
            beyond = messages.FetchRequest(object=digest, offset=len(data) + 1)
            assert await code_of(fetched(stub, beyond)) == "training.piece_misplaced"


async def fetched(stub: Any, request: messages.FetchRequest) -> bytes:
    return b"".join([piece.data async for piece in stub.Fetch(request)])


async def code_of(call: Any) -> str:
    with pytest.raises(Problem) as raised:
        await call
    return raised.value.row.code


async def pieces(*sizes: int, data: bytes = b"d" * 100, digest: bytes = b"") -> AsyncIterator[pb.Piece]:
    name, at = digest or sha256(data).digest(), 0
    for size in sizes:
        yield pb.Piece(object=name, offset=at, data=data[at : at + size], size=len(data))
        at += size


async def test_a_delivery_says_how_far_it_came(tmp_path: Path, people: People, run_of: Callable[..., Any]) -> None:
    spec = a_spec()
    sites = people.doubles(spec)
    async with run_of(tmp_path, spec, sites, people) as (coordinator, _):
        async with coordinator.world.peer(sites[0].signer, NAME) as peer:
            stub = RoundsStub(peer.channel)
            partly = await stub.Deliver(pieces(60))
            assert (partly.next_offset, partly.complete) == (60, False)
            assert await code_of(stub.Deliver(pieces(60))) == "training.piece_misplaced"
            asked = await stub.Deliver(pieces(0))
            assert (asked.next_offset, asked.complete) == (60, False)
            false = sha256(b"false").digest()
            assert await code_of(stub.Deliver(pieces(100, digest=false))) == "training.digest_mismatched"
            whole = await stub.Deliver(pieces(50, 50, data=b"e" * 100))
            assert (whole.next_offset, whole.complete) == (100, True)
        async with coordinator.world.peer(STRANGER, NAME) as peer:
            assert await code_of(RoundsStub(peer.channel).Deliver(pieces(100))) == "training.site_not_enrolled"


async def test_runs_are_made_and_shown_over_grpc_as_over_rest(
    tmp_path: Path, coordinator_in: Callable[..., Any]
) -> None:
    async with coordinator_in(tmp_path) as coordinator:
        async with coordinator.world.peer(BUYER, NAME) as peer:
            stub = RunsStub(peer.channel)
            made = await stub.CreateRun(messages.CreateRunRequest(agreement=AGREEMENT, spec=a_spec().to_json()))
            shown = await stub.GetRun(messages.GetRunRequest(run=made.run))
            assert (shown.state, shown.rounds) == (pb.RUN_STATE_DRAFT, 3)
            bad = stub.CreateRun(messages.CreateRunRequest(agreement=AGREEMENT, spec=b"{}"))
            assert await code_of(bad) == "training.spec_malformed"
        async with coordinator.world.peer(STRANGER, NAME) as peer:
            hidden = RunsStub(peer.channel).GetRun(messages.GetRunRequest(run=made.run))
            assert await code_of(hidden) == "platform.not_found"


async def test_what_comes_late_is_dropped_and_the_site_learns_how_the_round_ended(
    tmp_path: Path, run_of: Callable[..., Any], told: Callable[..., Any]
) -> None:
    people, spec = People.at(5, 3), a_spec(rounds=2, masking="none")
    sites = people.doubles(spec)
    sites[0].silent.add("clear 1")
    from didymos_training_orchestration.settings import PaceSettings

    async with run_of(tmp_path, spec, sites, people, pace=PaceSettings(first_training_seconds=4)) as (coordinator, run):
        assert (await coordinator.start(run)).status_code == 200
        ended = await coordinator.ended(run)
        rounds = await coordinator.rounds(run)
        await told(sites[0], "close 1.1")
    assert (ended["state"], [each["accepted"] for each in rounds]) == ("completed", [4, 5])
    assert {"member": sites[0].did, "attempt": 1, "outcome": "deadline"} in rounds[0]["members"]
    assert (1, "committed") in sites[0].closed
