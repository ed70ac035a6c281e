"""Sites as in life: a folder with data, key and grants, and a process that dials out. Nothing listens there."""

import asyncio
import csv
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from didymos_did import Did, Signer, jcs, sign_site_enrolment

from didymos_cli.card import Card
from didymos_cli.demo.cast import Person, SiteCast
from didymos_cli.owner import Given, window

STOP_SECONDS: Final = 5.0
PLATFORM: Final = "platform"


def write_site(
    folder: Path, site: SiteCast, organisation: Signer, grants: Mapping[str, Given], placement: str = PLATFORM
) -> None:
    """The folder that `python -m didymos_site` reads. `grants`: to train, by twin; `placement`: of personal models."""
    (folder / "grants").mkdir(parents=True, exist_ok=True)
    _private(folder / "site.key", site.seed.hex())
    enrolment = sign_site_enrolment(site.signer.did, window(), organisation)
    (folder / "enrolment.json").write_bytes(jcs(enrolment))
    for number, person in enumerate(site.people, start=1):
        _write_series(folder / f"person-{number}.csv", person)
        (folder / "grants" / f"{number}.json").write_bytes(jcs(grants[person.twin].credential))
    subjects = [_subject(number, person, placement) for number, person in enumerate(site.people, start=1)]
    (folder / "site.json").write_bytes(jcs({"subjects": subjects}))


def _subject(number: int, person: Person, placement: str) -> dict[str, Any]:
    return {
        "twin": person.twin, "owner": person.owner.did, "series": f"person-{number}.csv", "person": person.name,
        "placement": placement,
    }  # fmt: skip


def _write_series(path: Path, person: Person) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "time", "gl"])
        for at_us, level in zip(person.times_us.tolist(), person.levels.tolist(), strict=True):
            rows.writerow([person.name, datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S"), level])


def _private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


@asynccontextmanager
async def running_sites(folders: Sequence[Path], card: Card, *organisations: Did) -> AsyncIterator[Callable[[], None]]:
    """A process a folder, each with one thread of its own; ended by a signal, by their process ids.

    Sites of these organisations mask with each other. What it gives raises RuntimeError once a site ended by itself.
    """
    async with AsyncExitStack() as stack:
        processes = {
            folder: await stack.enter_async_context(running_site(folder, card, *organisations)) for folder in folders
        }

        def check() -> None:
            for folder, process in processes.items():
                if process.returncode is not None:
                    raise RuntimeError(f"{folder.name} ended with {process.returncode}: {folder / 'site.log'}")

        try:
            yield check
        finally:
            for process in processes.values():  # all at once: one that trains takes a moment to end
                if process.returncode is None:
                    process.terminate()


@asynccontextmanager
async def running_site(
    folder: Path, card: Card, *organisations: Did, environ: Mapping[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """One process; what it says goes to `site.log` in its folder. `environ`: settings of the site."""
    command = [
        sys.executable, "-m", "didymos_site", "run", "--folder", str(folder), "--coordinator", card.grpc, "--origin",
        card.origin, "--coordinator-did", card.services["training-orchestration"],
        *(word for did in organisations for word in ("--organisation", did)),
    ]  # fmt: skip
    inherited = {name: said for name, said in os.environ.items() if not name.startswith("DIDYMOS_")}  # of the house
    given = {**inherited, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", **(environ or {})}
    with (folder / "site.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command, env=given, stdout=log, stderr=log)
    try:
        yield process
    finally:
        await _ended(process)


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
