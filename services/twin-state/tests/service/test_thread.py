"""From a reading in the log to a twin that can be read, over the real surface."""

from pathlib import Path
from typing import Any

from didymos_testing.did import STRANGER
from didymos_testing.twin_world import GLUCOSE, twin_world


async def test_a_reading_becomes_a_state_and_a_history(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        created = await world.create()
        now = world.house.clock.now_us()
        times = [now - 600_000_000, now - 300_000_000, now]
        token = await world.send([100.0, 110.0, 120.0], times)
        async with world.rest(world.owner) as client:
            shown = await client.get(f"/v1/twins/{world.twin}", headers={"consistency-token": f"{token},{created}"})
            assert shown.status_code == 200, shown.text
            assert shown.json()["reported"][GLUCOSE]["value"] == 120.0
            past = await client.get(
                f"/v1/twins/{world.twin}/history", params={"property": GLUCOSE}, headers={"consistency-token": token}
            )
            assert past.status_code == 200, past.text
            assert (past.json()["t"], past.json()["v"]) == (times, [100.0, 110.0, 120.0])


def timeless(said: dict[str, Any]) -> dict[str, Any]:
    """But for how old its values are by now."""
    for each in said["reported"].values():
        del each["age_us"], each["freshness"]
    return said


async def test_a_twin_is_the_same_after_a_restart(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        await world.create()
        token = await world.send([100.0], [world.house.clock.now_us()])
        async with world.rest(world.owner) as client:
            before = await client.get(f"/v1/twins/{world.twin}", headers={"consistency-token": token})
    async with twin_world(tmp_path) as again, again.rest(again.owner) as client:
        after = await client.get(f"/v1/twins/{again.twin}", headers={"consistency-token": token})
    assert timeless(after.json()) == timeless(before.json())
    assert after.headers["etag"] == before.headers["etag"]


async def test_a_stranger_cannot_tell_a_twin_from_no_twin(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        await world.create()
        async with world.rest(STRANGER, "https://w3id.org/dpv#ScientificResearch") as client:
            theirs = await client.get(f"/v1/twins/{world.twin}")
            nobodys = await client.get(f"/v1/twins/{STRANGER.did}")
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.json()["code"] == nobodys.json()["code"] == "platform.not_found"
