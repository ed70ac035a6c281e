"""The token endpoint: each way in which an assertion or a proof can be wrong is refused before a token is made."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from didymos_did import Ed25519Signer, ProofKey, make_assertion, make_proof
from didymos_testing.did import OWNER, RESEARCH, STRANGER
from didymos_testing.house import World

KEY, OTHER = ProofKey(b"k" * 32), ProofKey(b"o" * 32)
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Wallet:
    """Asks for tokens, and may do each thing wrong."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.origin, self.clock, self._client = world.house.origin, world.house.clock, client
        self.endpoint = f"{self.origin}/identity/v1/oauth/token"
        self.nonce: str | None = None

    @property
    def now(self) -> int:
        return self.clock.now_us() // 1_000_000

    def assertion(self, signer: Ed25519Signer = OWNER, at: int = 0, audience: str = "", jkt: str = KEY.jkt) -> str:
        return make_assertion(signer, audience or self.endpoint, jkt, self.now + at, str(uuid4()))

    def proof(self, key: ProofKey = KEY, url: str = "", at: int = 0, method: str = "POST") -> str:
        return make_proof(key, method, url or self.endpoint, self.now + at, str(uuid4()), nonce=self.nonce)

    async def ask(self, assertion: str | None = None, proof: str | None = None, **changes: str) -> httpx.Response:
        if self.nonce is None:
            first = await self.send(self.form(), self.proof())
            self.nonce = first.headers["dpop-nonce"]
        return await self.send({**self.form(assertion), **changes}, proof or self.proof())

    async def send(self, said: dict[str, str], proof: str) -> httpx.Response:
        return await self._client.post("/v1/oauth/token", data=said, headers={"dpop": proof})

    def form(self, assertion: str | None = None) -> dict[str, str]:
        return {
            "grant_type": GRANT_TYPE, "assertion": assertion or self.assertion(),
            "resource": f"{self.origin}/twin-state", "purpose": RESEARCH,
        }  # fmt: skip


@pytest.fixture
async def wallet(world: World) -> Any:
    async with world.rest(None, "identity") as client:
        yield Wallet(world, client)


def refused(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["code"], answer.json().get("error", "")


NO = (401, "platform.unauthenticated", "invalid_grant")


async def test_a_wallet_gets_a_token_for_its_key(wallet: Wallet) -> None:
    answer = await wallet.ask()
    said = answer.json()
    assert (answer.status_code, said["token_type"], said["expires_in"]) == (200, "DPoP", 300)
    assert answer.headers["cache-control"] == "no-store"


async def test_the_first_proof_is_asked_for_a_nonce(wallet: Wallet) -> None:
    answer = await wallet._client.post("/v1/oauth/token", data=wallet.form(), headers={"dpop": wallet.proof()})
    assert refused(answer) == (400, "auth.use_dpop_nonce", "use_dpop_nonce")
    assert answer.headers["dpop-nonce"]


async def test_an_assertion_for_another_audience_is_refused(wallet: Wallet) -> None:
    assert refused(await wallet.ask(wallet.assertion(audience="https://elsewhere.example/token"))) == NO


async def test_an_assertion_that_is_over_or_from_the_future_is_refused(wallet: Wallet) -> None:
    for at in (-3600, 3600):
        assert refused(await wallet.ask(wallet.assertion(at=at))) == NO


async def test_an_assertion_for_another_key_than_the_proof_is_refused(wallet: Wallet) -> None:
    await wallet.ask()
    assert refused(await wallet.ask(proof=wallet.proof(OTHER))) == NO
    assert refused(await wallet.ask(wallet.assertion(jkt=OTHER.jkt))) == NO


async def test_an_assertion_signed_by_somebody_else_is_refused(wallet: Wallet) -> None:
    forger = Ed25519Signer(b"f" * 32, kid=OWNER.kid)
    assert refused(await wallet.ask(wallet.assertion(forger))) == NO
    changed = wallet.assertion(STRANGER).rpartition(".")[0] + "." + wallet.assertion().rpartition(".")[2]
    assert refused(await wallet.ask(changed)) == NO


async def test_a_replayed_proof_and_a_replayed_assertion_are_refused(wallet: Wallet) -> None:
    await wallet.ask()
    proof, assertion = wallet.proof(), wallet.assertion()
    assert (await wallet.ask(assertion, proof)).status_code == 200
    assert refused(await wallet.ask(proof=proof)) == (401, "auth.replayed", "invalid_grant")
    assert refused(await wallet.ask(assertion)) == (401, "auth.replayed", "invalid_grant")


async def test_a_proof_for_another_call_is_refused(wallet: Wallet) -> None:
    await wallet.ask()
    for proof in (
        wallet.proof(url=wallet.endpoint + "/x"), wallet.proof(method="GET"), wallet.proof(at=-3600), "no proof",
    ):  # fmt: skip
        assert refused(await wallet.ask(proof=proof)) == NO


async def test_a_form_that_lacks_or_adds_something_is_refused_where_it_does(wallet: Wallet) -> None:
    assert (await wallet.ask(grant_type="password")).json()["error"] == "unsupported_grant_type"
    for name in ("grant_type", "assertion", "resource"):
        missing = {field: text for field, text in wallet.form().items() if field != name}
        answer = await wallet.send(missing, wallet.proof())
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{name}")
    assert refused(await wallet.ask(resource="https://elsewhere.example/identity"))[:2] == (
        422,
        "platform.invalid_field",
    )
    assert refused(await wallet.ask(purpose="gossip"))[:2] == (422, "grant.purpose_unknown")
    assert refused(await wallet.ask(scope="all"))[:2] == (422, "platform.unknown_field")
    bare = await wallet._client.post("/v1/oauth/token", json=wallet.form())
    assert bare.status_code == 415
