"""Findings come with their fix; settings show names and values, never a secret."""

import json
import socket

import pytest
from didymos_cli import doctor
from didymos_cli.main import app
from typer.testing import CliRunner


def test_a_port_that_is_taken_is_found_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(doctor, "PORTS", (port,))
        found = CliRunner().invoke(app, ["doctor", "--json"])
    assert found.exit_code == 1
    said = [one for one in json.loads(found.output)["findings"] if str(port) in one["what"]]
    assert "--port" in said[0]["fix"]


def test_settings_are_shown_by_name_and_secrets_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIDYMOS_SECRET", "ab" * 32)
    shown = CliRunner().invoke(app, ["settings", "--json"])
    said = json.loads(shown.output)
    assert said["DIDYMOS_SECRET"] == "***"
    assert said["DIDYMOS_LEDGER__ROLE"] == "all"
    assert "abab" not in shown.output


def test_a_misspelt_setting_is_refused_with_the_nearest_name() -> None:
    misspelt = {"DIDYMOS_LEDGER__ROLL": "all"}
    result = CliRunner().invoke(app, ["settings"], env=misspelt)
    assert "DIDYMOS_LEDGER__ROLE" in str(result.exception)
