"""Aggregates, forms of history and units over REST; parcels fold behind it, and nobody sees a difference."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from didymos.twin.v1.twin_service_pb2 import RangeResponse
from didymos_testing.kit import problem_codes
from didymos_testing.twin_world import GLUCOSE, TwinWorld, twin_world

HOUR_US = 3_600_000_000
DAY = 20_000 * 24 * HOUR_US  # 2024-10-04
CHANGE = 20_022 * 24 * HOUR_US  # 2024-10-26: clocks of Europe are set back in the next night


async def aggregated(client: httpx.AsyncClient, world: TwinWorld, token: str, **query: Any) -> dict[str, Any]:
    asked = {"property": GLUCOSE, "from": str(DAY), "to": str(DAY + 6 * HOUR_US), "step": "PT2H", "fn": "avg"}
    path, heard = f"/v1/twins/{world.twin}/aggregate", {"consistency-token": token}
    answer = await client.get(path, params=asked | query, headers=heard)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_folding_changes_no_answer(tmp_path: Path) -> None:
    async with twin_world(tmp_path, upkeep_seconds=0.05) as world, world.rest(world.owner) as client:
        await world.create()
        times = [DAY + at * HOUR_US for at in range(6)]
        token = await world.send([100.0, 110.0, 120.0, 130.0, 140.0, 150.0], times)
        heard = {"consistency-token": token}
        path = f"/v1/twins/{world.twin}/history"
        before = (await client.get(path, params={"property": GLUCOSE}, headers=heard)).json()
        for _ in range(200):
            found = await aggregated(client, world, token)
            if found["rollups"]:
                break
            await asyncio.sleep(0.05)
        assert found["rollups"] == 6
        assert found["v"] == [105.0, 125.0, 145.0]
        assert (await client.get(path, params={"property": GLUCOSE}, headers=heard)).json() == before
        proof = await client.get(
            f"/v1/twins/{world.twin}/proofs", params={"property": GLUCOSE, "observed_at": str(DAY)}, headers=heard
        )
        assert len(proof.json()["proofs"]) == 1
        late = await world.send([90.0], [DAY + 1])
        assert (await aggregated(client, world, late))["v"] == [100.0, 125.0, 145.0]


async def test_an_aggregate_is_asked_for_by_unit_fill_and_device(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        token = await world.send([100.0, 140.0], [DAY, DAY + 5 * HOUR_US])
        molar = await aggregated(client, world, token, unit="mmol/L")
        filled = await aggregated(client, world, token, fill="previous")
        held = await aggregated(client, world, token, fn="twa", step="PT6H")
        mine = await aggregated(client, world, token, device=world.device.did)
        nobody = await aggregated(client, world, token, device="did:key:nobody", fill="zero")
        counted = await aggregated(client, world, token, fn="count", fill="zero")
    assert (molar["unit"], molar["v"]) == ("mmol/L", pytest.approx([100 / 18.0156, 140 / 18.0156]))
    assert filled["v"] == [100.0, 100.0, 140.0]
    assert held["v"] == [pytest.approx((5 * 100 + 140) / 6)]
    assert (mine["v"], nobody["v"], counted["v"]) == ([100.0, 140.0], [0.0] * 3, [1.0, 0.0, 1.0])


async def test_a_day_of_a_zone_may_have_25_hours(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        times = [CHANGE + at * HOUR_US for at in range(72)]
        token = await world.send([100.0] * 72, times)
        query = {"from": str(CHANGE), "to": str(CHANGE + 72 * HOUR_US), "step": "P1D", "fn": "count"}
        local = await aggregated(client, world, token, **query, zone="Europe/Berlin")
        utc = await aggregated(client, world, token, **query)
    assert (local["v"], utc["v"]) == ([22.0, 25.0, 24.0, 1.0], [24.0] * 3)
    assert local["t"][1:3] == [CHANGE + 22 * HOUR_US, CHANGE + 47 * HOUR_US]


async def test_what_cannot_be_aggregated_is_refused_by_its_name(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        token = await world.send([100.0], [DAY])
        good = {"property": GLUCOSE, "from": str(DAY), "to": str(DAY + HOUR_US), "step": "PT1H", "fn": "avg"}
        changes = [
            {"fn": "p49"}, {"fill": "guess"}, {"zone": "Europe/Berlin"}, {"zone": "Nowhere/Land", "step": "P1D"},
            {"zone": "../etc", "step": "P1D"}, {"unit": "kg"}, {"unit": "furlong?"}, {"step": "PT1S", "to": "9" * 18},
        ]  # fmt: skip
        path, heard = f"/v1/twins/{world.twin}/aggregate", {"consistency-token": token}
        answers = [await client.get(path, params=good | change, headers=heard) for change in changes]
    assert problem_codes(answers) == [
        *[(422, "platform.invalid_field")] * 5, (422, "reading.unit_incommensurable"), (422, "reading.unit_unknown"),
        (422, "query.too_wide"),
    ]  # fmt: skip


async def test_history_comes_as_csv_and_protobuf(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        token = await world.send([100.0, 110.5, 120.0], [DAY, DAY + HOUR_US, DAY + 2 * HOUR_US])
        path, query = f"/v1/twins/{world.twin}/history", {"property": GLUCOSE, "limit": "2"}
        heard = {"consistency-token": token}
        table = await client.get(path, params=query, headers=heard | {"accept": "text/csv"})
        cursor = {"cursor": table.headers["didymos-next"]}
        rest = await client.get(path, params=query | cursor, headers=heard | {"accept": "text/csv;q=1, */*"})
        packed = await client.get(path, params=query, headers=heard | {"accept": "application/x-protobuf"})
    lines = table.text.split("\r\n")
    assert table.headers["content-type"].startswith("text/csv")
    assert (lines[0], lines[1].split(",")[:2], lines[2].split(",")[:2], lines[3:]) == (
        "t,v [mg/dL],q", [str(DAY), "100.0"], [str(DAY + HOUR_US), "110.5"], [""],
    )  # fmt: skip
    assert rest.text.split("\r\n")[1].startswith(f"{DAY + 2 * HOUR_US},120.0,")
    assert "didymos-next" not in rest.headers
    said = RangeResponse.FromString(packed.content)
    assert np.frombuffer(said.values, "<f8").tolist() == [100.0, 110.5]
    assert said.unit == "mg/dL"


async def test_units_are_converted_and_profiles_shown(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:

        def asked(**said: Any) -> Any:
            return client.post("/v1/units:convert", json=said)

        line = (await asked(source="[degF]", target="Cel", values=[32, 212])).json()
        curve = (await asked(source="mol/L", target="[pH]", values=[1e-7, 0])).json()
        amount = (await asked(source="mg/dL", target="mmol/L", values=[180.156], molar_mass="180.156")).json()
        refused = [
            await asked(source="mg/dL", target="mmol/L"), await asked(source="wat?", target="m"),
            await asked(source="m", target="m", molar_mass="-1"),
            await asked(source="m", target="m", values=[0] * 10_001),
            await client.get("/v1/profiles/none@1"),
        ]  # fmt: skip
        listed = (await client.get("/v1/profiles")).json()["profiles"]
        shown = (await client.get("/v1/profiles/glucose@1")).json()
    assert line["values"] == pytest.approx([0.0, 100.0], abs=1e-9)
    assert curve["values"] == [pytest.approx(7.0), None]
    assert amount["values"] == pytest.approx([10.0])
    assert problem_codes(refused) == [
        (422, "reading.unit_incommensurable"), (422, "reading.unit_unknown"), (422, "platform.invalid_field"),
        (422, "platform.invalid_field"), (404, "platform.not_found"),
    ]  # fmt: skip
    assert "glucose@1" in {each["id"] for each in listed}
    assert next(each["unit"] for each in shown["properties"] if each["name"] == GLUCOSE) == "mg/dL"


async def test_where_a_scale_ends_there_is_no_number(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as first:
        world = TwinWorld(first.world, "bath", "generic@1")
        await world.create()
        token = await world.report("bath/acid", "mol/L", [DAY, DAY + HOUR_US], np.array([0.0, 1e-7]))
        path, heard = f"/v1/twins/{world.twin}", {"consistency-token": token}
        query = {"property": "bath/acid", "unit": "[pH]", "from": str(DAY), "to": str(DAY + 2 * HOUR_US)}
        async with world.rest(world.owner) as client:
            found = (await client.get(f"{path}/history", params=query, headers=heard)).json()
            steps = await client.get(f"{path}/aggregate", params=query | {"step": "PT1H", "fn": "avg"}, headers=heard)
            late = await world.report("bath/acid", "mol/L", [DAY + 1, DAY + 2], np.array([1.7e308, 1.7e308]))
            sums = await client.get(
                f"{path}/aggregate", params=query | {"unit": "mol/L", "step": "PT1H", "fn": "sum"},
                headers={"consistency-token": late},
            )  # fmt: skip
            state = (await client.get(f"{path}/reported/bath/acid", headers=heard)).json()
    assert found["v"] == [None, pytest.approx(7.0)]
    assert steps.json()["v"] == [None, pytest.approx(7.0)]
    assert sums.json()["v"] == [None, pytest.approx(1e-7)]
    assert (state["age_us"] > 0, state["freshness"]) == (True, None)
