"""The commands of the guide for operators, in its order: start, health, back up, restore."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from didymos_testing.house import free_port
from didymos_testing.servers import house_settings, wiped

pytestmark = [pytest.mark.servers, pytest.mark.timeout(500)]
ROOT = Path(__file__).resolve().parents[2]
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 480


async def test_every_command_of_the_guide_for_operators_runs(tmp_path: Path) -> None:
    await wiped(house_settings(tmp_path, os.environ))
    guide = (ROOT / "docs/guides/operate.md").read_text()
    script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + "\n".join(SHELL.findall(guide))
    script = re.sub(r"^eval .*$", "", script, flags=re.MULTILINE)  # the servers of the tests
    rest, rpc, admin = (str(free_port()) for _ in range(3))
    environ = {
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}", "DIDYMOS_ORIGIN": f"http://127.0.0.1:{rest}",
        "DIDYMOS_REST_PORT": rest, "DIDYMOS_GRPC_PORT": rpc, "DIDYMOS_ADMIN_PORT": admin,
    }  # fmt: skip
    played = subprocess.run(  # noqa: ASYNC221 - nothing else runs here
        ["bash", "-c", script], cwd=tmp_path, env={**os.environ, **environ}, text=True, capture_output=True,
        timeout=SECONDS, check=False,
    )  # fmt: skip
    log = tmp_path / "house.log"
    told = f"{played.stdout[-3000:]}\n{played.stderr[-3000:]}\n{log.read_text()[-2000:] if log.exists() else ''}"
    assert played.returncode == 0, told
    assert "didymos_process_ready 1.0" in played.stdout, told
    assert '"ready":true' in played.stdout, told
    assert (tmp_path / "backup/postgres.dump").stat().st_size > 0
