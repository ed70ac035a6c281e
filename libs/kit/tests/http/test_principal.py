"""Who may call: each way in which a token, a proof or a nonce can be wrong is refused before the handler."""

from typing import Any

import httpx
import pytest
from didymos_did.tokens import make_proof
from didymos_kit.access import Principal
from didymos_kit.http import PUBLIC, Caller
from didymos_kit.http.surface import SurfaceError
from didymos_kit.service import Service
from didymos_testing.clock import NOON
from didymos_testing.did import RESEARCH, a_signer
from didymos_testing.kit import ORIGIN, DpopAuth, Issuer, IssuingTrust, a_client, a_proof_key, an_app, problem_codes
from fastapi import APIRouter

ALICE, BOB = a_signer("alice"), a_signer("bob")
seen: list[Principal] = []


def routes() -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/me")
    async def read_me(caller: Caller) -> str:
        seen.append(caller)
        return caller.did

    @router.post("/me/{name}")
    async def write_me(name: str, caller: Caller) -> None:
        seen.append(caller)

    @router.get("/open", dependencies=[PUBLIC])
    async def read_open() -> None: ...

    return router


@pytest.fixture
def issuer() -> Issuer:
    seen.clear()
    return Issuer()


@pytest.fixture
async def client(issuer: Issuer) -> Any:
    async with a_client(routes(), issuer=issuer) as made:
        yield made


UNAUTHENTICATED = [(401, "platform.unauthenticated")]


async def test_a_caller_with_token_and_proof_is_known(client: httpx.AsyncClient, issuer: Issuer) -> None:
    answer = await client.get("/v1/me", auth=DpopAuth(issuer, "alice"))
    assert (answer.status_code, answer.json()) == (200, ALICE.did)
    known = seen[0]
    assert (known.did, known.caller, known.purpose, known.scope) == (
        ALICE.did,
        ALICE.did,
        RESEARCH,
        frozenset({"read"}),
    )
    assert (known.expires_at - NOON).total_seconds() == 300


async def test_an_actor_is_who_holds_the_key(client: httpx.AsyncClient, issuer: Issuer) -> None:
    await client.get("/v1/me", auth=DpopAuth(issuer, "alice", actor=BOB.did))
    assert (seen[0].did, seen[0].actor, seen[0].caller) == (ALICE.did, BOB.did, BOB.did)


async def test_the_first_proof_is_asked_for_a_nonce_and_every_answer_carries_the_next(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    auth = DpopAuth(issuer, "alice")
    request = client.build_request("GET", "/v1/me")
    auth.sign(request)
    first = await client.send(request)
    assert problem_codes([first]) == [(401, "auth.use_dpop_nonce")]
    assert 'error="use_dpop_nonce"' in first.headers["www-authenticate"]
    assert first.headers["www-authenticate"].startswith("DPoP algs=")
    for url in ("/v1/open", "/v1/nowhere", "/v1/me"):
        assert (await client.get(url)).headers["dpop-nonce"]


async def test_a_nonce_lives_a_minute_also_across_the_full_hour(client: httpx.AsyncClient, issuer: Issuer) -> None:
    issuer.clock.advance(3600 - 30)
    auth = DpopAuth(issuer, "alice")
    assert (await client.get("/v1/me", auth=auth)).status_code == 200
    issuer.clock.advance(50)
    request = client.build_request("GET", "/v1/me")
    auth.sign(request)
    assert (await client.send(request)).status_code == 200
    issuer.clock.advance(70)
    request = client.build_request("GET", "/v1/me")
    auth.sign(request)
    assert problem_codes([await client.send(request)]) == [(401, "auth.use_dpop_nonce")]


async def test_a_proof_is_taken_once(client: httpx.AsyncClient, issuer: Issuer) -> None:
    auth = DpopAuth(issuer, "alice")
    await client.get("/v1/me", auth=auth)
    request = client.build_request("GET", "/v1/me")
    auth.sign(request)
    again = client.build_request("GET", "/v1/me", headers=dict(request.headers))
    assert (await client.send(request)).status_code == 200
    assert problem_codes([await client.send(again)]) == [(401, "auth.replayed")]


@pytest.mark.parametrize(
    "claims",
    [
        {"audience": f"{ORIGIN}/identity"},
        {"expires_at": 1},
        {"expires_at": 1795600000},
        {"issuer": BOB.did},
        {"jkt": a_proof_key("bob").jkt},
        {"purpose": "https://example.org/anything"},
    ],
    ids=lambda claims: next(iter(claims)),
)
async def test_a_token_for_something_else_is_refused(
    client: httpx.AsyncClient, issuer: Issuer, claims: dict[str, Any]
) -> None:
    assert problem_codes([await client.get("/v1/me", auth=DpopAuth(issuer, "alice", **claims))]) == UNAUTHENTICATED
    assert seen == []


async def test_a_token_that_nobody_here_signed_is_refused(client: httpx.AsyncClient, issuer: Issuer) -> None:
    foreign = Issuer()
    foreign.trust.signer = a_signer("another house")
    answer = await client.get("/v1/me", auth=DpopAuth(foreign, "alice"))
    assert problem_codes([answer]) == UNAUTHENTICATED


async def test_a_stolen_token_is_of_no_use_with_another_key(client: httpx.AsyncClient, issuer: Issuer) -> None:
    thief = DpopAuth(issuer, "bob")
    thief.token = DpopAuth(issuer, "alice").token
    assert problem_codes([await client.get("/v1/me", auth=thief)]) == UNAUTHENTICATED


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", "/v1/me/x"),
        ("GET", "/v1/me/y"),
        ("GET", "/v1/me?x=1"),
        ("GET", "https://evil.example/twin-state/v1/me"),
    ],
)
async def test_a_proof_for_another_call_is_refused(
    client: httpx.AsyncClient, issuer: Issuer, method: str, url: str
) -> None:
    auth = DpopAuth(issuer, "alice")
    await client.get("/v1/me", auth=auth)
    url = url if url.startswith("http") else f"{ORIGIN}/twin-state{url}"
    now = issuer.clock.now_us() // 1_000_000
    proof = make_proof(auth.key, method, url, now, "other", token=auth.token, nonce=auth.nonce)
    headers = {"authorization": f"DPoP {auth.token}", "dpop": proof}
    assert problem_codes([await client.get("/v1/me", headers=headers)]) == UNAUTHENTICATED
    assert len(seen) == 1


async def test_the_host_header_never_decides_what_a_proof_is_for(client: httpx.AsyncClient, issuer: Issuer) -> None:
    auth = DpopAuth(issuer, "alice")
    answer = await client.get("/v1/me", auth=auth, headers={"host": "evil.example"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "Bearer x")],
        [("authorization", "DPoP x")],
        [("dpop", "x")],
        [("authorization", "DPoP x"), ("dpop", "x")],
        [("authorization", "DPoP x"), ("dpop", "x"), ("dpop", "x")],
        [("authorization", "DPoP x"), ("authorization", "DPoP y"), ("dpop", "x")],
        [("authorization", "DPoP"), ("dpop", "a.b.c")],
        [("authorization", "DPoP a.b.c"), ("dpop", "é.b.c".encode())],
        [("authorization", "DPoP " + "x" * 9000), ("dpop", "x" * 9000)],
    ],
)
async def test_missing_doubled_and_senseless_headers_are_refused(
    client: httpx.AsyncClient, headers: list[tuple[str, Any]]
) -> None:
    answer = await client.get("/v1/me", headers=headers)
    assert problem_codes([answer]) == UNAUTHENTICATED
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_suspended_subject_or_actor_is_out_at_once(client: httpx.AsyncClient, issuer: Issuer) -> None:
    alone, acting = DpopAuth(issuer, "alice"), DpopAuth(issuer, "carol", actor=ALICE.did)
    assert {(await client.get("/v1/me", auth=auth)).status_code for auth in (alone, acting)} == {200}
    issuer.trust.out.add(ALICE.did)
    assert problem_codes([await client.get("/v1/me", auth=auth) for auth in (alone, acting)]) == UNAUTHENTICATED * 2


async def test_a_withdrawn_token_key_ends_tokens_that_were_seen_before(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    auth = DpopAuth(issuer, "alice")
    assert (await client.get("/v1/me", auth=auth)).status_code == 200
    issuer.trust.withdrawn = True
    assert problem_codes([await client.get("/v1/me", auth=auth)]) == UNAUTHENTICATED


async def test_a_remembered_token_still_expires(client: httpx.AsyncClient, issuer: Issuer) -> None:
    auth = DpopAuth(issuer, "alice")
    assert (await client.get("/v1/me", auth=auth)).status_code == 200
    issuer.clock.advance(301)
    assert problem_codes([await client.get("/v1/me", auth=auth)]) == UNAUTHENTICATED


class GoneReplays:
    async def first(self, proof: bytes, now: int) -> bool:
        raise ConnectionRefusedError


async def test_with_the_shared_memory_away_reads_go_on_and_writes_wait(issuer: Issuer) -> None:
    issuer.replays = GoneReplays()
    async with a_client(routes(), issuer=issuer) as client:
        auth = DpopAuth(issuer, "alice")
        assert (await client.get("/v1/me", auth=auth)).status_code == 200
        assert problem_codes([await client.post("/v1/me/x", auth=auth)]) == [(503, "auth.unavailable")]
        request = client.build_request("GET", "/v1/me")
        auth.sign(request)
        again = client.build_request("GET", "/v1/me", headers=dict(request.headers))
        assert [(await client.send(each)).status_code for each in (request, again)] == [200, 401]


async def test_names_of_the_path_are_proved_as_they_were_sent(client: httpx.AsyncClient, issuer: Issuer) -> None:
    auth = DpopAuth(issuer, "alice")
    assert (await client.post("/v1/me/did%3Akey%3Ax", auth=auth)).status_code == 200
    assert (await client.post("/v1/me/did:key:x", auth=auth)).status_code == 200


def test_a_route_that_asks_who_calls_needs_somebody_to_know() -> None:
    with pytest.raises(SurfaceError, match="was given no Access"):
        an_app(Service("twin-state", (routes(),)))


class LateTrust(IssuingTrust):
    """The record of the token key comes while it is waited for."""

    async def arrived(self) -> None:
        self.withdrawn = False


async def test_a_token_of_our_issuer_waits_for_its_key_and_no_other_does(issuer: Issuer) -> None:
    """A process of identity that starts publishes its key; the first token under it may be faster."""
    for whose, status in ((issuer.trust.signer.did, 200), (BOB.did, 401)):
        late = Issuer(LateTrust(withdrawn=True), issuer=whose)
        async with a_client(routes(), issuer=late) as client:
            assert (await client.get("/v1/me", auth=DpopAuth(late, "alice"))).status_code == status
