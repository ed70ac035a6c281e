"""Default deny everywhere: every route and method of every service, called as it must not be. Never a 500.

The routes are found by looking at the running services, so a new one is in the matrix the day it is written.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from didymos_cli.up import SERVICES
from didymos_contracts.errors.platform import PLATFORM_INTERNAL
from didymos_did import Ed25519Signer, TwinId
from didymos_did.tokens import AccessClaims, ProofKey, issue_token
from didymos_kit.rpc.client import BoundToken
from didymos_testing.did import (
    INSTITUTE,
    OWNER,
    PERSONAL,
    RESEARCH,
    STRANGER,
    TWIN,
    a_grant_id,
)
from didymos_testing.house import World
from didymos_testing.identity import (
    DEVICE,
)
from didymos_testing.matrix import RAW_BODIES, RPC_BODIES, SAFE, Caller, Route, bodies, code_of, routes_of

from tests.integration.furnished import EARLY, KNOWN, LATE, OTHER_TWIN, UNKNOWN, a_furnished_world

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]
UNAUTHENTICATED = {"platform.unauthenticated", "auth.use_dpop_nonce"}


@dataclass
class Matrix:
    world: World
    routes: tuple[Route, ...]
    methods: dict[str, str]  # of gRPC: path to service, those that ask who calls
    open_methods: dict[str, str]
    http: httpx.AsyncClient

    def caller(self, signer: Ed25519Signer | None, purpose: str = RESEARCH) -> Caller:
        return Caller(self.world, self.http, signer, purpose)

    @property
    def guarded(self) -> Iterator[Route]:
        return (route for route in self.routes if route.guarded)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def matrix(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Matrix]:
    """All services, with one twin of OWNER that INSTITUTE may read for research."""
    async with (
        a_furnished_world(tmp_path_factory.mktemp("matrix")) as (world, made),
        httpx.AsyncClient(timeout=20, trust_env=False) as http,
    ):
        methods = world.process.rpc.methods
        yield Matrix(
            world,
            tuple(routes_of(made.services, world.house.access)),
            {path: method.service for path, method in methods.items() if method.guard is not None},
            {path: method.service for path, method in methods.items() if method.guard is None},
            http,
        )


async def test_the_grant_that_there_is_opens_what_it_names(matrix: Matrix) -> None:
    """Without this, a matrix of refusals would pass where nothing works at all."""
    (route,) = [each for each in matrix.routes if str(each) == "GET /twin-state/v1/twins/{twin_id}/history"]
    for who in (OWNER, INSTITUTE):
        assert (await matrix.caller(who).send(route, KNOWN)).status_code == 200


async def test_all_services_are_in_the_matrix(matrix: Matrix) -> None:
    assert {route.service for route in matrix.routes} == set(SERVICES)
    assert len(matrix.routes) > 40
    assert len(matrix.methods) > 15


async def test_without_a_token_nothing_that_asks_who_calls_answers(matrix: Matrix) -> None:
    nobody = matrix.caller(None)
    wrong = [
        (str(route), code_of(answer))
        for route in matrix.guarded
        if code_of(answer := await nobody.send(route, KNOWN, {})) != "platform.unauthenticated"
    ]
    wrong += [
        (path, code)
        for path, service in matrix.methods.items()
        if (code := await nobody.call(service, path, b"")) != "platform.unauthenticated"
    ]
    assert wrong == []


async def test_every_change_asks_who_calls_or_says_why_not(matrix: Matrix) -> None:
    """Open are: the token endpoint, batches that a device signed, and what is public by its nature."""
    open_changes = {str(route) for route in matrix.routes if not route.guarded and route.method not in SAFE}
    assert open_changes <= OPEN_CHANGES, "say here why a new one needs no token"


OPEN_CHANGES = {
    "POST /identity/v1/oauth/token",  # an assertion, signed by the caller's DID
    "POST /ingestion/v1/batches",  # the device's signature over the batch
    "POST /ledger/witness/add-checkpoint",  # a checkpoint that its log signed: C2SP tlog-witness
}


def forged(matrix: Matrix, service: str, **changes: Any) -> BoundToken:
    """A token by a key that this house never published."""
    house, key, forger = matrix.world.house, ProofKey(b"p" * 32), Ed25519Signer(b"f" * 32)
    now = house.clock.now_us() // 1_000_000
    said: dict[str, Any] = {
        "issuer": forger.did, "subject": OWNER.did, "audience": f"{house.origin}/{service}", "jkt": key.jkt,
        "issued_at": now, "expires_at": now + 300, "jti": "forged", "purpose": RESEARCH,
    }  # fmt: skip
    return BoundToken(issue_token(AccessClaims(**{**said, **changes}), forger), key, house.clock.now())


async def wrong_proofs(matrix: Matrix, owner: Caller, service: str, method: str, url: str) -> dict[str, dict[str, str]]:
    """Each a set of headers that must not open anything, though OWNER's own token may be among them."""
    right, other = await owner.token(service), "identity" if service != "identity" else "ledger"
    thief = BoundToken(right.token, ProofKey(b"t" * 32), right.expires_at)
    good = await owner.proof(service, method, url, right)
    return {
        "a token of another service": await owner.proof(service, method, url, await owner.token(other)),
        "another's token": await owner.proof(service, method, url, thief),
        "a token of no house": await owner.proof(service, method, url, forged(matrix, service)),
        "a proof for another method": await owner.proof(service, "PATCH" if method != "PATCH" else "PUT", url, right),
        "a proof for another address": await owner.proof(service, method, url + "/x", right),
        "a token without its proof": {"authorization": good["authorization"]},
        "a proof without its token": {"dpop": good["dpop"]},
        "a bearer": {"authorization": good["authorization"].replace("DPoP", "Bearer"), "dpop": good["dpop"]},
    }


async def test_a_token_opens_nothing_but_its_service_by_its_key_for_this_call(matrix: Matrix) -> None:
    owner, wrong = matrix.caller(OWNER), []
    for route in matrix.guarded:
        url = f"{matrix.world.house.origin}/{route.service}{route.filled(KNOWN)}"
        for what, headers in (await wrong_proofs(matrix, owner, route.service, route.method, url)).items():
            code = code_of(await owner.send(route, KNOWN, {}, headers))
            wrong += [(str(route), what, code)] if code not in UNAUTHENTICATED else []
    for path, service in matrix.methods.items():
        url = matrix.world.house.origin + path
        for what, pairs in (await wrong_proofs(matrix, owner, service, "POST", url)).items():
            if what != "a proof for another method":
                code = await owner.call(service, path, b"", pairs)
                wrong += [(path, what, code)] if code not in UNAUTHENTICATED else []
    assert wrong == []


async def test_a_proof_that_was_used_is_refused_everywhere(matrix: Matrix) -> None:
    stranger, wrong = matrix.caller(STRANGER), []
    for route in matrix.guarded:
        headers = await stranger.headers(route.service, route.method, route.filled(UNKNOWN))
        codes = [code_of(await stranger.send(route, UNKNOWN, {}, dict(headers))) for _ in range(2)]
        wrong += [(str(route), codes)] if codes[1] != "auth.replayed" else []
    for path, service in matrix.methods.items():
        token = await stranger.token(service)
        pairs = await stranger.proof(service, "POST", matrix.world.house.origin + path, token)
        codes = [await stranger.call(service, path, b"", pairs) for _ in range(2)]
        wrong += [(path, codes)] if codes[1] != "auth.replayed" else []
    assert wrong == []


async def test_a_stranger_cannot_tell_what_is_from_what_is_not(matrix: Matrix) -> None:
    """Equal status and code for OWNER's twin, grant and device, and for names that nobody registered."""
    stranger, wrong = matrix.caller(STRANGER), []
    for route in matrix.guarded:
        if not {*route.places, *route.query} & set(KNOWN):
            continue
        told = [await stranger.send(route, values, {}) for values in (KNOWN, UNKNOWN)]
        codes = [(answer.status_code, code_of(answer)) for answer in told]
        wrong += [(str(route), codes)] if codes[0] != codes[1] or codes[0][0] < 400 else []
    assert wrong == []


UNFIT: dict[str, tuple[Ed25519Signer, str, dict[str, str]]] = {
    "for another purpose": (INSTITUTE, PERSONAL, {}),
    "of another twin": (INSTITUTE, RESEARCH, dict.fromkeys(("did", "twin", "twin_id"), OTHER_TWIN.did)),
    "of another path": (INSTITUTE, RESEARCH, dict.fromkeys(("property", "name"), "heart/rate")),
    "that begins tomorrow": (EARLY, RESEARCH, {}),
    "that was revoked": (LATE, RESEARCH, {}),
}


@pytest.mark.parametrize("what", UNFIT)
async def test_a_grant_that_does_not_fit_opens_no_more_than_none(matrix: Matrix, what: str) -> None:
    """As if there were no such twin, on every route and method that names one."""
    who, purpose, changes = UNFIT[what]
    caller, wrong = matrix.caller(who, purpose), []
    for route in matrix.guarded:
        asked = {*route.places, *route.query}
        if not {"twin", "twin_id"} & asked or (changes and not set(changes) & asked):
            continue
        told = [await caller.send(route, values, {}) for values in ({**KNOWN, **changes}, UNKNOWN)]
        codes = [(answer.status_code, code_of(answer)) for answer in told]
        wrong += [(str(route), codes)] if codes[0] != codes[1] or codes[0][0] < 400 else []
    assert wrong == []


async def test_what_a_stranger_lists_names_nothing_of_others(matrix: Matrix) -> None:
    stranger, wrong = matrix.caller(STRANGER), []
    for route in matrix.guarded:
        if route.method == "GET" and not route.places:
            answer = await stranger.send(route, {})
            said = answer.text if answer.is_stream_consumed else ""
            wrong += [str(route)] if any(name in said for name in (TWIN.did, OWNER.did, DEVICE.did)) else []
    assert wrong == []


@pytest.mark.parametrize("who", [STRANGER, OWNER, INSTITUTE], ids=["stranger", "owner", "grantee"])
async def test_no_body_makes_a_500(matrix: Matrix, who: Ed25519Signer) -> None:
    caller, wrong = matrix.caller(who), []
    for route in matrix.routes:
        tried = [*RAW_BODIES, *bodies(route.schema)] if route.method not in SAFE else [None]
        for number, body in enumerate(tried):
            answer = await caller.send(route, KNOWN, body)
            if answer.status_code >= 500 or code_of(answer) == "no problem at all":
                wrong.append((str(route), number, answer.status_code, code_of(answer)))
    assert wrong == []


async def test_no_bytes_make_an_internal_error_over_grpc(matrix: Matrix) -> None:
    stranger, wrong = matrix.caller(STRANGER), []
    for path, service in {**matrix.methods, **matrix.open_methods}.items():
        for body in RPC_BODIES:
            code = await stranger.call(service, path, body)
            wrong += [(path, body, code)] if code == PLATFORM_INTERNAL.code else []
    assert wrong == []


async def test_nothing_of_all_this_changed_the_twin(matrix: Matrix) -> None:
    identity, consent = matrix.world.house.identity, matrix.world.house.consent
    assert identity.owner_of(TwinId(TWIN.did)) == OWNER.did
    stand = {(grant.id, grant.revision) for grant in consent.grants(TwinId(TWIN.did))}
    assert stand == {(a_grant_id(1), 1), (a_grant_id(2), 2), (a_grant_id(3), 1)}
    assert not identity.suspended(OWNER.did)
