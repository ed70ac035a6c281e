"""The headers that `didymos device sign` prints are what ingestion asks for."""

import time
from pathlib import Path

import pytest
from didymos_cli.card import Card, write_card
from didymos_cli.main import app
from didymos_cli.wallet import new_wallet, write_wallet
from didymos_did import Cost, key_of
from didymos_readings import Request, signature_of
from didymos_testing.did import a_signer
from typer.testing import CliRunner

ORIGIN = "http://127.0.0.1:8080"
BODY = b'[{"n": "a", "v": 1}]'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_card(tmp_path / "house.json", Card(ORIGIN, "127.0.0.1:1", a_signer("operator").did, {}))
    write_wallet(tmp_path / "w", new_wallet(["device"]), "secret", cost=Cost.DEMO, fresh=True)
    (tmp_path / "passphrase").write_text("secret\n")
    (tmp_path / "pack").write_bytes(BODY)
    return tmp_path


def signed(folder: Path, *options: str) -> dict[str, str]:
    files = ["--house", str(folder / "house.json"), "--passphrase-file", str(folder / "passphrase")]
    media = ["--type", "application/senml+json"]
    told = CliRunner().invoke(
        app, ["device", "sign", str(folder / "w"), str(folder / "pack"), *media, *files, *options]
    )
    assert told.exit_code == 0, told.output
    return dict(line.split(": ", 1) for line in told.stdout.splitlines())


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ((), ""),
        (("--number", "7", "--stream", "1", "--backfill"), ""),
        (("--profile", "wind-turbine@1"), "?profile=wind-turbine@1"),
        (("--header", "CE-Id: 5", "--header", "ce-source: /pump"), ""),
    ],
)
def test_the_headers_hold_for_the_request(folder: Path, options: tuple[str, ...], query: str) -> None:
    headers = signed(folder, *options)
    said = signature_of(Request("POST", f"{ORIGIN}/ingestion/v1/batches{query}", headers, BODY), int(time.time()))
    assert said.holds(key_of(said.kid))
    assert headers["content-type"] == "application/senml+json"
    assert ("didymos-number" in headers) == ("--number" in options)


def test_a_key_or_header_that_is_none_is_refused(folder: Path) -> None:
    for options in (("--key", "owner"), ("--header", "nonsense")):
        with pytest.raises(AssertionError):
            signed(folder, *options)
