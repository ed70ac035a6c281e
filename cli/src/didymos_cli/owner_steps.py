"""What the commands of `didymos twin` do: each opens the wallet, does one thing, and says what came of it."""

import asyncio
import csv
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_NOT_FOUND
from didymos_did import (
    DPV,
    Action,
    Budget,
    ProofKey,
    Purpose,
    Task,
    TwinId,
    Value,
    Wallet,
    jcs,
    make_terms,
    parse_did,
    parse_grant,
    parse_pattern,
    parse_purpose,
)
from didymos_kit.clock import SystemClock, to_us
from didymos_kit.ids import OrderedIds
from didymos_readings import Column, DeviceStream

from didymos_cli.card import Card, read_card
from didymos_cli.client import Client, Seen, http_client, problem_in
from didymos_cli.device import send_all
from didymos_cli.owner import Given, create_twin, enrol_device, give_grant, register_twin, revoke_grant, window
from didymos_cli.wallet import read_wallet, write_wallet

FORECAST: Final = Task("forecast", "features/glucose/level", "PT30M")
PROOF_SECONDS: Final = 20


@dataclass
class Desk:
    """An open wallet and the owner's client. `kept` is written back when a step changed it."""

    card: Card
    wallet: Wallet
    client: Client
    http: Any
    kept: Wallet | None = None

    @property
    def twin(self) -> TwinId:
        return TwinId(self.wallet.signer("twin").did)


Step: TypeAlias = Callable[[Desk], Coroutine[Any, Any, object]]


def run(step: Step, wallet: Path, house: Path, passphrase: str) -> object:
    """What the step says. Raises Problem, DidError, OSError: `main` prints them."""
    opened, card = read_wallet(wallet, passphrase), read_card(house)

    async def work() -> object:
        async with http_client() as http:
            client = Client(card.origin, opened.signer("owner"), http, Seen(), _fresh_key())
            desk = Desk(card, opened, client, http)
            said = await step(desk)
            if desk.kept is not None:
                write_wallet(wallet, desk.kept, passphrase)
            return said

    return asyncio.run(work())


def _fresh_key() -> ProofKey:
    import secrets

    return ProofKey(secrets.token_bytes(32))


def make_twin(profile: str, paths: tuple[str, ...], aliases: tuple[str, ...] = ()) -> Step:
    async def step(desk: Desk) -> object:
        twin = await register_twin(desk.client, desk.wallet.signer("twin"))
        await create_twin(desk.client, twin, profile)
        device = desk.wallet.signer("device").did
        await enrol_device(desk.client, device, twin, paths, profile, aliases=aliases)
        return {"twin": twin, "owner": desk.client.did, "device": device}

    return step


def enrol(device: str, profile: str, paths: tuple[str, ...]) -> Step:
    """A device with a key of its own."""

    async def step(desk: Desk) -> object:
        did = parse_did(device)
        await enrol_device(desk.client, did, desk.twin, paths, profile)
        return {"twin": desk.twin, "device": did}

    return step


def send_file(path: Path, property_: str, unit: str, profile: str) -> Step:
    async def step(desk: Desk) -> object:
        column = read_column(path, desk.twin, property_, unit)
        stream = DeviceStream(desk.wallet.signer("device"), desk.card.org, profile, stream=int(time.time()))
        envelopes = stream.batches([column], to_us(SystemClock().now()), backfill=True)
        sizes = ((each, _count(each.blocks)) for each in envelopes)
        totals = await send_all(desk.http, desk.card.origin, sizes, desk.client.seen)
        return {"sent": totals.sent, "accepted": totals.accepted, "refused": totals.refused}

    return step


def _count(blocks: tuple[bytes, ...]) -> int:
    from didymos_readings import parse_block

    return sum(parse_block(block, 0, 0).size for block in blocks)


def read_column(path: Path, twin: TwinId, property_: str, unit: str) -> Column:
    """The rows of a CSV file with the columns `time` (RFC 3339, with its zone) and `value`. Raises PLATFORM_*."""
    times, values = [], []
    with path.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                at = datetime.fromisoformat(row["time"])
                times.append(to_us(at))
                values.append(float(row["value"]))
            except (KeyError, TypeError, ValueError):
                detail = "a row has a time with its zone, as 2026-11-23T12:00:00Z, and a number as value"
                raise PLATFORM_INVALID_FIELD.problem(pointer=f"{path}:{number}", detail=detail) from None
    if not times:
        raise PLATFORM_INVALID_FIELD.problem(pointer=str(path), detail="there is no row to send")
    order = np.argsort(np.array(times, np.int64), kind="stable")
    return Column(twin, property_, unit, np.array(times, np.int64)[order], np.array(values)[order])


def look(history: str) -> Step:
    async def step(desk: Desk) -> object:
        path = f"/twin-state/v1/twins/{desk.twin}"
        return await (desk.client.get(f"{path}/history", property=history) if history else desk.client.get(path))

    return step


@dataclass(frozen=True, slots=True)
class Asked:
    """A grant as the command line says it."""

    to: str
    actions: tuple[str, ...]
    paths: tuple[str, ...]
    purpose: str
    days: int
    reads: int
    rounds: int = 0  # to train; others need no task


def give(asked: Asked) -> Step:
    async def step(desk: Desk) -> object:
        purpose = _purpose(asked.purpose)
        actions = [Action(name) for name in asked.actions]
        paths = [parse_pattern(path) for path in asked.paths]
        trains = Action.TRAIN in actions
        span, budget = window(timedelta(days=asked.days)), Budget(0, 0, asked.rounds, asked.rounds, asked.reads)
        limits: dict[str, Value] = {"secure-aggregation": True} if trains else {}
        task = FORECAST if trains else None
        terms = make_terms(actions, paths, [purpose], span, task=task, constraints=limits, budget=budget)
        grant_id = OrderedIds(SystemClock()).uuid7()
        given = await give_grant(desk.client, grant_id, parse_did(asked.to), desk.twin, terms)
        documents = {**desk.wallet.documents, given.id: given.credential}
        desk.kept = Wallet(desk.wallet.seeds, documents, desk.wallet.owners)
        return {"grant": given.id, "grantee": asked.to, "until": span[1].isoformat()}

    return step


def _purpose(said: str) -> Purpose:
    return parse_purpose(said if ":" in said else DPV + said)


def read_other(twin: str, purpose: str) -> Step:
    async def step(desk: Desk) -> object:
        return await desk.client.get(f"/twin-state/v1/twins/{parse_did(twin)}", purpose=_purpose(purpose))

    return step


def save_proof(grant_id: str, folder: Path) -> Step:
    """The bundle of a grant, once the ledger published it, with the policy and the organisations of the house."""

    folder.mkdir(parents=True, exist_ok=True)

    async def step(desk: Desk) -> object:
        saved = {"bundle": folder / "grant.json", "policy": folder / "policy.txt", "orgs": folder / "orgs.json"}
        saved["bundle"].write_bytes(await _bundle(desk.client, grant_id))
        for name in ("policy", "orgs"):
            answer = await desk.http.get(f"{desk.card.origin}/ledger/v1/{name}")
            if answer.status_code != 200:
                raise problem_in(answer)
            saved[name].write_bytes(answer.content)
        return {name: str(path) for name, path in saved.items()}

    return step


async def _bundle(client: Client, grant_id: str) -> bytes:
    """A grant of a moment ago is not in the log yet: ask for a while. Raises the last problem."""
    body = {"kind": "grant", "id": grant_id}
    for _ in range(PROOF_SECONDS):
        try:
            return (await client.call("POST", "/ledger/v1/bundles", body=body)).content
        except Problem as problem:
            if problem.row.retry == "never" and problem.row is not PLATFORM_NOT_FOUND:
                raise
        await asyncio.sleep(1)
    return (await client.call("POST", "/ledger/v1/bundles", body=body)).content


def take_back(grant_id: str) -> Step:
    async def step(desk: Desk) -> object:
        credential = desk.wallet.documents.get(grant_id)
        if credential is None:
            raise PLATFORM_NOT_FOUND.problem(grant=grant_id, detail="the wallet holds no such grant")
        grant = parse_grant(jcs(credential))
        await revoke_grant(desk.client, Given(grant.id, grant.digest, credential))
        return {"grant": grant_id, "state": "revoked"}

    return step
