"""The load generator against a whole house: what is there is found, and what is taken away behind its back is told."""

import sqlite3
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from didymos_cli.client import http_client
from didymos_testing.house import World

from tests.load.__main__ import devices_of, report, table
from tests.load.replay import subjects
from tests.load.revoke import a_device, a_world, first_read, revocations
from tests.load.traffic import Traffic, under_load

GLUCOSE = Path(__file__).resolve().parents[2] / "data/glucose"


def asked(**changes: object) -> Namespace:
    known = {"shape": ["D", "G", "S"], "devices": 1, "twins": 3, "replay": None, "data": GLUCOSE, "records": 0}
    return Namespace(**{**known, "speed": 0.0, **changes})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as world:
        yield world


@pytest.mark.slow
async def test_shapes_and_a_replay_hold_and_a_lost_parcel_is_told(world: World, tmp_path: Path) -> None:
    store = tmp_path / "db/twin-state.db"
    async with http_client() as http:
        devices = devices_of(asked(), world.house.org) + devices_of(
            asked(replay="glucose", records=90), world.house.org
        )
        traffic = Traffic(world.house.origin, http, devices, store=str(store))
        await traffic.enrol()
        taken = await traffic.send_all(2.0)
        verdict = await traffic.verdict()
        said = report("all", traffic, taken, verdict)
        assert verdict.holds, verdict
        assert not traffic.counted.faults, traffic.counted.faults
        assert "acknowledged" in table(said)
        assert said["acknowledged"] == verdict.acknowledged > 0
        connection = sqlite3.connect(store)
        one = "select rowid from reading_parcel limit 1"
        gone = f"delete from reading_parcel where rowid = ({one}) returning twin, readings"  # noqa: S608 - a constant
        twin, readings = connection.execute(gone).fetchone()
        connection.commit()
        connection.close()
        after = await traffic.verdict()
        assert after.lost >= readings, (twin, after)
        assert not after.holds


@pytest.mark.slow
async def test_a_revocation_under_load_denies_reads_and_ends_streams(world: World) -> None:
    async with http_client() as http:
        traffic = Traffic(world.house.origin, http, [a_device(world, "revoked")])
        async with under_load(traffic):
            await first_read(traffic)
            reads, streams = await revocations(world, traffic, 3)
    assert len(reads) == len(streams) == 3
    assert max(reads + streams) < 5.0


def test_the_data_set_of_the_tree_is_replayed_in_its_order() -> None:
    profile, series = subjects(GLUCOSE, "glucose", 1000)
    assert profile == "glucose@1"
    times, values = next(iter(series.values()))["glucose/level", "mg/dL"]
    assert times == sorted(times)
    assert len(values) > 100
