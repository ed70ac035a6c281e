"""`didymos status --admin`: each process in words, and an exit code for scripts."""

import asyncio
import json
from pathlib import Path

import pytest
from didymos_cli.status import tell
from didymos_cli.up import running_house
from didymos_kit.house import Where
from didymos_kit.keyring import KeyRing
from didymos_testing.house import ROOT, free_port


async def test_a_process_says_what_the_dashboards_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = Where(f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    async with running_house(tmp_path, where, keys=KeyRing(ROOT), names=("identity",)) as running:
        admin = f"http://127.0.0.1:{running.process.admin_port}"
        assert await asyncio.to_thread(tell, [admin], as_json=True) == 0
        said = json.loads(capsys.readouterr().out)[admin]
        assert said["ready"]
        assert {"process", "surfaces", "event log", "identity and consent"} <= set(said["areas"])
        assert await asyncio.to_thread(tell, [admin], as_json=False) == 0
        assert "age of consent, seconds" in capsys.readouterr().out


def test_a_port_where_nobody_answers_is_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell([f"http://127.0.0.1:{free_port()}"], as_json=False) == 4
    assert "does not answer" in capsys.readouterr().err
