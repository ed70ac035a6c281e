"""Bad input on REST: always a problem that says what and where, never a 500, never the handler."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND, PLATFORM_OVERLOADED, PLATFORM_STALE
from didymos_did import DidError, parse_did
from didymos_kit.http import PUBLIC, Strict, accepts, form, problems
from didymos_kit.http.surface import SurfaceError
from didymos_kit.lifecycle import Program, running
from didymos_kit.service import Service
from didymos_testing.kit import a_client, an_app, problem_codes
from fastapi import APIRouter, Header, Request
from httpx import AsyncClient, RemoteProtocolError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, Field
from starlette.responses import StreamingResponse


class Inner(Strict):
    size: int = Field(ge=1)


class Wanted(Strict):
    name: str
    inner: Inner | None = None
    owner: Annotated[str, AfterValidator(parse_did)] | None = None


reached: list[str] = []


def routes() -> APIRouter:
    router = APIRouter(prefix="/v1", dependencies=[PUBLIC])

    @router.post("/things/{number}", responses=problems(PLATFORM_STALE, PLATFORM_NOT_FOUND))
    async def make(
        number: int, wanted: Wanted, limit: int = 5, if_match: Annotated[int | None, Header()] = None
    ) -> Wanted:
        reached.append("make")
        return wanted

    @router.patch("/things")
    @accepts(media=("application/merge-patch+json",), floats=True)
    async def patch(change: dict[str, Any]) -> dict[str, Any]:
        return change

    @router.post("/raw")
    @accepts(limit=100_000)
    async def raw(request: Request) -> int:
        return len(await request.body())

    @router.post("/form")
    async def post_form(request: Request) -> dict[str, str]:
        return await form(request, "grant_type", "scope")

    @router.get("/fails/{how}")
    async def fails(how: str) -> None:
        raise {
            "problem": PLATFORM_OVERLOADED.problem(retry_after_seconds=7),
            "library": DidError("key.weak", "small order", kid="k1"),
            "unknown": DidError("nobody.knows", "x"),
            "bug": KeyError("reading 5.5 of somebody"),
            "time": TimeoutError(),
        }[how]

    return router


@pytest.fixture
async def client() -> Any:
    reached.clear()
    async with a_client(routes()) as made:
        yield made


GOOD = {"name": "x", "inner": {"size": 2}}
JSON = {"content-type": "application/json"}


async def test_good_input_reaches_the_handler(client: AsyncClient) -> None:
    answer = await client.post("/v1/things/1?limit=3", json=GOOD)
    assert (answer.status_code, answer.json()["name"]) == (200, "x")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        (b'{"name": 1}', 422, "platform.invalid_field", "/name"),
        (b"{}", 422, "platform.invalid_field", "/name"),
        (b'{"name": "x", "nmae": "y"}', 422, "platform.unknown_field", "/nmae"),
        (b'{"name": "x", "inner": {"size": 0}}', 422, "platform.invalid_field", "/inner/size"),
        (b'{"name": "x", "inner": {"size": 1, "a/b": 2}}', 422, "platform.unknown_field", "/inner/a~1b"),
        (b'{"name": "x", "owner": "did:web:a"}', 422, "did.malformed", "/owner"),
        (b"[]", 422, "platform.invalid_field", ""),
        (b"null", 422, "platform.invalid_field", ""),
        (b"", 422, "platform.invalid_field", ""),
        (b'{"name": "x"', 400, "platform.malformed", ""),
    ],
)
async def test_a_body_at_fault_is_pointed_at(
    client: AsyncClient, body: bytes, status: int, code: str, pointer: str
) -> None:
    answer = await client.post("/v1/things/1", content=body, headers=JSON)
    assert problem_codes([answer]) == [(status, code)]
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert reached == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"name": "x", "name": "y"}', 400, "platform.malformed"),
        (b'{"name": "x", "inner": {"size": NaN}}', 400, "platform.malformed"),
        (b'{"name": "x", "inner": {"size": 1.0}}', 400, "platform.malformed"),
        (b'{"name": "\xff"}', 400, "platform.malformed"),
        (b'{"name": "\\ud800"}', 400, "platform.malformed"),
        (b'{"name": "a\\u0000b"}', 400, "platform.malformed"),
        (b'{"name": "x", "\\udfff": 1}', 400, "platform.malformed"),
        (b"[" * 40 + b"]" * 40, 400, "platform.malformed"),
        (b"[" * 30_000, 400, "platform.malformed"),
        (b'{"name": ' + b"9" * 5000 + b"}", 400, "platform.malformed"),
        (b'{"name": "' + b"x" * 70_000 + b'"}', 413, "platform.too_large"),
    ],
)
async def test_what_is_not_strict_json_is_malformed(client: AsyncClient, body: bytes, status: int, code: str) -> None:
    answer = await client.post("/v1/things/1", content=body, headers=JSON)
    assert problem_codes([answer]) == [(status, code)]
    assert reached == []


@pytest.mark.parametrize(
    ("url", "status", "code", "pointer"),
    [
        ("/v1/things/one", 422, "platform.invalid_field", "{number}"),
        ("/v1/things/1?limit=x", 422, "platform.invalid_field", "?limit"),
        ("/v1/things/1?lmit=3", 422, "platform.unknown_field", "?lmit"),
        ("/v1/things/1?limit=%00", 400, "platform.malformed", "query/limit"),
        ("/v1/things/1?limit=1&limit=2", 400, "platform.malformed", "?limit"),
    ],
)
async def test_path_and_query_at_fault_are_named(
    client: AsyncClient, url: str, status: int, code: str, pointer: str
) -> None:
    answer = await client.post(url, json=GOOD)
    assert problem_codes([answer]) == [(status, code)]
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_header_at_fault_is_named(client: AsyncClient) -> None:
    answer = await client.post("/v1/things/1", json=GOOD, headers={"if-match": "x"})
    assert answer.json()["errors"][0]["pointer"] == "if-match:"


async def test_routing_answers_problems_too(client: AsyncClient) -> None:
    answers = [await client.get("/v1/nowhere"), await client.delete("/v1/things/1"), await client.get("/v1/things/1/")]
    assert problem_codes(answers) == [
        (404, "platform.not_found"), (405, "platform.method_not_allowed"), (404, "platform.not_found"),
    ]  # fmt: skip
    assert answers[1].headers["allow"] == "POST"


@pytest.mark.parametrize(
    "media", ["text/plain", "application/xml", "application/merge-patch+json", "multipart/form-data", ""]
)
async def test_another_media_type_is_415(client: AsyncClient, media: str) -> None:
    answer = await client.post("/v1/things/1", content=json.dumps(GOOD), headers={"content-type": media})
    assert problem_codes([answer]) == [(415, "platform.unsupported_media")]
    assert answer.json()["accepted"] == ["application/json"]


async def test_a_route_says_which_media_type_and_numbers_it_takes(client: AsyncClient) -> None:
    merge = {"content-type": "application/merge-patch+json; charset=utf-8"}
    assert (await client.patch("/v1/things", content=b'{"a": 1.5}', headers=merge)).json() == {"a": 1.5}
    infinite = await client.patch("/v1/things", content=b'{"a": 1e999}', headers=merge)
    assert problem_codes([infinite]) == [(400, "platform.malformed")]


async def test_a_larger_limit_holds_for_its_route_alone(client: AsyncClient) -> None:
    assert (await client.post("/v1/raw", content=b"x" * 100_000)).json() == 100_000
    assert problem_codes([await client.post("/v1/raw", content=b"x" * 100_001)]) == [(413, "platform.too_large")]


async def test_a_body_without_announced_length_is_counted(client: AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(11):
            yield b"x" * 10_000

    assert problem_codes([await client.post("/v1/raw", content=chunks())]) == [(413, "platform.too_large")]


async def test_a_form_is_as_strict_as_json(client: AsyncClient) -> None:
    head = {"content-type": "application/x-www-form-urlencoded"}
    good = await client.post("/v1/form", content=b"grant_type=a%20b&scope=", headers=head)
    assert good.json() == {"grant_type": "a b", "scope": ""}
    bad = [
        await client.post("/v1/form", content=body, headers=head)
        for body in (b"scope=1&scope=2", b"other=1", b"%ff=1", b"\xff", b"a")
    ]
    assert problem_codes(bad) == [
        (400, "platform.malformed"), (422, "platform.unknown_field"), (400, "platform.malformed"),
        (400, "platform.malformed"), (400, "platform.malformed"),
    ]  # fmt: skip
    assert problem_codes([await client.post("/v1/form", json={})]) == [(415, "platform.unsupported_media")]


async def test_what_a_handler_raises_is_answered_from_its_row(client: AsyncClient) -> None:
    answers = [await client.get(f"/v1/fails/{how}") for how in ("problem", "library", "unknown", "bug", "time")]
    assert problem_codes(answers) == [
        (429, "platform.overloaded"), (422, "key.weak"), (500, "platform.internal"), (500, "platform.internal"),
        (504, "platform.deadline"),
    ]  # fmt: skip
    assert answers[0].headers["retry-after"] == "7"
    assert answers[1].json()["kid"] == "k1"


async def test_our_mistake_tells_a_trace_id_and_nothing_else(client: AsyncClient) -> None:
    said = (await client.get("/v1/fails/bug")).json()
    assert "5.5" not in json.dumps(said)
    assert len(said["trace_id"]) == 32
    assert set(said) == {"type", "title", "status", "code", "retry", "trace_id"}


async def test_an_answer_joins_the_trace_of_its_caller(client: AsyncClient) -> None:
    sent = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}
    answer = await client.get("/v1/nowhere", headers=sent)
    assert answer.json()["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "inner", "size", "x"]), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
async def test_no_body_whatever_is_a_500(client: AsyncClient, body: bytes) -> None:
    answer = await client.post("/v1/things/1", content=body, headers=JSON)
    assert answer.status_code in (200, 400, 413, 422)


async def test_the_document_names_our_problems_and_not_the_frameworks(client: AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    answers = document["paths"]["/v1/things/{number}"]["post"]["responses"]
    assert answers["412"]["content"]["application/problem+json"]["schema"]["properties"]["code"]["examples"] == [
        "platform.stale"
    ]
    assert "platform.unknown_field" in json.dumps(answers["422"])
    assert "HTTPValidationError" not in json.dumps(document)
    assert document["openapi"] == "3.1.0"


def test_a_route_that_nobody_decided_about_does_not_start() -> None:
    router = APIRouter(prefix="/v1")

    @router.get("/open")
    async def get_open() -> None: ...

    with pytest.raises(SurfaceError, match=r"/v1/open neither"):
        an_app(Service("twin-state", (router,)))


def test_a_body_that_lets_unknown_members_pass_does_not_start() -> None:
    class Loose(BaseModel):
        name: str

    class Wrapping(Strict):
        inner: Loose

    router = APIRouter(prefix="/v1", dependencies=[PUBLIC])

    @router.post("/loose")
    async def post_loose(body: Wrapping) -> None: ...

    with pytest.raises(SurfaceError, match="Loose lets unknown members pass"):
        an_app(Service("twin-state", (router,)))


async def test_what_fails_after_the_answer_began_breaks_it_off() -> None:
    """A cut answer must look cut: half a body with a clean end would be taken for a whole one."""

    async def halves() -> AsyncIterator[bytes]:
        yield b"half"
        raise KeyError("the other half")

    router = APIRouter(prefix="/v1", dependencies=[PUBLIC])

    @router.get("/half")
    async def read_half() -> StreamingResponse:
        return StreamingResponse(halves())

    async with running(Program([Service("twin-state", (router,))])) as process, AsyncClient() as client:
        with pytest.raises(RemoteProtocolError):
            await client.get(f"{process.rest_url}/twin-state/v1/half")
