"""Bundles for one grant, one round and one payout, saved while the house runs, verified when nothing runs any more."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from didymos_contracts.errors import Problem
from didymos_provenance import Exit

from didymos_cli.client import Client
from didymos_cli.demo.onboarding import Grants
from didymos_cli.demo.purchase import MARKET, Bought
from didymos_cli.demo.stage import Stage
from didymos_cli.demo.training import Ran

LEDGER: Final = "/ledger/v1"
WAIT_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.2
KINDS: Final = ("grant", "round", "payout")


@dataclass(frozen=True, slots=True)
class Settled:
    """The settlement record as the parties see it."""

    record: Mapping[str, Any]


async def settled(stage: Stage, bought: Bought) -> Settled:
    """Once the marketplace has heard of the end of the run."""
    hospital = stage.client(stage.cast.house.organisation)

    async def ask() -> Any:  # noqa: ANN401 - JSON
        return await hospital.get(f"{MARKET}/settlements/{bought.agreement}")

    record = (await _when_there(ask))["record"]
    paid = sum(line["minor"] for line in record["lines"])
    stage.say(f"the run settled: {paid / 100:,.2f} EUR to {len(record['lines'])} contributors")
    return Settled(record)


async def save_bundles(
    stage: Stage, grants: Mapping[str, Grants], ran: Ran, bought: Bought, settlement: Settled
) -> Path:
    """Three bundles and the two files of trust, in a folder that somebody else could be given."""
    folder = stage.folder / "proofs"
    folder.mkdir(parents=True, exist_ok=True)
    owner = stage.client(stage.cast.people[0].owner)
    institute, hospital = stage.client(stage.cast.institute), stage.client(stage.cast.house.organisation)
    largest = max(settlement.record["lines"], key=lambda line: (line["minor"], -line["index"]))
    wanted = {
        "grant": (owner, grants[stage.cast.people[0].twin].train.id),
        "round": (institute, f"{ran.run}/rounds/{ran.shown['committed']}"),
        "payout": (hospital, largest["transfer"]),
    }
    for kind, (client, name) in wanted.items():
        (folder / f"{kind}.json").write_bytes(await bundle(client, kind, name))
    for name, path in (("policy.txt", "policy"), ("orgs.json", "orgs")):
        answer = await stage.http.get(f"{stage.card.origin}{LEDGER}/{path}")
        answer.raise_for_status()
        (folder / name).write_bytes(answer.content)
    stage.say(f"proof bundles of {', '.join(wanted)} under {bought.agreement} are saved")
    return folder


async def bundle(client: Client, kind: str, name: str) -> bytes:
    async def ask() -> bytes:
        return (await client.call("POST", f"{LEDGER}/bundles", body={"kind": kind, "id": name})).content

    found: bytes = await _when_there(ask)
    return found


async def _when_there(ask: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - whatever is asked for
    """The answer, once services further down have taken in what was done before."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            try:
                return await ask()
            except Problem as problem:
                if problem.row.retry == "never" and problem.row.code != "platform.not_found":
                    raise
            await asyncio.sleep(POLL_SECONDS)


async def verify_offline(folder: Path) -> dict[str, str]:
    """What `didymos verify` says of each bundle, in a process of its own, with no house running."""
    return {kind: await _verdict(folder, folder / f"{kind}.json") for kind in KINDS}


async def verify_changed(folder: Path) -> str:
    """What it says of a bundle in which one byte was changed."""
    good = bytearray((folder / "grant.json").read_bytes())
    good[len(good) // 2] ^= 1
    changed = folder / "changed.json"
    changed.write_bytes(good)
    return await _verdict(folder, changed)


async def _verdict(folder: Path, bundle: Path) -> str:
    command = ["verify", str(bundle), "--policy", str(folder / "policy.txt"), "--orgs", str(folder / "orgs.json")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "didymos_cli.main", *command, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await process.communicate()
    try:
        return Exit(process.returncode or 0).name.lower()
    except ValueError:
        return f"exit {process.returncode}"
