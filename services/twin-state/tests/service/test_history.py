"""The past: ranges, pages, units, aggregates, proofs, and what was taken back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from didymos_did.multibase import b64u_decode
from didymos_readings import Op, block_is_signed, signed_message
from didymos_testing.did import INSTITUTE, RESEARCH, a_read_terms
from didymos_testing.kit import problem_codes
from didymos_testing.twin_world import GLUCOSE, TwinWorld, twin_world

HOUR_US = 3_600_000_000
DAY = 20_000 * 24 * HOUR_US  # a midnight of 2024


async def sent(world: TwinWorld, values: Sequence[float], begin_us: int = DAY, step_us: int = HOUR_US) -> str:
    await world.create()
    return await world.send(values, [begin_us + at * step_us for at in range(len(values))])


async def past(client: httpx.AsyncClient, world: TwinWorld, token: str, **query: Any) -> dict[str, Any]:
    path, heard = f"/v1/twins/{world.twin}/history", {"consistency-token": token}
    answer = await client.get(path, params={"property": GLUCOSE, **query}, headers=heard)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_pages_tear_nothing_apart(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        token = await sent(world, [float(n) for n in range(100, 123)])
        found: list[float] = []
        cursor: dict[str, str] = {}
        while True:
            page = await past(client, world, token, limit=5, **cursor)
            found += page["v"]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        stolen = await client.get(
            f"/v1/twins/{world.twin}/history", params={"property": "insulin/bolus", "cursor": page["next"] or "AAAA"}
        )
    assert found == [float(n) for n in range(100, 123)]
    assert problem_codes([stolen]) == [(400, "platform.malformed")]


async def test_a_span_is_half_open_and_a_unit_is_asked_for(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        token = await sent(world, [100.0, 110.0, 120.0])
        span = {"from": str(DAY), "to": str(DAY + 2 * HOUR_US)}
        found = await past(client, world, token, **span, unit="mmol/L")
        named = await past(client, world, token, **{"from": "2024-10-04T01:00:00Z"})
        refused = await client.get(f"/v1/twins/{world.twin}/history", params={"property": GLUCOSE, "unit": "kg"})
    assert found["v"] == pytest.approx([100 / 18.0156, 110 / 18.0156])
    assert named["v"] == [110.0, 120.0]
    assert problem_codes([refused]) == [(422, "reading.unit_incommensurable")]


async def test_what_a_device_takes_back_is_gone_from_history_and_state(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await sent(world, [100.0, 110.0, 120.0])
        token = await world.send([], [DAY + 2 * HOUR_US], Op.RETRACTION)
        found = await past(client, world, token)
        state = (await client.get(f"/v1/twins/{world.twin}", headers={"consistency-token": token})).json()
        corrected = await world.send([125.0], [DAY + 2 * HOUR_US])
        after = await past(client, world, corrected)
    assert found["v"] == [100.0, 110.0]
    assert state["reported"][GLUCOSE]["value"] is None
    assert after["v"] == [100.0, 110.0, 125.0]


async def test_a_batch_that_comes_again_is_in_history_once(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await world.create()
        batch = world.batch([100.0, 110.0], [DAY, DAY + HOUR_US])
        token = await world.append(batch, batch, batch)
        assert (await past(client, world, token))["v"] == [100.0, 110.0]


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        ("count", [2.0, 2.0]), ("sum", [210.0, 250.0]), ("avg", [105.0, 125.0]), ("min", [100.0, 120.0]),
        ("max", [110.0, 130.0]), ("first", [100.0, 120.0]), ("last", [110.0, 130.0]), ("p50", [105.0, 125.0]),
        ("stddev", [5.0, 5.0]),
    ],
)  # fmt: skip
async def test_steps_are_aggregated(tmp_path: Path, fn: str, expected: list[float]) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        token = await sent(world, [100.0, 110.0, 120.0, 130.0])
        query = {"property": GLUCOSE, "from": str(DAY), "to": str(DAY + 9 * HOUR_US), "step": "PT2H", "fn": fn}
        path, heard = f"/v1/twins/{world.twin}/aggregate", {"consistency-token": token}
        found = (await client.get(path, params=query, headers=heard)).json()
    assert (found["t"], found["v"]) == ([DAY, DAY + 2 * HOUR_US], pytest.approx(expected))


async def test_bad_queries_say_what_and_where(tmp_path: Path) -> None:
    async with twin_world(tmp_path, wait_seconds=3) as world, world.rest(world.owner) as client:
        token = await sent(world, [100.0])
        good = {"property": GLUCOSE, "from": str(DAY), "to": str(DAY + HOUR_US), "step": "PT1H", "fn": "avg"}
        changes = [{"fn": "mode"}, {"step": "0"}, {"from": "yesterday"}, {"from": "2024-01-01T00:00:00"},
                   {"step": "1", "from": "0"}]  # fmt: skip
        path = f"/v1/twins/{world.twin}/aggregate"
        answers = [
            await client.get(path, params={**good, **change}, headers={"consistency-token": token})
            for change in changes
        ]
        far = f"{world.part}:99999999"
        answers.append(await client.get(f"/v1/twins/{world.twin}", headers={"consistency-token": far}))
        answers.append(await client.get(f"/v1/twins/{world.twin}", headers={"consistency-token": "99:1"}))
    assert problem_codes(answers) == [
        *[(422, "platform.invalid_field")] * 4, (422, "query.too_wide"), (503, "read.token_timeout"),
        (400, "platform.malformed"),
    ]  # fmt: skip


async def test_a_reading_is_proved_to_somebody_who_trusts_nobody_here(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        token = await sent(world, [100.0, 110.0])
        query = {"property": GLUCOSE, "observed_at": str(DAY + HOUR_US)}
        path, heard = f"/v1/twins/{world.twin}/proofs", {"consistency-token": token}
        (proof,) = (await client.get(path, params=query, headers=heard)).json()["proofs"]
        none = await client.get(path, params={**query, "observed_at": str(DAY + 1)})
    header, block = b64u_decode(proof["header"]), b64u_decode(proof["block"])
    assert world.device.public.verify(signed_message(header), b64u_decode(proof["signature"]))
    assert block_is_signed(header, block, proof["leaf"], b64u_decode(proof["path"]))
    assert problem_codes([none]) == [(404, "platform.not_found")]


async def test_reads_draw_on_the_budget_of_their_grant(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        token = await sent(world, [100.0])
        terms = a_read_terms(constraints={"max-rate": 2})
        _, consent = await world.grant(INSTITUTE, terms)
        async with world.rest(INSTITUTE, RESEARCH) as client:
            path, heard = f"/v1/twins/{world.twin}", {"consistency-token": f"{token},{consent}"}
            answers = [(await client.get(path, headers=heard)).status_code for _ in range(3)]
    assert answers == [200, 200, 404]
