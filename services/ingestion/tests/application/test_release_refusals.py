"""The owner's way out of quarantine: what fits now is accepted once, what does not stays."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsQuarantined
from didymos_contracts.errors import Problem
from didymos_did import DidError, TwinId
from didymos_ingestion.adapters.protobuf import kept_refusals
from didymos_ingestion.adapters.refusals import SqlRefusals
from didymos_ingestion.application.accept_batch import Taken, accept_batch
from didymos_ingestion.application.keep_refusals import Asker, keep_refusals
from didymos_ingestion.application.release_refusals import Content, Release, Releasing, release_refusals
from didymos_ingestion.domain.refusal import KeptRefusal
from didymos_kit.database.engine import Database, sqlite_engine
from didymos_kit.database.migrate import migrations_of, upgrade
from didymos_kit.database.unit_of_work import Stamp
from didymos_kit.eventlog import Stored
from didymos_readings import Assurance, DeviceStream, Envelope, Flag, decode_refused
from didymos_testing.access import some_facts
from didymos_testing.clock import seeded_ids
from didymos_testing.did import OWNER, STRANGER, a_signer
from didymos_testing.ingestion import DEVICE, OPERATOR, TWIN, AnEnrolment, IntakeWorld, a_key, a_signed_batch
from didymos_testing.readings import NOON_US, a_column

HOUSE = a_signer("ingestion service")
GENERIC = "generic@1"


@dataclass
class QuarantineOf:
    """The `Quarantine` port over the records of a log in memory."""

    world: IntakeWorld

    async def read(self, refusal: KeptRefusal) -> Content | None:
        said: ReadingsQuarantined = self.world.writer.quarantined()[refusal.offset]
        try:
            key = a_key(TwinId(refusal.twin), said.parcel.key_epoch)
            body = key.open(said.parcel.sealed, said.parcel.salt, "*")
        except DidError:
            return None
        return Content(decode_refused(body), body, said.received_at_us)


@dataclass
class ReleaseWorld:
    intake: IntakeWorld
    refusals: SqlRefusals

    @property
    def tools(self) -> Releasing:
        return Releasing(self.refusals, QuarantineOf(self.intake), HOUSE, self.intake.ports)

    async def send(self, envelope: Envelope) -> bytes:
        """The digest, once its refusals are listed."""
        with suppress(Problem):  # all of it refused
            await accept_batch(envelope, self.intake.ports, self.intake.clock)
        quarantined = [each for each in self.intake.writer.records if "quarantine" in each.topic]
        stored = [
            Stored(each.topic, each.key, each.value, each.headers, each.at_ms, 0, offset)
            for offset, each in enumerate(quarantined)
        ]
        listed = [refusal for record in stored for refusal in kept_refusals(record)]
        await keep_refusals(listed, self.refusals, self.intake.clock.now())
        return envelope.digest

    async def release(self, batch: bytes, profile: str = GENERIC, asker: Asker | None = None) -> Taken:
        query = Release(asker or Asker(OWNER.did, None, None), TWIN, batch, profile)
        return await release_refusals(query, some_facts(), self.tools, self.intake.clock)

    async def refused(self, batch: bytes, profile: str = GENERIC, asker: Asker | None = None) -> str:
        with pytest.raises(Problem) as raised:
            await self.release(batch, profile, asker)
        return raised.value.row.code


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[ReleaseWorld]:
    intake = IntakeWorld()
    engine, migrations = sqlite_engine(tmp_path / "ingestion.db"), migrations_of("ingestion")
    await upgrade(engine, migrations)
    stamp = Stamp("didymos://test", intake.clock, seeded_ids(intake.clock))
    async with Database(engine, "ingestion", stamp, migrations) as database:
        yield ReleaseWorld(intake, SqlRefusals(database))


async def test_what_the_new_profile_allows_is_accepted_and_the_rest_stays(world: ReleaseWorld) -> None:
    batch = await world.send(a_signed_batch(a_column([100, 5000, np.nan, 6000, 101], twin=TWIN)))
    found = await world.release(batch)
    assert (found.digest, found.accepted, found.token != "") == (batch, 2, True)
    assert [(each.index, each.code) for each in found.refused] == [(2, "reading.not_finite")]
    first, *released = world.intake.writer.opened()
    assert first.columns[0].value.tolist() == [100, 101]
    assert [column.value.tolist() for parcel in released for column in parcel.columns] == [[5000], [6000]]
    assert [int(column.flags[0]) for parcel in released for column in parcel.columns] == [Flag.BACKFILL] * 2
    event = world.intake.writer.accepted()[1]
    parcel = event.parcels[0]
    assert (parcel.device, parcel.stream, parcel.number, int(parcel.assurance)) == (
        DEVICE.did, 0, 0, Assurance.GATEWAY,
    )  # fmt: skip


async def test_the_parcel_holds_what_its_device_signed(world: ReleaseWorld) -> None:
    envelope = a_signed_batch(a_column([5000], twin=TWIN))
    await world.release(await world.send(envelope))
    (parcel,) = world.intake.writer.opened()
    said = decode_refused(parcel.original)
    assert (said.header_bytes, said.signature, said.kid) == (envelope.header_bytes, envelope.signature, DEVICE.kid)


async def test_a_second_release_finds_nothing_left(world: ReleaseWorld) -> None:
    batch = await world.send(a_signed_batch(a_column([5000], twin=TWIN)))
    await world.release(batch)
    assert await world.refused(batch) == "platform.not_found"
    assert len(world.intake.writer.accepted()) == 1


async def test_a_crash_before_the_mark_repeats_the_same_digest_under_any_profile(world: ReleaseWorld) -> None:
    world.intake.enrol(AnEnrolment(lost_since_us=1))
    batch = await world.send(a_signed_batch(a_column([100.0], twin=TWIN)))
    crashing = replace(world.tools, refusals=_CrashingRefusals(world.refusals))
    query = Release(Asker(OWNER.did, None, None), TWIN, batch, "glucose@1")
    with pytest.raises(ConnectionError):
        await release_refusals(query, some_facts(), crashing, world.intake.clock)
    await world.release(batch, GENERIC)
    first, again = (event.parcels[0].digest for event in world.intake.writer.accepted())
    ids = {each.headers["ce_id"] for each in world.intake.writer.records if "readings" in each.topic}
    assert (first == again, len(ids)) == (True, 1)


class _CrashingRefusals(SqlRefusals):
    def __init__(self, inner: SqlRefusals) -> None:
        super().__init__(inner._database)

    async def release(self, refusals: object) -> None:
        raise ConnectionError(refusals)


async def test_the_owner_may_take_what_a_lost_device_sent(world: ReleaseWorld) -> None:
    world.intake.enrol(AnEnrolment(lost_since_us=NOON_US))
    batch = await world.send(a_signed_batch(a_column([100, 101], twin=TWIN)))
    assert (await world.release(batch, "glucose@1")).accepted == 2


async def test_times_of_a_device_without_a_clock_count_from_when_they_first_came(world: ReleaseWorld) -> None:
    stream = DeviceStream(DEVICE, OPERATOR, "glucose@1")
    column = replace(a_column([5000.0], twin=TWIN), t_us=np.array([40_000_000]))
    batch = await world.send(stream.batch_without_clock([column], uptime_us=60_000_000))
    world.intake.clock.advance(3600)
    await world.release(batch)
    (parcel,) = world.intake.writer.opened()
    assert parcel.columns[0].t_us.tolist() == [NOON_US - 20_000_000]


async def test_only_whom_decide_lets_administer_may_release(world: ReleaseWorld) -> None:
    batch = await world.send(a_signed_batch(a_column([5000], twin=TWIN)))
    assert await world.refused(batch, asker=Asker(STRANGER.did, None, None)) == "platform.not_found"
    assert await world.refused(bytes(32)) == "platform.not_found"
    assert await world.refused(batch, "nobody@1") == "profile.unknown"
    assert not world.intake.writer.accepted()


async def test_a_closed_twin_releases_nothing(world: ReleaseWorld) -> None:
    batch = await world.send(a_signed_batch(a_column([5000], twin=TWIN)))
    world.intake.lifecycles.closed.add(TWIN)
    assert await world.refused(batch) == "twin.suspended"
    world.intake.lifecycles.closed.clear()
    world.intake.identity.gone.add(TWIN)
    assert await world.refused(batch) == "key.destroyed"
    assert not world.intake.writer.accepted()
