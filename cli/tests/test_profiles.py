"""Somebody brings a new kind of device to a running house: its profile, a twin under it, and its files as they are."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from didymos_cli import profile_steps
from didymos_cli.card import card_of
from didymos_cli.client import Client, Seen, http_client
from didymos_cli.device import PATH, send_batch
from didymos_cli.owner_steps import Desk, make_twin
from didymos_cli.up import running_house
from didymos_contracts.errors import Problem
from didymos_did import Ed25519Signer, ProofKey, Wallet
from didymos_kit.house import Where
from didymos_kit.keyring import KeyRing
from didymos_readings import Column, DeviceStream, ReadingError, Request, sign_request
from didymos_testing.did import a_signer
from didymos_testing.house import ROOT, free_port

MAKER, STRANGER = a_signer("pump maker"), a_signer("stranger")
KEYS = {name: name.encode().ljust(32, b"-") for name in ("owner", "twin", "device")}
NOON_US = 1_764_590_400_000_000  # 2025-12-01
PUMP: dict[str, Any] = {
    "id": "acme.pump@1", "title": "Infusion pump",
    "properties": [
        {"name": "infusion/rate", "unit": "mL/h", "hard": [0, 1200], "soft": [0.1, 500], "period_s": 60},
        {"name": "drug/level", "unit": "mmol/L", "molar_mass": "180.156", "hard": [0, 100]},
        {"name": "alarm", "kind": "text"},
    ],
    "csv": {
        "delimiter": ";", "time": {"field": "Zeit", "as": "local", "zone": "Europe/Berlin"},
        "values": [
            {"field": "Rate", "property": "infusion/rate", "unit": "L/d"}, {"field": "Alarm", "property": "alarm"},
        ],
    },
    "json": {
        "records": "$.log[*]", "time": {"field": "$.at", "as": "unix_s"},
        "values": [{"field": "$.c", "property": "drug/level", "unit": "mg/dL"}],
    },
}  # fmt: skip
CSV = b"Zeit;Rate;Alarm\r\n2025-12-01 13:00:00;0.24;\r\n2025-12-01 13:01:00;2.4;empty\r\n2025-12-01 13:02:00;99;\r\n"
LOG = json.dumps({"log": [{"at": NOON_US // 1_000_000 + n, "c": 180.156 * n} for n in range(3)]}).encode()


@asynccontextmanager
async def a_desk(folder: Path) -> AsyncIterator[tuple[Desk, Desk, Desk]]:
    """A running house, with the desks of an owner, of a maker who may publish, and of somebody who may not."""
    where = Where(f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    given = {"twin-state": {"publishers": (MAKER.did,), "wait_seconds": 30}}
    names = ("identity", "ingestion", "twin-state")
    async with (
        running_house(folder / "house", where, keys=KeyRing(ROOT), given=given, names=names) as running,
        http_client() as http,
    ):
        card, seen, wallet = card_of(running.house), Seen(), Wallet(KEYS, {}, ("owner",))

        def desk(signer: Ed25519Signer) -> Desk:
            client = Client(card.origin, signer, http, seen, ProofKey(signer.sign(b"proof")[:32]))
            return Desk(card, wallet, client, http)

        yield desk(Ed25519Signer(KEYS["owner"])), desk(MAKER), desk(STRANGER)


async def sent(desk: Desk, media: str, body: bytes) -> dict[str, Any]:
    """What ingestion said of a file that the device signed."""
    fields = {"content-type": media, "didymos-backfill": "true"}
    proof = sign_request(
        Request("POST", desk.card.origin + PATH, fields, body), desk.wallet.signer("device"), int(time.time())
    )
    headers = {**fields, **proof, "consistency-token": desk.client.seen.token()}
    answer = await desk.http.post(desk.card.origin + PATH, content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    said: dict[str, Any] = answer.json()
    desk.client.seen.remember(said["token"])
    return said


async def measured(desk: Desk, rate: float, number: int) -> dict[str, object]:
    """One reading in a batch of the device, in litres a day."""
    stream = DeviceStream(desk.wallet.signer("device"), desk.card.org, PUMP["id"], number=number)
    at_us = np.array([NOON_US + number * 3_600_000_000], np.int64)
    column = Column(desk.twin, "infusion/rate", "L/d", at_us, np.array([rate]))
    return await send_batch(
        desk.http, desk.card.origin, stream.batch([column], NOON_US, backfill=True), desk.client.seen
    )


async def past(desk: Desk, name: str, **query: str) -> Any:
    """Unit and values."""
    path = f"/twin-state/v1/twins/{desk.twin}/history"
    said = (await desk.client.call("GET", path, params={"property": name, **query})).json()
    return said["unit"], said["v"]


async def test_a_new_kind_of_device_needs_no_release(tmp_path: Path) -> None:
    (tmp_path / "pump.json").write_text(json.dumps(PUMP, indent=2))
    async with a_desk(tmp_path) as (owner, maker, stranger):
        publish = profile_steps.publish(tmp_path / "pump.json")
        with pytest.raises(Problem, match="forbidden"):
            await publish(stranger)
        assert await publish(maker) == {"id": PUMP["id"], "title": "Infusion pump", "signed_by": MAKER.did}
        assert PUMP["id"] in [each["id"] for each in await profile_steps.listed(owner)]  # type: ignore[attr-defined]
        await make_twin(PUMP["id"], ("features/**",))(owner)
        csv, log = await sent(owner, "text/csv", CSV), await sent(owner, "application/json", LOG)
        assert (csv["accepted"], [each["code"] for each in csv["refused"]]) == (3, ["reading.out_of_bounds"])
        assert (log["accepted"], log["refused"]) == (3, [])
        assert (await measured(owner, 1.2, 1))["accepted"] == 1
        unit, rates = await past(owner, "infusion/rate")
        assert (unit, rates) == ("mL/h", pytest.approx([10.0, 100.0, 50.0]))
        assert await past(owner, "alarm") == ("", ["empty"])
        assert await past(owner, "drug/level") == ("mmol/L", pytest.approx([0.0, 10.0, 20.0]))
        assert await past(owner, "drug/level", unit="mg/dL") == ("mg/dL", pytest.approx([0.0, 180.156, 360.312]))
        twin = await owner.client.get(f"/twin-state/v1/twins/{owner.twin}")
        assert twin["profile"] == PUMP["id"]
        assert twin["reported"]["infusion/rate"]["freshness"] > 0
    async with a_desk(tmp_path) as (owner, maker, _):
        shown: Any = await profile_steps.show(PUMP["id"])(owner)
        assert shown["document"]["csv"] == PUMP["csv"]
        assert (await measured(owner, 2.4, 2))["accepted"] == 1
        assert (await past(owner, "infusion/rate"))[1] == pytest.approx([10.0, 100.0, 50.0, 100.0])
        (tmp_path / "pump.json").write_text(json.dumps(PUMP | {"title": "Pump"}))
        with pytest.raises(Problem, match="immutable"):
            await profile_steps.publish(tmp_path / "pump.json")(maker)


def test_what_is_no_profile_is_told_before_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    for text in ("", "[]", '{"a": 1, "a": 2}'):
        path.write_text(text)
        with pytest.raises(Problem, match="invalid_field"):
            profile_steps.publish(path)


async def test_a_profile_that_breaks_a_rule_is_told_before_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    path.write_text('{"id": "acme.pump@1", "title": "No properties"}')
    async with http_client() as http:
        client = Client("http://nowhere.invalid", MAKER, http, Seen(), ProofKey(b"k" * 32))
        with pytest.raises(ReadingError, match=r"profile\.malformed"):
            await profile_steps.publish(path)(Desk(None, None, client, http))  # type: ignore[arg-type]
