"""Whatever is asked, the answer is a problem that says what and where, or an answer; never a fault of ours."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from didymos.twin.v1 import twin_service_pb2 as messages
from didymos.twin.v1 import twin_types_pb2 as types
from didymos.twin.v1.twin_service_pb2_grpc import ForecastsStub, HistoryStub, TwinStateStub
from didymos_contracts.errors import Problem
from didymos_testing.twin_world import GLUCOSE, TwinWorld, twin_world

DRAW = random.Random(7)
TEXTS = (
    "", "0", "-1", "null", "ä€", "x" * 300, "../..", "glucose/level", "features/glucose/level", "%00", "9" * 40,
    "1e999", "2026-01-01", "2026-01-01T00:00:00Z", "P1D", "PT0S", "NaN", "mmol/L", "a//b", "*", "**", '"1"', 'W/"1"',
    "1:1", "w1:1",
)  # fmt: skip
BODIES: Sequence[bytes] = (
    b"", b"{}", b"[]", b"null", b"1", b'"x"', b'{"a":', b'{"a":NaN}', b'{"glucose/target":{"value":1e999}}',
    b'{"glucose/target":{"value":"\\ud800"}}', b'{"glucose/target":{"value":"\\u0000"}}', b"\xff\xfe",
    b'{"glucose/target":{"value":[1,2]}}', b'{"glucose/target":{"value":1,"more":2}}', b'{"":{"value":1}}',
    b'{"glucose/target":{"value":9223372036854775808}}', b'{"glucose/target":{"value":1,"expires_at_us":-1}}',
    b'{"twin":"x","profile":"glucose@1"}', b'{"twin":1,"profile":2}', b'{"name":"x","target":"y"}',
    b'{"lifecycle":"erased"}', b"[" * 5000,
)  # fmt: skip
ROUTES: Sequence[tuple[str, str, tuple[str, ...]]] = (
    ("GET", "", ()), ("GET", "/desired", ()), ("GET", "/relations", ()), ("GET", "/models", ()),
    ("GET", "/history", ("property", "from", "to", "unit", "limit", "cursor", "min_quality")),
    ("GET", "/aggregate", ("property", "from", "to", "step", "fn")), ("GET", "/proofs", ("property", "observed_at")),
    ("GET", "/forecast", ("property",)), ("GET", "/reported/glucose/level", ()), ("PATCH", "/desired", ()),
    ("PUT", "/relations", ()), ("DELETE", "/relations", ("name", "target")), ("POST", "/relations/accept", ()),
    ("POST", "/lifecycle", ()), ("POST", "", ()), ("TRACE", "/desired", ()),
)  # fmt: skip
GOOD = {"property": GLUCOSE, "from": "0", "to": "9", "step": "PT1H", "fn": "avg", "observed_at": "1", "limit": "1"}
MEDIA = ("application/json", "application/merge-patch+json", "text/plain", "")


def a_request(twin: str) -> dict[str, Any]:
    method, path, names = DRAW.choice(ROUTES)
    about = DRAW.choice((twin, twin, twin, "did:key:nobody", "x"))
    query = {name: GOOD[name] for name in names if name in GOOD and DRAW.random() < 0.9}
    if names and DRAW.random() < 0.5:
        query[DRAW.choice((*names, *names, "z"))] = DRAW.choice(TEXTS)
    headers = {"content-type": DRAW.choice(MEDIA)}
    for name in ("if-match", "consistency-token", "idempotency-key", "last-event-id"):
        if DRAW.random() < 0.3:
            headers[name] = DRAW.choice(TEXTS).encode("ascii", "replace").decode()
    root = "/v1/twins" if (method, path) == ("POST", "") else f"/v1/twins/{about}{path}"
    return {"method": method, "url": root, "params": query, "headers": headers, "content": DRAW.choice(BODIES)}


async def test_no_request_over_rest_is_a_fault_of_ours(tmp_path: Path) -> None:
    async with twin_world(tmp_path, wait_seconds=0.2) as world, world.rest(world.owner) as client:
        await _begun(world)
        answered = Counter[int]()
        for _ in range(400):
            asked = a_request(world.twin)
            answer = await client.request(**asked)
            assert answer.status_code < 500 or answer.json()["code"] == "read.token_timeout", (asked, answer.text)
            answered[answer.status_code] += 1
        alive = await client.get(f"/v1/twins/{world.twin}")
    assert alive.status_code == 200
    assert min(answered[status] for status in (200, 400, 404, 422)) > 5, answered


async def test_no_call_over_grpc_is_a_fault_of_ours(tmp_path: Path) -> None:
    numbers = (0, 1, -1, 2**62, -(2**63), 2**63 - 1)

    def number() -> int:
        return DRAW.choice(numbers)

    def text(good: str) -> str:
        return DRAW.choice((good, good, *TEXTS))

    async with twin_world(tmp_path, wait_seconds=0.2) as world, world.world.peer(world.owner, "twin-state") as peer:
        await _begun(world)
        twins, past, ahead = TwinStateStub(peer.channel), HistoryStub(peer.channel), ForecastsStub(peer.channel)
        for _ in range(200):
            twin, name = text(world.twin), text(GLUCOSE)
            entry = types.Desired(property=text("glucose/target"), value=types.Value(number=1), expires_at_us=number())
            patch = messages.PatchDesiredRequest(
                twin=twin, entries=[entry], conditional=DRAW.random() < 0.5, command_id=b"x" * DRAW.choice((0, 3, 16))
            )
            span = messages.RangeRequest(
                twin=twin, property=name, from_us=number(), to_us=number(), min_quality=DRAW.choice((0, 255, 2**32 - 1))
            )
            calls = (
                twins.GetTwin(messages.GetTwinRequest(twin=twin, purpose=text(""), consistency_token=text(""))),
                twins.PatchDesired(patch),
                past.Range(span),
                ahead.Forecast(messages.ForecastRequest(twin=twin, property=name, purpose=text(""))),
            )
            for said in await asyncio.gather(*calls, return_exceptions=True):
                if isinstance(said, BaseException):
                    assert isinstance(said, Problem), said
                    assert said.row.http < 500 or said.row.code == "read.token_timeout", said


async def _begun(world: TwinWorld) -> None:
    """With a wait so short, the house may still be starting."""
    async with asyncio.timeout(30):
        while True:
            try:
                await world.create()
            except AssertionError as error:
                if "twin.exists" in str(error):
                    break
                await asyncio.sleep(0.1)
            else:
                break
    await world.send([100.0, 101.0], [1, 2])
