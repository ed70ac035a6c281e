"""What identity does by itself: finish erasures, beat only while nothing waits, keep a key published."""

from collections.abc import Sequence
from pathlib import Path

from didymos.identity.v1.identity_events_pb2 import IdentityHeartbeat
from didymos_contracts.errors.platform import PLATFORM_MALFORMED, PLATFORM_UNAVAILABLE
from didymos_did import TwinId, verify_erasure
from didymos_identity.adapters.token_keys import ProcessTokenKey
from didymos_identity.adapters.work import sql_work
from didymos_identity.application.erase_twin import begin_erasure
from didymos_identity.bootstrap import bootstrap
from didymos_identity.domain.twin import Twin
from didymos_identity.entrypoints.loops import Heart, patiently
from didymos_identity.settings import IdentitySettings
from didymos_kit.database.relay import Relay
from didymos_kit.eventlog.port import Position, Record
from didymos_kit.service import Stopping
from didymos_kit.settings import load
from didymos_kit.tails import IdentityTail
from didymos_testing.clock import FixedClock
from didymos_testing.did import NOON, OWNER, TWIN, a_signer
from didymos_testing.house import a_house, served
from didymos_testing.identity import an_erasure, refusal

TWIN_ID = TwinId(TWIN.did)


async def test_a_half_done_erasure_is_finished_by_the_next_start(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, house.database("identity") as database, database.unit_of_work() as tx:
        work = sql_work(tx)
        await work.twins.add(Twin(TWIN_ID, OWNER.did, NOON))
        await begin_erasure(verify_erasure(an_erasure()), OWNER.did, work, house.clock)
    async with (
        a_house(tmp_path) as house,
        bootstrap(load(IdentitySettings, {}), house) as service,
        served(house, service),
    ):
        while not house.identity.destroyed(TWIN_ID):
            await house.identity.arrived()


class Written:
    """A writer that keeps what it gets."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def append(self, records: Sequence[Record]) -> list[Position]:
        self.records += records
        return []


async def test_no_beat_before_the_relay_looked_and_each_says_where_the_topics_end(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house, house.database("identity") as database:
        relay, written = Relay(database, house.event_log, house.clock), Written()
        heart = Heart(relay, house.event_log, "didymos://test/identity", house.clock, house.ids, 0.2)
        await heart.beat(written)
        assert written.records == []
        stopping = Stopping()
        stopping.set()  # a relay that is told to stop still empties the outbox: one look
        await relay._term(0, written, stopping)
        await heart.beat(written)
        beat = IdentityHeartbeat.FromString(written.records[0].value or b"")
        assert (len(beat.consent_next), len(beat.identity_next), beat.age_ms < 5000) == (64, 16, True)


async def test_a_loop_waits_for_what_passes_and_ends_for_a_mistake() -> None:
    stopping, tries = Stopping(), []

    async def step() -> None:
        tries.append(1)
        if len(tries) == 2:
            stopping.set()
        raise PLATFORM_UNAVAILABLE.problem()

    await patiently(stopping, 0.001, step)
    assert len(tries) == 2

    async def mistaken() -> None:
        raise PLATFORM_MALFORMED.problem()

    assert await refusal(patiently(Stopping(), 0.001, mistaken)) == "platform.malformed"


async def test_a_key_is_due_until_it_is_published_and_again_before_it_ends() -> None:
    clock = FixedClock()
    keys = ProcessTokenKey(a_signer("identity").did, IdentityTail(clock), clock)
    assert keys.due()
    key = keys.made()
    assert keys.due(), "an outage at its publication is no reason to stop"
    keys.published(key)
    assert not keys.due()
    clock.advance(22 * 3600)
    assert keys.due()
