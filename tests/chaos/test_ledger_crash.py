"""Kill -9 between keeping a record, appending its entry and noting its place: nothing is lost, nothing is twice."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from didymos_provenance import Exit
from didymos_testing.ledger import Ledger, a_ledger

PROGRAM = """
import asyncio, sys
from pathlib import Path
from didymos_testing.ledger import a_ledger

async def main() -> None:
    async with a_ledger(Path(sys.argv[1])) as ledger:
        market = ledger.market
        agreement = (await market.agreed())["agreement_id"]
        await market.hear(market.a_run(agreement, [3.0, 1.0, -1.0]), "run")
        await market.settled(agreement)
        await asyncio.sleep(20)

asyncio.run(main())
"""


async def killed_at(folder: Path, fault: str) -> int:
    """The exit of a house that dies at the fault point."""
    environment = {**os.environ, "DIDYMOS_FAULT": fault}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(folder), env=environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def kinds(ledger: Ledger) -> Counter[str]:
    return Counter(json.loads(line)["kind"] for line in (await ledger.entries()).split(b"\n"))


@pytest.mark.chaos
@pytest.mark.parametrize("fault", ["ledger.kept:1", "ledger.kept:3", "ledger.appended:1", "ledger.appended:4"])
async def test_a_house_killed_anywhere_logs_each_event_once_and_proves_it(tmp_path: Path, fault: str) -> None:
    assert await killed_at(tmp_path, fault) == -signal.SIGKILL
    async with a_ledger(tmp_path) as ledger:
        for person in ledger.market.people:
            verdict = await ledger.verdict(await ledger.bundle(person.owner, "grant", person.grant.id))
            assert verdict.exit is Exit.VALID
        found = await kinds(ledger)
        assert found["grant.issued"] == len(ledger.market.people)
    async with a_ledger(tmp_path) as ledger:  # once more, and the same events again
        person = ledger.market.people[0]
        await ledger.world.identity.revoke(person.grant)
        await ledger.logged("grant.revoked", person.grant.id)
        assert await kinds(ledger) >= found
        assert (await kinds(ledger))["grant.issued"] == len(ledger.market.people)
