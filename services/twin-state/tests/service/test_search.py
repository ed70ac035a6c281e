"""Twins are found by who may see them: lists, values, places, many at once, and along relations."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from didymos_did import Terms
from didymos_testing.did import INSTITUTE, RESEARCH, STRANGER, a_read_terms
from didymos_testing.kit import problem_codes
from didymos_testing.twin_world import TwinWorld, twin_world

DAY = 20_000 * 86_400_000_000
PLACE, BATTERY = "tracker/place", "tracker/battery"
BERLIN, PARIS, SUVA = (13.40, 52.52), (2.35, 48.86), (178.44, -18.14)


async def a_tracker(world: TwinWorld, name: str, at: tuple[float, float], battery: float) -> tuple[TwinWorld, str]:
    """A twin of its own owner; the token of its last reading."""
    made = TwinWorld(world.world, name, "tracker@1")
    created = await made.create()
    placed = await made.report(PLACE, "", [DAY], np.array([[*at, 0.0]]))
    charged = await made.report(BATTERY, "%", [DAY], np.array([battery]))
    return made, ",".join([created, placed, charged])


def terms(*paths: str) -> Terms:
    return replace(a_read_terms(), paths=tuple(f"features/{path}" for path in paths))


async def found(client: httpx.AsyncClient, heard: str, **query: Any) -> list[str]:
    answer = await client.get("/v1/twins", params=query, headers={"consistency-token": heard})
    assert answer.status_code == 200, answer.text
    return [each["twin"] for each in answer.json()["twins"]]


async def test_a_twin_is_found_by_who_may_read_what_is_asked(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        near, first = await a_tracker(world, "near", BERLIN, 20)
        far, second = await a_tracker(world, "far", SUVA, 80)
        _, consent = await near.grant(INSTITUTE, terms(PLACE), 1)
        _, other = await far.grant(INSTITUTE, terms(BATTERY), 2)
        heard = ",".join([first, second, consent, other])
        async with world.rest(INSTITUTE, RESEARCH) as client:
            assert await found(client, heard) == []
            assert set(await found(client, heard, type="tracker")) == {near.twin, far.twin}
            assert await found(client, heard, type="glucose") == []
            assert await found(client, heard, near="13.3,52.5,20000") == [near.twin]
            assert await found(client, heard, near="-179.9,-18,500000") == []  # that place it may not read
            assert await found(client, heard, bbox="13,52,14,53") == [near.twin]
            assert await found(client, heard, filter=f"{BATTERY}:gt:50;{BATTERY}:le:80") == [far.twin]
            assert await found(client, heard, filter=f"{BATTERY}:lt:50") == []  # nor that battery
            told = (await client.get("/v1/twins", params={"near": "13.3,52.5,20000"})).json()["twins"][0]
        async with world.rest(far.owner) as client:
            assert await found(client, heard, near="-179.9,-18,500000") == [far.twin]
            assert await found(client, heard, scope="mine") == [far.twin]
            assert await found(client, heard, bbox="170,-20,-170,0", filter=f"{BATTERY}:eq:80") == [far.twin]
        async with world.rest(STRANGER, RESEARCH) as client:
            assert await found(client, heard, type="tracker") == []
    assert told["place"] == [13.4, 52.52]
    assert 5_000 < told["distance_m"] < 9_000


async def test_pages_go_on_where_they_ended(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        made = [await a_tracker(world, f"twin {at}", BERLIN, at) for at in range(5)]
        tokens = [token for _, token in made]
        for number, (each, _) in enumerate(made):
            if number != 2:
                tokens.append((await each.grant(INSTITUTE, terms(PLACE), number + 1))[1])
        expected = sorted(each.twin for number, (each, _) in enumerate(made) if number != 2)
        async with world.rest(INSTITUTE, RESEARCH) as client:
            seen: list[str] = []
            query: dict[str, Any] = {"bbox": "13,52,14,53", "limit": 2}
            heard = {"consistency-token": ",".join(tokens)}
            while True:
                page = (await client.get("/v1/twins", params=query, headers=heard)).json()
                seen += [each["twin"] for each in page["twins"]]
                if page["next"] is None:
                    break
                query["cursor"] = page["next"]
            stolen = await client.get("/v1/twins", params=query | {"bbox": "13,52,14,54"}, headers=heard)
    assert seen == expected
    assert problem_codes([stolen]) == [(400, "platform.malformed")]


async def test_many_twins_are_read_at_once(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        one, first = await a_tracker(world, "one", BERLIN, 20)
        two, second = await a_tracker(world, "two", PARIS, 80)
        _, consent = await one.grant(INSTITUTE, terms(PLACE), 1)
        heard = {"consistency-token": ",".join([first, second, consent])}
        async with world.rest(INSTITUTE, RESEARCH) as client:
            asked = {"twins": [two.twin, "did:key:nobody", one.twin, one.twin]}
            views = (await client.post("/v1/twins:batch-get", json=asked, headers=heard)).json()["twins"]
            many = await client.post("/v1/twins:batch-get", json={"twins": ["x"] * 1001}, headers=heard)
    assert [(view["twin"], list(view["reported"])) for view in views] == [(one.twin, [PLACE])]
    assert problem_codes([many]) == [(422, "platform.invalid_field")]


async def related(source: TwinWorld, name: str, target: TwinWorld, *, accept: bool) -> str:
    """The token of what was written last."""
    async with source.rest(source.owner) as client:
        made = await client.put(f"/v1/twins/{source.twin}/relations", json={"name": name, "target": target.twin})
        assert made.status_code == 200, made.text
        token = str(made.json()["token"])
    if accept:
        async with target.rest(target.owner) as client:
            said = {"source": source.twin, "name": name}
            answer = await client.post(
                f"/v1/twins/{target.twin}/relations/accept", json=said,
                headers={"consistency-token": token},
            )  # fmt: skip
            assert answer.status_code == 200, answer.text
            token = str(answer.json()["token"])
    return token


async def test_a_walk_asks_for_consent_at_each_hop(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world:
        made = [await a_tracker(world, name, BERLIN, 20) for name in ("a", "b", "c", "d")]
        (a, _), (b, _), (c, _), (d, _) = made
        tokens = [token for _, token in made]
        tokens += [
            await related(a, "near", b, accept=True), await related(b, "near", c, accept=True),
            await related(c, "near", d, accept=True), await related(b, "owns", a, accept=False),
        ]  # fmt: skip
        for number, each in enumerate((a, b, d)):  # not c
            tokens.append((await each.grant(INSTITUTE, terms(PLACE), number + 1))[1])
        heard = {"consistency-token": ",".join(tokens)}

        async def walked(client: httpx.AsyncClient, **said: Any) -> tuple[dict[str, int], set[tuple[str, str, str]]]:
            body = {"start": a.twin, "depth": 5} | said
            answer = await client.post("/v1/relations:traverse", json=body, headers=heard)
            assert answer.status_code == 200, answer.text
            found = answer.json()
            nodes = {each["twin"]: each["depth"] for each in found["nodes"]}
            return nodes, {(edge["source"], edge["name"], edge["target"]) for edge in found["edges"]}

        async with world.rest(INSTITUTE, RESEARCH) as client:
            out = await walked(client)
            back = await walked(client, start=b.twin, direction="in")
            owns = await walked(client, start=b.twin, names=["owns"])
            refused = [
                await client.post("/v1/relations:traverse", json={"start": c.twin}),
                await client.post("/v1/relations:traverse", json={"start": a.twin, "depth": 6}),
            ]
    assert out == ({a.twin: 0, b.twin: 1}, {(a.twin, "near", b.twin), (b.twin, "owns", a.twin)})
    assert back == ({b.twin: 0, a.twin: 1}, {(a.twin, "near", b.twin)})
    assert owns == ({b.twin: 0, a.twin: 1}, {(b.twin, "owns", a.twin)})
    assert problem_codes(refused) == [(404, "platform.not_found"), (422, "platform.invalid_field")]


async def test_questions_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        queries = [
            {"near": "1,2"}, {"near": "181,0,5"}, {"near": "0,0,-1"}, {"near": "0,0,nan"}, {"bbox": "0,5,1,4"},
            {"bbox": "0,0,1,1", "near": "0,0,1"}, {"filter": "battery"}, {"filter": "a/b:like:x"},
            {"filter": "a/b:lt:low"}, {"filter": "a/b:eq:"}, {"filter": ";".join(["a/b:eq:1"] * 9)}, {"scope": "all"},
        ]  # fmt: skip
        answers = [await client.get("/v1/twins", params=query) for query in queries]
    assert problem_codes(answers) == [(422, "platform.invalid_field")] * len(queries)
