"""The whole story on real Kafka, PostgreSQL and Redis: proofs hold, and the model is the embedded one, bit for bit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from didymos_testing.servers import house_settings, wiped

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]
EMBEDDED = ROOT / "build/demo.json"  # left by `make demo ARGS=--json >build/demo.json`, if that was run


def played(folder: Path, *options: str) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("didymos")), "demo", "--json", "--folder", str(folder), *options]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr[-4000:]
    said: dict[str, Any] = json.loads(ended.stdout)
    return said


async def test_the_demo_on_servers_learns_the_same_model_and_proves_the_same_things(tmp_path: Path) -> None:
    await wiped(house_settings(tmp_path, os.environ))
    on_servers = played(tmp_path / "servers", "--servers")
    embedded = json.loads(EMBEDDED.read_text()) if EMBEDDED.exists() else played(tmp_path / "embedded")
    same = ("readings", "rounds", "rmse", "personal", "payouts", "money", "params_digest", "proofs", "refused")
    assert {name: on_servers[name] for name in same} == {name: embedded[name] for name in same}
