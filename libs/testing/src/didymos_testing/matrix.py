"""Every route and method of running services, found by looking at them, and bodies that try to break each."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast
from uuid import UUID, uuid4

import grpc
import httpx
from didymos_did import Ed25519Signer, Purpose
from didymos_did.tokens import make_proof
from didymos_kit.access import Access
from didymos_kit.http.principal import authenticates
from didymos_kit.http.surface import surface
from didymos_kit.rpc.client import BoundToken
from didymos_kit.rpc.status import problem_of_call
from didymos_kit.service import Service, Stopping
from didymos_kit.telemetry.metrics import Metrics
from fastapi.routing import APIRoute, iter_route_contexts

from didymos_testing.house import World

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
RAW_BODIES: Final = (
    b"", b"{}", b"[]", b"null", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e400}', b'{"a":"\\u0000"}',
    b'{"a":"\\ud800"}', b"\xff\xfe\x00", b"[" * 64 + b"]" * 64, b'{"a":' + b"9" * 400 + b"}", b"0" * 70_000,
)  # fmt: skip
RPC_BODIES: Final = (
    b"",
    b"\x00",
    b"\xff" * 16,
    b"\x0a\x03abc",
    b"\x0a\x02\xff\xfe",
    b"\x0a\x01\x00",
    b"\x08\x01\x12\x00",
)
_PLACE: Final = re.compile(r"\{(\w+)(?::\w+)?\}")

DETAILS: Final = "grpc-status-details-bin"
ATTEMPTS: Final = 3  # the status of a stream that is refused while its caller still sends can be lost on the way


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path template. `guarded`: it asks who calls."""

    service: str
    method: str
    path: str
    guarded: bool
    query: tuple[str, ...] = ()  # what has to be asked
    media: str = "application/json"
    schema: Mapping[str, Any] | None = field(default=None, compare=False, hash=False)

    def __str__(self) -> str:
        return f"{self.method} /{self.service}{self.path}"

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(_PLACE.findall(self.path))

    def filled(self, values: Mapping[str, str]) -> str:
        """The path with each place filled by its name; one that is not named gets an id that nobody has."""
        return _PLACE.sub(lambda place: values.get(place[1], str(UUID(int=7))), self.path)

    def asked(self, values: Mapping[str, str]) -> dict[str, str]:
        return {name: values.get(name, "x") for name in self.query}


def routes_of(services: Sequence[Service], access: Access) -> Iterator[Route]:
    """All of them, from the surfaces themselves: what is not in here cannot be called."""
    for service in services:
        app = surface(service, access, draining=Stopping(), metrics=Metrics())
        document = app.openapi()
        for found in iter_route_contexts(app.routes):
            if isinstance(found.original_route, APIRoute):
                for method in sorted(found.methods or ()):
                    bare = Route(service.name, method, str(found.path), authenticates(found.dependant))
                    yield _described(bare, document)


def _described(route: Route, document: Mapping[str, Any]) -> Route:
    """With what the OpenAPI document says of its query and its body."""
    operations = document["paths"].get(re.sub(r":\w+\}", "}", route.path), {})
    operation = operations.get(route.method.lower(), {})
    named = (each for each in operation.get("parameters", ()) if each["in"] == "query" and each.get("required"))
    query = tuple(each["name"] for each in named)
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = {**content.get("schema", {}), "components": document.get("components", {})}
        return replace(route, query=query, media=media, schema=schema)
    return replace(route, query=query)


def bodies(schema: Mapping[str, Any] | None) -> Iterator[Any]:
    """Bodies of the right shape with values that mean nothing, are too large, or too small."""
    if schema is None:
        return
    for text, number in (("x", 1), ("", 0), ("x" * 300, 2**63), ("../../etc", -1), ("did:key:z6Mk", 2**53 - 1)):
        yield _example(schema, schema.get("components", {}), text, number, 8)


def _example(schema: Mapping[str, Any], known: Mapping[str, Any], text: str, number: int, depth: int) -> Any:  # noqa: ANN401 - JSON
    if "$ref" in schema:
        return _example(known["schemas"][schema["$ref"].rpartition("/")[2]], known, text, number, depth)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _example(schema[several][0], known, text, number, depth)
    if "const" in schema or "enum" in schema:
        return schema.get("const", next(iter(schema.get("enum", [None]))))
    match schema.get("type"):
        case "object" if depth > 0:
            members = schema.get("properties", {})
            return {name: _example(inner, known, text, number, depth - 1) for name, inner in members.items()}
        case "array" if depth > 0:
            return [_example(schema.get("items", {}), known, text, number, depth - 1)]
        case "integer" | "number":
            return number
        case "boolean":
            return number > 0
        case "null":
            return None
    return text


@dataclass
class Caller:
    """Calls as somebody, and may do each thing wrong. `signer` None: without a token."""

    world: World
    http: httpx.AsyncClient
    signer: Ed25519Signer | None
    purpose: Purpose | str = ""
    nonces: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tokens = None if self.signer is None else self.world.tokens(self.signer, self.purpose)

    async def token(self, service: str) -> BoundToken:
        if self._tokens is None:
            raise RuntimeError("this caller has no token")
        return await self._tokens.token(f"{self.world.house.origin}/{service}")

    async def proof(self, service: str, method: str, url: str, bound: BoundToken) -> dict[str, str]:
        now = self.world.house.clock.now_us() // 1_000_000
        proof = make_proof(bound.key, method, url, now, uuid4().hex, token=bound.token, nonce=await self.nonce(service))
        return {"authorization": f"DPoP {bound.token}", "dpop": proof}

    async def nonce(self, service: str) -> str:
        """Every answer carries one, also to whom nothing is answered."""
        if service not in self.nonces:
            answer = await self.http.get(f"{self.world.house.origin}/{service}/v1/nothing-here")
            self.nonces[service] = answer.headers["dpop-nonce"]
        return self.nonces[service]

    async def headers(self, service: str, method: str, path: str) -> dict[str, str]:
        if self.signer is None:
            return {}
        url = f"{self.world.house.origin}/{service}{path}"
        return await self.proof(service, method, url, await self.token(service))

    async def send(
        self, route: Route, values: Mapping[str, str], body: object = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """The answer, of a stream its head. Bytes go as JSON as they are; `headers` in place of our own proof."""
        path = route.filled(values)
        url = f"{self.world.house.origin}/{route.service}{path}"
        proofs = await self.headers(route.service, route.method, path) if headers is None else headers
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        said = {**({} if content is None else {"content-type": route.media}), **proofs}
        if route.method in ("PATCH", "PUT"):
            said["if-match"] = '"0"'
        asked = route.asked(values)
        async with self.http.stream(route.method, url, headers=said, content=content, params=asked) as answer:
            if "json" in answer.headers.get("content-type", ""):
                await answer.aread()
        return answer

    async def call(self, service: str, path: str, body: bytes, pairs: Mapping[str, str] | None = None) -> str:
        """gRPC with raw bytes, whatever the method takes: the code of its refusal, or "ok"."""
        said = pairs
        if said is None and self.signer is not None:
            said = await self.proof(service, "POST", self.world.house.origin + path, await self.token(service))
        async with grpc.aio.insecure_channel(self.world.house.where.rpc) as channel:
            for _ in range(ATTEMPTS):
                open_call: Any = channel.stream_stream  # bytes in, bytes out: no serializers
                made = open_call(path)(iter([body]), metadata=tuple((said or {}).items()), timeout=30)
                try:
                    await anext(aiter(made), None)
                    made.cancel()
                except grpc.aio.AioRpcError as error:
                    refusal, trailers = error, cast("Any", error.trailing_metadata() or ())
                    if any(pair[0] == DETAILS for pair in trailers):
                        break
                else:
                    return "ok"
        return problem_of_call(refusal).row.code


def code_of(answer: httpx.Response) -> str:
    """The code of a refusal; "ok" for an answer; "plain" for a protocol of others that knows no problems."""
    if answer.status_code < 400:
        return "ok"
    if "json" not in answer.headers.get("content-type", ""):
        return "plain"
    return str(answer.json().get("code", "no problem at all"))
