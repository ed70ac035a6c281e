"""Wallet files: locked, private, replaced whole, never overwritten by `new`."""

import json
from pathlib import Path

import pytest
from didymos_cli.main import app
from didymos_cli.wallet import new_wallet, read_wallet, with_key, write_wallet
from didymos_did import Cost, DidError
from typer.testing import CliRunner


def test_a_wallet_comes_back_with_its_passphrase_only(tmp_path: Path) -> None:
    path, wallet = tmp_path / "alice.wallet", new_wallet(["owner", "twin"])
    write_wallet(path, wallet, "correct horse", cost=Cost.DEMO)
    assert read_wallet(path, "correct horse") == wallet
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(DidError) as raised:
        read_wallet(path, "battery staple")
    assert raised.value.code == "wallet.cannot_open"


def test_a_change_keeps_the_wallet_before_it(tmp_path: Path) -> None:
    path, first = tmp_path / "alice.wallet", new_wallet(["owner"])
    write_wallet(path, first, "p", cost=Cost.DEMO)
    write_wallet(path, with_key(first, "device"), "p", cost=Cost.DEMO)
    assert read_wallet(tmp_path / "alice.wallet.bak", "p") == first
    assert sorted(read_wallet(path, "p").seeds) == ["device", "owner"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["alice.wallet", "alice.wallet.bak"]


def test_new_never_replaces_a_wallet_and_show_tells_no_secret(tmp_path: Path) -> None:
    path, secret = str(tmp_path / "alice.wallet"), tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    run = CliRunner().invoke
    assert run(app, ["wallet", "new", path, "--passphrase-file", str(secret)]).exit_code == 0
    assert run(app, ["wallet", "new", path, "--passphrase-file", str(secret)]).exit_code == 2
    shown = run(app, ["wallet", "show", path, "--json", "--passphrase-file", str(secret)])
    said, wallet = json.loads(shown.output), read_wallet(Path(path), "correct horse")
    assert said["names"]["owner"] == said["owners"][0] == wallet.signer("owner").did
    assert run(app, ["wallet", "show", str(tmp_path / "none")]).exit_code == 2
