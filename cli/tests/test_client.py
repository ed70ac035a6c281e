"""The client proves itself on every call, waits for its own writes, and tries again what passes by itself."""

from collections.abc import Callable

import httpx
import pytest
from didymos_cli import client as module
from didymos_cli.client import Client, Seen, problem_in
from didymos_contracts.errors import Problem
from didymos_contracts.errors.identity import AUTH_USE_DPOP_NONCE, GRANT_NOT_OWNER
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND, PLATFORM_UNAVAILABLE
from didymos_did import ProofKey
from didymos_kit.http.problems import problem_response
from didymos_testing.did import OWNER

ORIGIN = "http://house.example"
Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.0, 0.0))


class House:
    """Answers one call after the other as a test says, and tokens always."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers, self.asked = list(answers), list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == module.TOKEN_PATH:
            return httpx.Response(200, json={"access_token": "t", "expires_in": 300})
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, seen: Seen | None = None) -> Client:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return Client(ORIGIN, OWNER, http, seen or Seen(), ProofKey(b"k" * 32))


def refused(problem: Problem, **headers: str) -> httpx.Response:
    said = problem_response(problem)
    return httpx.Response(said.status_code, content=bytes(said.body), headers=headers)


def done(status: int = 200, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, json={}, headers=headers)


async def test_what_passes_by_itself_is_tried_again_under_one_key_with_a_new_proof() -> None:
    house = House(refused(PLATFORM_UNAVAILABLE.problem()), done())
    await house.client().post("/identity/v1/twins", {})
    first, second = house.asked
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert first.headers["dpop"] != second.headers["dpop"]


async def test_a_refusal_is_raised_at_once() -> None:
    house = House(refused(GRANT_NOT_OWNER.problem()))
    with pytest.raises(Problem) as raised:
        await house.client().post("/identity/v1/grants", {})
    assert (raised.value.row, len(house.asked)) == (GRANT_NOT_OWNER, 1)


async def test_a_nonce_is_learned_from_a_refusal() -> None:
    house = House(refused(AUTH_USE_DPOP_NONCE.problem(), **{"dpop-nonce": "n1"}), done())
    await house.client().get("/twin-state/v1/twins/x")
    assert len(house.asked) == 2


async def test_a_token_of_consistency_goes_with_the_next_call() -> None:
    house = House(done(headers={"consistency-token": "i3:88"}), done())
    client = house.client()
    await client.post("/identity/v1/twins", {})
    await client.get("/twin-state/v1/twins/x")
    assert house.asked[1].headers["consistency-token"] == "i3:88"


async def test_what_was_taken_but_has_no_place_yet_is_waited_for() -> None:
    house = House(done(202), refused(PLATFORM_NOT_FOUND.problem()), done())
    client = house.client()
    await client.post("/identity/v1/twins", {})
    await client.post("/twin-state/v1/twins", {})
    assert len(house.asked) == 3


async def test_a_house_that_is_away_is_a_connection_error() -> None:
    with pytest.raises(ConnectionError):
        await House(httpx.ConnectError("nobody")).client().get("/twin-state/v1/twins/x")


def test_an_answer_that_is_no_problem_is_still_one() -> None:
    assert problem_in(httpx.Response(502, text="<html>")).values == {"detail": "status 502"}
