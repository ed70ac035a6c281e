"""Devices as processes of their own, and a real house: identity, ingestion and twin-state, embedded."""

import asyncio
import json
import random
import re
import sqlite3
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from didymos_cli.card import card_of, write_card
from didymos_cli.client import Client, Seen, http_client
from didymos_cli.owner import create_twin, enrol_device, register_twin
from didymos_cli.up import running_house
from didymos_device import Column, Device, Orders, OrdersError, open_key, read_house
from didymos_did import ProofKey, TwinId, parse_did
from didymos_kit.house import Where
from didymos_testing.did import a_signer
from didymos_testing.house import free_port

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
TAKEN = re.compile(r"(\d+) readings taken, (\d+) refused, (\d+) batches wait; (\S+)")
LEVEL, PERIOD_US, IN_BATCH, BATCHES = "glucose/level", 300_000_000, 5, 60
KEEPS_ON = f"""
import sys
from pathlib import Path
import numpy as np
from didymos_device import Column, Device, open_key, read_house

house, folder, twin, begin, last = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
with Device(open_key(folder / "key"), read_house(house), folder, "glucose@1") as device:
    while device.number <= last:
        numbers = np.arange({IN_BATCH}, dtype=np.int64) + (device.number - 1) * {IN_BATCH}
        column = Column(twin, "{LEVEL}", "mg/dL", begin + numbers * {PERIOD_US}, 80.0 + numbers * 7 % 160)
        device.keep(column, backfill=True)
        print(device.number, flush=True)
        if device.number % 3 == 0:
            device.send(patience_seconds=30)
    print(device.send(patience_seconds=60).token)
"""


@dataclass
class Home:
    """A running house, its card, and one owner with a twin."""

    folder: Path
    owner: Client
    twin: TwinId

    @property
    def card(self) -> Path:
        return self.folder / "house.json"

    async def enrol(self, device: str, profile: str) -> None:
        await enrol_device(self.owner, parse_did(device), self.twin, ("features/**",), profile)
        async with httpx.AsyncClient(trust_env=False) as http:  # until ingestion has heard of it, too
            headers = {"consistency-token": self.owner.seen.token("ic"), "content-type": "application/json"}
            await http.post(f"{self.owner.origin}/ingestion/v1/batches", headers=headers)

    async def python(self, *said: str) -> str:
        """What it printed."""
        process = await asyncio.create_subprocess_exec(sys.executable, *said, cwd=self.folder, stdout=PIPE, stderr=PIPE)
        told, complaints = await process.communicate()
        assert process.returncode == 0, complaints.decode()
        return told.decode().strip()

    async def get(self, path: str, **asked: Any) -> Any:
        return await self.owner.get(f"/twin-state/v1/twins/{self.twin}{path}", **asked)


@asynccontextmanager
async def a_home(folder: Path, profile: str) -> AsyncIterator[Home]:
    where = Where(f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    given = {"twin-state": {"wait_seconds": 30}}
    names = ("identity", "ingestion", "twin-state")
    async with running_house(folder / "house", where, given=given, names=names) as running, http_client() as http:
        write_card(folder / "house.json", card_of(running.house))
        owner = Client(where.origin, a_signer("owner"), http, Seen(), ProofKey(b"p" * 32))
        twin_key = a_signer("twin")
        await register_twin(owner, twin_key)
        await create_twin(owner, TwinId(twin_key.did), profile)
        yield Home(folder, owner, TwinId(twin_key.did))


@pytest.mark.parametrize(
    ("kind", "profile", "readings", "shown"),
    [
        ("wearable", "glucose@1", 96, {LEVEL}),
        ("machine", "generic@1", 150, {"spindle/speed", "spindle/temperature", "feed"}),
        ("vehicle", "generic@1", 1440, {"speed", "position/latitude", "position/longitude", "battery/charge"}),
    ],
)
async def test_each_kind_of_device_reaches_its_twin(
    tmp_path: Path, kind: str, profile: str, readings: int, shown: set[str]
) -> None:
    example = str(EXAMPLES / f"{kind}.py")
    more = ["--minutes", "6"] if kind == "vehicle" else []
    async with a_home(tmp_path, profile) as home:
        await home.enrol(await home.python(example, "--house", str(home.card)), profile)
        said = await home.python(example, "--house", str(home.card), "--twin", home.twin, *more)
        found = TAKEN.fullmatch(said)
        assert found is not None, said
        assert found.groups()[:3] == (str(readings), "0", "0")
        home.owner.seen.remember(found[4])
        state = await home.get("")
    assert set(state["reported"]) == shown
    ages = [time.time() - each["observed_at_us"] / 1e6 for each in state["reported"].values()]
    assert all(-5 < age < 120 for age in ages), ages


async def test_a_device_takes_a_desired_value_and_ends_an_action_by_its_report(tmp_path: Path) -> None:
    key = open_key(tmp_path / "device" / "key")
    async with a_home(tmp_path, "generic@1") as home:
        house = read_house(home.card)
        with Orders(key, house) as orders, pytest.raises(OrdersError, match=r"platform\.not_found"):
            await asyncio.to_thread(orders.next)
        await home.enrol(key.did, "generic@1")
        expires = (time.time_ns() // 1000) + 600_000_000
        wishes = {"feed": {"value": 25, "unit": "mm/s"}, "actions/restart": {"value": 1, "expires_at_us": expires}}
        await home.owner.call(
            "PATCH", f"/twin-state/v1/twins/{home.twin}/desired", body=json.dumps(wishes).encode(),
            headers={"content-type": "application/merge-patch+json", "if-match": "*"},
        )  # fmt: skip
        with Orders(key, house) as orders:
            told = await asyncio.to_thread(orders.next)
            assert told is not None
            found = told["twins"][home.twin]
            assert (found["desired"]["feed"]["value"], found["actions"]["restart"]["value"]) == (25, 1)
            assert await asyncio.to_thread(orders.next, told["after"], 0) is None
            with Device(key, house, tmp_path / "device", "generic@1") as device:
                done = np.array([time.time_ns() // 1000], np.int64)
                device.keep(Column(home.twin, "actions/restart", "", done, np.array([1.0])))
                assert (await asyncio.to_thread(device.send)).accepted == 1
            ended = await asyncio.to_thread(orders.next, told["after"])
            assert ended is not None
            assert ended["twins"][home.twin]["actions"] == {}


async def killed(command: tuple[str, ...], lines: int, seconds: float) -> int:
    """1, if it was still running after it had said so many lines and some time had passed."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", *command, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    for _ in range(lines):
        await process.stdout.readline()
    await asyncio.sleep(seconds)
    alive = process.returncode is None
    if alive:
        process.kill()
    await process.communicate()
    return int(alive)


async def test_a_device_that_is_killed_at_any_time_loses_nothing_and_sends_nothing_twice(tmp_path: Path) -> None:
    draw, begin, kills = random.Random(20261129), time.time_ns() // 1000 - 4000 * PERIOD_US, 0
    async with a_home(tmp_path, "glucose@1") as home:
        await home.enrol(await home.python("-c", OPENS_KEY, str(tmp_path / "device" / "key")), "glucose@1")
        command = (KEEPS_ON, str(home.card), str(tmp_path / "device"), home.twin, str(begin))
        for _ in range(8):
            kills += await killed((*command, str(BATCHES - 5)), draw.randint(1, 12), draw.uniform(0, 0.03))
        said = await home.python("-c", *command, str(BATCHES))
        home.owner.seen.remember(said.split()[-1])
        found = await home.get("/history", property=LEVEL, limit=50_000)
    numbers = range(IN_BATCH * BATCHES)
    assert found["t"] == [begin + number * PERIOD_US for number in numbers]
    assert found["v"] == [80.0 + number * 7 % 160 for number in numbers]
    assert stored(tmp_path / "house", home.twin) == (IN_BATCH * BATCHES, BATCHES, 0)
    assert kills >= 4


OPENS_KEY = "import sys, pathlib, didymos_device; print(didymos_device.open_key(pathlib.Path(sys.argv[1])).did)"


def stored(folder: Path, twin: str) -> tuple[int, int, int]:
    """Readings and batches in history, and parcels that are held because their number was given twice."""
    connection = sqlite3.connect(f"file:{folder / 'db' / 'twin-state.db'}?mode=ro", uri=True)
    try:
        query = "select coalesce(sum(readings), 0), count(*) from reading_parcel where twin = ?"
        readings, batches = connection.execute(query, (twin,)).fetchone()
        (held,) = connection.execute("select count(*) from held_parcel").fetchone()
    finally:
        connection.close()
    return readings, batches, held
