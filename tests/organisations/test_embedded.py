"""Three organisations as three embedded folders: a joint run, proofs that the buyer believes, no reading abroad."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from didymos_cli.card import SERVICES, card_of
from didymos_cli.client import http_client
from didymos_cli.demo.onboarding import training_terms
from didymos_cli.demo.proofs import bundle
from didymos_cli.demo.stage import Stage
from didymos_cli.demo.story import DATA, VALIDATION
from didymos_cli.owner import give_grant
from didymos_cli.up import program
from didymos_kit.house import House, Where
from didymos_kit.keyring import KeyRing
from didymos_kit.lifecycle import AT_ONCE, Listen, running
from didymos_provenance import Exit
from didymos_testing.haystack import Haystack
from didymos_testing.house import free_port

from tests.organisations.relay import Relay, relaying
from tests.organisations.scenario import (
    NAMES,
    Party,
    believed,
    faults,
    log_key,
    patients_of,
    played,
    the_cast,
    witness_key,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
RINGS = {name: KeyRing(sha256(f"three organisations {name}".encode()).digest()) for name in NAMES}


@dataclass
class Gate:
    """The boundary of one organisation: REST and gRPC for others, REST for its own devices. All of it is heard."""

    rest: Relay
    grpc: Relay
    inside: Relay
    listen: Listen

    @property
    def crossed(self) -> bytes:
        return self.rest.all() + b"\0" + self.grpc.all()


@asynccontextmanager
async def a_gate(stack: AsyncExitStack) -> AsyncIterator[Gate]:
    listen = Listen(rest=free_port(), grpc=free_port(), admin=0)
    rest, grpc, inside = [
        await stack.enter_async_context(relaying(listen.host, port)) for port in (listen.rest, listen.grpc, listen.rest)
    ]
    yield Gate(rest, grpc, inside, listen)


def given_to(name: str, gates: Mapping[str, Gate]) -> dict[str, dict[str, Any]]:
    """The settings by which an organisation believes the two others."""
    others = [other for other in NAMES if other != name]
    trusted = tuple(str(ring.organisation.did) for ring in RINGS.values())
    partners = tuple(f"{witness_key(RINGS[other]).vkey()} {gates[other].rest.url}/ledger/witness" for other in others)
    return {
        "identity": {"organisations": trusted},
        "training-orchestration": {
            "organisations": trusted, "validation": DATA / VALIDATION, "poll_seconds": 0.1,
        },
        "ledger": {
            "agree_seconds": 0.2, "witness_count": 1, "partners": partners,
            "logs": tuple(log_key(RINGS[other]).vkey() for other in others),
        },
    }  # fmt: skip


@asynccontextmanager
async def a_party(name: str, folder: Path, gates: Mapping[str, Gate]) -> AsyncIterator[Party]:
    """Its whole house, in a folder of its own."""
    gate = gates[name]
    within = dict.fromkeys(SERVICES, f"{gate.listen.host}:{gate.listen.grpc}")
    where = Where(gate.rest.url, gate.grpc.address, within)
    async with (
        House.embedded(folder / name, where, keys=RINGS[name]) as house,
        program(house, given_to(name, gates)) as made,
        running(made, gate.listen, AT_ONCE),
    ):
        yield Party(name, RINGS[name], card_of(house), gate.inside.url)


async def test_two_train_the_third_buys_and_proves_and_no_reading_crosses(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack, AsyncExitStack() as clinic, http_client() as http:
        gates = {name: await stack.enter_async_context(a_gate(stack)) for name in NAMES}
        parties = {
            name: await (clinic if name == "clinic" else stack).enter_async_context(a_party(name, tmp_path, gates))
            for name in NAMES
        }
        told = await played(parties, the_cast(7, RINGS), tmp_path / "sites", http, lambda _: None)
        crossed = [gate.crossed for gate in gates.values()]
        at_the_clinic = Haystack(gates["clinic"].inside.all())
        await clinic.aclose()
        later = await logged_since(Stage(told.cast, tmp_path, parties["hospital"].card, http, lambda _: None))
    assert not faults(told, RINGS, crossed)
    assert all(at_the_clinic.found(person.levels).size for person in patients_of(told.cast, "clinic").people)
    assert believed(later, RINGS).exit is Exit.VALID


async def logged_since(hospital: Stage) -> bytes:
    """The bundle of a grant that somebody gives now."""
    person = hospital.cast.people[0]
    client = hospital.client(person.owner)
    name = hospital.cast.grant_id("afterwards", time.time_ns() // 1_000_000)
    given = await give_grant(client, name, hospital.cast.clinician.did, person.twin, training_terms(1, 2))
    return await bundle(client, "grant", given.id)
