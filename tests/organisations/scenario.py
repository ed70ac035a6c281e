"""Three organisations: hospital and clinic train together, the institute buys and proves; only signed things cross.

The patients of the clinic live in the clinic's house: twins, devices, readings. What the hospital, which coordinates,
gets of them is their registration and the grant they signed, and what sites send: masked vectors and sealed reports.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx
from didymos_cli.card import Card
from didymos_cli.client import Client
from didymos_cli.demo import proofs, purchase
from didymos_cli.demo.cast import Cast, Person, SiteCast, make_cast
from didymos_cli.demo.onboarding import Grants, onboard, training_terms
from didymos_cli.demo.readings import Devices, count_applied, send_past
from didymos_cli.demo.sites import running_sites, write_site
from didymos_cli.demo.stage import Stage, each
from didymos_cli.demo.story import DATA, VALIDATION
from didymos_cli.demo.training import Ran, spec_of, train
from didymos_cli.owner import register_twin
from didymos_did import Did, Ed25519Signer, TwinId, jcs
from didymos_kit.keyring import KeyRing
from didymos_ledger.keys import Keys
from didymos_ledger.settings import LedgerSettings
from didymos_provenance import Exit, NoteKey, Organisation, Verdict, verify_bundle, write_orgs
from didymos_testing.haystack import Haystack

NAMES: Final = ("hospital", "clinic", "institute")
SITES: Final = 5  # the fewest that mask: two of the hospital, three of the clinic
EACH: Final = 2  # people of a site
ROUNDS: Final = 4
SITE: Final = "site"
SEEN_SECONDS: Final = 90.0


@dataclass(frozen=True, slots=True)
class Party:
    """One organisation. `card`: where others reach its house; `inside`: where its own devices do (REST)."""

    name: str
    ring: KeyRing
    card: Card
    inside: str

    @property
    def did(self) -> Did:
        return self.ring.organisation.did


@dataclass(frozen=True, slots=True)
class Told:
    """What came out. `applied`: readings in the histories of each house; `sent`: readings its devices sent."""

    cast: Cast
    ran: Ran
    sent: Mapping[str, int]
    applied: Mapping[str, int]
    bundles: Mapping[str, bytes]


def log_key(ring: KeyRing) -> NoteKey:
    return Keys(LedgerSettings(), ring).log().key


def witness_key(ring: KeyRing) -> NoteKey:
    return Keys(LedgerSettings(), ring).witness(1).key


def own_trust(rings: Mapping[str, KeyRing]) -> tuple[bytes, bytes]:
    """Policy and organisations as the institute writes them: its own witness must have seen the hospital's log."""
    log = log_key(rings["hospital"])
    policy = f"log {log.vkey()}\nwitness institute {witness_key(rings['institute']).vkey()}\nquorum institute\n"
    known = {ring.organisation.did: name for name, ring in rings.items()}
    logs = {rings["hospital"].organisation.did: (log.name,)}
    return policy.encode(), write_orgs({did: Organisation(did, name, logs.get(did, ())) for did, name in known.items()})


def the_cast(seed: int, rings: Mapping[str, KeyRing]) -> Cast:
    """Everybody; the hospital operates the house that coordinates, the institute is the third organisation."""
    cast = make_cast(seed, DATA / "readings.csv.gz", SITES * EACH)
    sites = tuple(
        SiteCast(f"site-{number}", cast.secret(f"site {number}"), cast.people[number * EACH : (number + 1) * EACH])
        for number in range(SITES)
    )
    return replace(cast, sites=sites, house=rings["hospital"], institute=rings["institute"].organisation)


def patients_of(cast: Cast, house: str) -> Cast:
    """The sites that are this house's, with their people."""
    half = len(cast.sites) // 2
    sites = cast.sites[:half] if house == "hospital" else cast.sites[half:]
    return replace(cast, sites=sites, people=tuple(person for site in sites for person in site.people))


async def played(
    parties: Mapping[str, Party], cast: Cast, folder: Path, http: httpx.AsyncClient, say: Callable[[str], None]
) -> Told:
    """From the first key to the proof bundles that the institute saved."""
    hospital, clinic = parties["hospital"], parties["clinic"]
    spec = replace(spec_of(cast, DATA / VALIDATION), rounds=ROUNDS)
    terms = training_terms(ROUNDS, len(cast.people))
    joint = Stage(cast, folder, hospital.card, http, say)
    own = {
        "hospital": replace(joint, cast=patients_of(cast, "hospital")),
        "clinic": Stage(
            replace(patients_of(cast, "clinic"), house=clinic.ring), folder, clinic.card, http, say
        ),
    }  # fmt: skip
    grants = {name: await onboard(stage, terms) for name, stage in own.items()}
    await each(own["clinic"].cast.people, lambda person: _introduced(joint, person, grants["clinic"][person.twin]))
    folders = [path for name, stage in own.items() for path in _site_folders(stage, folder, grants[name])]
    async with running_sites(folders, hospital.card, hospital.did, clinic.did) as check:
        sent = {name: (await send_past(_devices(stage, parties[name]))).accepted for name, stage in own.items()}
        bought = await purchase.buy(joint, terms, ROUNDS)
        ran = await train(joint, bought, spec, check)
    await proofs.settled(joint, bought)
    applied = {name: await count_applied(stage) for name, stage in own.items()}
    institute = joint.client(cast.institute)
    patient = own["clinic"].cast.people[0]
    wanted = {
        "grant": (joint.client(patient.owner), grants["clinic"][patient.twin].train.id),
        "agreement": (institute, bought.agreement),
        "round": (institute, f"{ran.run}/rounds/{ran.shown['committed']}"),
        "model": (institute, next(str(model["model"]) for model in ran.models if model["kind"] == "global")),
    }
    rings = {name: party.ring for name, party in parties.items()}
    bundles = {kind: await _once_seen(client, kind, name, rings) for kind, (client, name) in wanted.items()}
    return Told(cast, ran, sent, applied, bundles)


def faults(told: Told, rings: Mapping[str, KeyRing], crossed: Sequence[bytes]) -> list[str]:
    """What must not be: `crossed` is all that left one organisation for another."""
    found = [
        f"{house}: {told.applied[house]} of {sent} applied"
        for house, sent in told.sent.items()
        if told.applied[house] != sent
    ]
    if told.ran.shown["committed"] != ROUNDS:
        found.append(f"{told.ran.shown['committed']} of {ROUNDS} rounds")
    for kind, raw in told.bundles.items():
        verdict = believed(raw, rings)
        if verdict.exit is not Exit.VALID:
            found.append(f"bundle of the {kind}: {verdict}")
    haystack = Haystack(b"\0".join(crossed))
    found += [f"readings of {one.name} crossed" for one in told.cast.people if haystack.found(one.levels).size]
    return found


def believed(raw: bytes, rings: Mapping[str, KeyRing]) -> Verdict:
    """What the institute says of a bundle."""
    return verify_bundle(raw, *own_trust(rings), int(time.time()) + 1)


async def _once_seen(client: Client, kind: str, name: str, rings: Mapping[str, KeyRing]) -> bytes:
    """The bundle, as soon as the institute's witness has cosigned what is in it; the last one if it never does."""
    until = time.monotonic() + SEEN_SECONDS
    while True:
        raw = await proofs.bundle(client, kind, name)
        if believed(raw, rings).exit is not Exit.BELOW_POLICY or time.monotonic() > until:
            return raw
        await asyncio.sleep(1.0)


async def _introduced(joint: Stage, person: Person, signed: Grants) -> None:
    """The hospital hears of a patient of the clinic: who owns the twin, and the grant, as they were signed."""
    client = joint.client(person.owner)
    await register_twin(client, person.twin_key)
    await client.call("POST", "/identity/v1/grants", body=jcs(signed.train.credential))


def _site_folders(stage: Stage, folder: Path, grants: Mapping[TwinId | str, Grants]) -> Sequence[Path]:
    """Sites keep the personal models; each is enrolled by its own organisation."""
    given = {str(twin): signed.train for twin, signed in grants.items()}
    organisation: Ed25519Signer = stage.cast.house.organisation
    for site in stage.cast.sites:
        write_site(folder / site.name, site, organisation, given, SITE)
    return [folder / site.name for site in stage.cast.sites]


def _devices(stage: Stage, party: Party) -> Devices:
    """They reach the house of their own organisation without leaving it."""
    return Devices.of(replace(stage, card=replace(stage.card, origin=party.inside)))
