"""Whatever is asked of many twins or of the past: an answer, or a problem that says why; never a fault of ours."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from didymos.twin.v1 import twin_service_pb2 as messages
from didymos.twin.v1.twin_service_pb2_grpc import HistoryStub, TwinSearchStub
from didymos_contracts.errors import Problem
from didymos_testing.twin_world import GLUCOSE, TwinWorld, twin_world

DRAW = random.Random(7)
TEXTS = (
    "", "0", "-1", "null", "ä€", "x" * 300, "../..", "glucose/level", "%00", "9" * 40, "1e999", "P1D", "PT0S", "NaN",
    "mmol/L", "Europe/Berlin", "0,0,0", "180,90,1e7", "0,0,1,1", "-180,-90,180,90", "a/b:eq:1", "a/b:lt:1;c:eq:x", ";",
    ":::", '"', "2024-01-01T00:00:00Z",
)  # fmt: skip
QUERIES = {
    "/v1/twins": ("type", "filter", "near", "bbox", "scope", "limit", "cursor"),
    "/v1/twins/{}/history": ("property", "from", "to", "unit", "device", "limit", "cursor", "min_quality"),
    "/v1/twins/{}/aggregate": ("property", "from", "to", "step", "fn", "fill", "zone", "unit", "device", "min_quality"),
    "/v1/profiles": (), "/v1/profiles/glucose@1": (),
}  # fmt: skip
GOOD = {"property": GLUCOSE, "from": "0", "to": "9000000", "step": "PT1H", "fn": "p99", "zone": "Europe/Berlin"}
BODIES = (
    b"", b"{}", b"[]", b"null", b'{"a":', b"\xff\xfe", b'{"twins":[]}', b'{"twins":[1]}', b'{"twins":["x","\\u0000"]}',
    b'{"start":"x","depth":0}', b'{"start":"x","depth":1,"direction":"up"}', b'{"start":"\\ud800"}',
    b'{"start":"x","names":["",""]}', b'{"source":"m","target":"m","values":[1e999]}', b'{"source":"m","target":"s"}',
    b'{"source":"[pH]","target":"mol/L","values":[-400,400]}', b'{"source":"m","target":"m","molar_mass":"NaN"}',
    b'{"source":"(((((","target":"10*99","values":[]}', b"[" * 5000,
)  # fmt: skip
POSTS = ("/v1/twins:batch-get", "/v1/relations:traverse", "/v1/units:convert")


def a_request(twin: str) -> dict[str, Any]:
    if DRAW.random() < 0.3:
        headers = {"content-type": "application/json"}
        return {"method": "POST", "url": DRAW.choice(POSTS), "content": DRAW.choice(BODIES), "headers": headers}
    path = DRAW.choice(list(QUERIES))
    query = {name: GOOD[name] for name in QUERIES[path] if name in GOOD and DRAW.random() < 0.9}
    if QUERIES[path] and DRAW.random() < 0.7:
        query[DRAW.choice(QUERIES[path])] = DRAW.choice(TEXTS)
    headers = {"accept": DRAW.choice(("", "text/csv", "application/x-protobuf", "*/*", ",;q="))}
    return {
        "method": "GET",
        "url": path.format(DRAW.choice((twin, "did:key:nobody"))),
        "params": query,
        "headers": headers,
    }


async def test_no_question_over_rest_is_a_fault_of_ours(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.rest(world.owner) as client:
        await begun(world)
        answered = Counter[int]()
        for _ in range(300):
            asked = a_request(world.twin)
            answer = await client.request(**asked)
            assert answer.status_code < 500, (asked, answer.text)
            answered[answer.status_code] += 1
    assert min(answered[status] for status in (200, 404, 422)) > 5, answered


async def test_no_question_over_grpc_is_a_fault_of_ours(tmp_path: Path) -> None:
    numbers = (0, 1, -1, 9_000_000, 2**62, -(2**63), 2**63 - 1)

    def number() -> int:
        return DRAW.choice(numbers)

    def text(good: str) -> str:
        return DRAW.choice((good, good, *TEXTS))

    def real() -> float:
        return DRAW.choice((0.0, 1.0, -90.0, 180.0, 1e300, float("nan"), float("inf")))

    async with twin_world(tmp_path) as world, world.world.peer(world.owner, "twin-state") as peer:
        await begun(world)
        past, many = HistoryStub(peer.channel), TwinSearchStub(peer.channel)
        answered = 0
        for _ in range(150):
            name = text(GLUCOSE)
            step = DRAW.choice((0, 1_000_000, 3_600_000_000, 86_400_000_000, 2**63 - 1))
            area: dict[str, Any] = {
                "near": messages.Near(longitude=real(), latitude=real(), metres=real()),
                "bbox": messages.BoundingBox(west=real(), south=real(), east=real(), north=real()),
            }
            chosen = DRAW.choice(("near", "bbox"))
            calls = (
                past.Aggregate(messages.AggregateRequest(
                    twin=world.twin, property=name, from_us=number(), to_us=number(), step_us=step,
                    fn=DRAW.choice(("avg", "p50", "twa", "")), fill=text("null"), zone=text(""), unit=text("mmol/L"),
                )),
                past.Range(messages.RangeRequest(
                    twin=world.twin, property=name, from_us=number(), unit=text(""), device=text("")
                )),
                many.BatchGet(messages.BatchGetRequest(twins=[world.twin, text("x")])),
                many.Search(messages.SearchRequest(
                    type=text("glucose"), after=text(""), limit=abs(number()) % 2**32, mine=DRAW.random() < 0.5,
                    filters=[messages.SearchFilter(property=text("a/b"), op=text("eq"), number=real())],
                    **({chosen: area[chosen]} if DRAW.random() < 0.5 else {}),
                )),
                many.Traverse(messages.TraverseRequest(start=text(world.twin), depth=DRAW.choice((0, 1, 5, 6)))),
            )  # fmt: skip
            for said in await asyncio.gather(*calls, return_exceptions=True):
                if isinstance(said, BaseException):
                    assert isinstance(said, Problem), said
                    assert said.row.http < 500, said
                else:
                    answered += 1
    assert answered > 100


async def test_grpc_says_what_rest_says(tmp_path: Path) -> None:
    async with twin_world(tmp_path) as world, world.world.peer(world.owner, "twin-state") as peer:
        token = await begun(world)
        past, many = HistoryStub(peer.channel), TwinSearchStub(peer.channel)
        about: dict[str, Any] = {"twin": world.twin, "property": GLUCOSE, "consistency_token": token}
        steps = await past.Aggregate(
            messages.AggregateRequest(**about, to_us=4_000_000, step_us=1_000_000, fn="max", fill="null", unit="mmol/L")
        )
        span = await past.Range(messages.RangeRequest(**about, unit="mmol/L", device=world.device.did))
        states = await many.BatchGet(messages.BatchGetRequest(twins=["did:key:x", world.twin]))
        found = await many.Search(messages.SearchRequest(type="glucose", limit=1))
        walked = await many.Traverse(messages.TraverseRequest(start=world.twin, depth=1))
    values = np.frombuffer(steps.values, "<f8")
    assert np.frombuffer(steps.begins_us, "<i8").tolist() == [0, 1_000_000, 2_000_000, 3_000_000]
    assert np.isnan(values).tolist() == [True, False, False, True]
    assert np.allclose(values[1:3], np.array([100, 101]) / 18.0156)
    assert np.allclose(np.frombuffer(span.values, "<f8"), np.array([100, 101]) / 18.0156)
    assert [each.twin for each in states.twins] == [each.twin for each in found.twins] == [world.twin]
    assert [(each.twin, each.depth) for each in walked.nodes] == [(world.twin, 0)]


async def begun(world: TwinWorld) -> str:
    created = await world.create()
    return f"{created},{await world.send([100.0, 101.0], [1_000_000, 2_000_000])}"
