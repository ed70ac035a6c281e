"""Every command of every guide runs, in the order of the guide, in an empty folder."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from didymos_testing.house import free_port

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "guides"
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 380
LOCAL = {  # guide to what its commands print
    "first-twin": (),
    "new-device": (
        '"signed_by": "did:key:',
        "profile.immutable",
        "exit 3",
        '"accepted":2',
        '"code":"reading.out_of_bounds"',
        "500.0",
    ),
    "own-data": (
        '"accepted": 2',
        '"refused": 1',
        "104.4",
        '"accepted":1',
        "113.4",
        '"code":"reading.out_of_bounds"',
        '"assurance": "http"',
    ),
    "read-a-run": ("completed", "run.html", '"runs": []', '"state": "erased"'),
    "run-a-site": (),
    "verify": (),
}
TREE = (
    "services/template-service", "tools", "telemetry", "charts/didymos/values.yaml", "skaffold.yaml", "Makefile",
    "pyproject.toml", ".importlinter", "cli/src/didymos_cli/up.py", "libs/contracts/src/didymos_contracts",
    "docs/reference",
)  # fmt: skip


def commands(guide: str) -> str:
    """The shell blocks of a guide as one script; what is left running ends with it."""
    blocks = SHELL.findall((GUIDES / f"{guide}.md").read_text())
    assert blocks, guide
    return "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + "\n".join(blocks)


def play(script: str, folder: Path, environ: Mapping[str, str] | None = None, seconds: float = 380) -> str:
    """What it printed. It runs in a process group of its own, of which nothing is left, however it ends."""
    path = f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
    command = subprocess.Popen(
        ["bash", "-c", script], cwd=folder, env={**os.environ, "PATH": path, **(environ or {})}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        told, complaints = command.communicate(timeout=seconds)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
        command.wait()
    logs = "".join(f"\n== {log.name}\n{log.read_text()[-2000:]}" for log in folder.glob("*.log"))
    assert command.returncode == 0, f"{told[-3000:]}\n{complaints[-3000:]}{logs}"
    return told


def on_free_ports(script: str) -> str:
    rest = free_port()
    ports = f"--port {rest} --grpc-port {free_port()} --admin-port {free_port()}"
    return script.replace("didymos up >", f"didymos up {ports} >").replace("127.0.0.1:8080", f"127.0.0.1:{rest}")


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("guide", sorted(LOCAL))
def test_every_command_of_a_guide_runs_and_shows_what_it_says(guide: str, tmp_path: Path) -> None:
    said = play(on_free_ports(commands(guide)), tmp_path)
    assert [text for text in LOCAL[guide] if text not in said] == []


@pytest.mark.servers
@pytest.mark.timeout(400)
def test_the_guide_with_servers_runs(tmp_path: Path) -> None:
    """The servers run already: the tests were started with them."""
    script = (
        commands("with-servers")
        .replace("make servers\n", "")
        .replace("tools/servers.py", str(ROOT / "tools/servers.py"))
    )
    script = re.sub(r"^eval .*$", "", script, flags=re.MULTILINE)
    rest, rpc, admin = (str(free_port()) for _ in range(3))
    where = {"DIDYMOS_REST_PORT": rest, "DIDYMOS_GRPC_PORT": rpc, "DIDYMOS_ADMIN_PORT": admin}
    play(script, tmp_path, {"DIDYMOS_ORIGIN": f"http://127.0.0.1:{rest}", **where})


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_guide_to_a_new_service_runs(tmp_path: Path) -> None:
    """In a copy of the tree with an environment of its own, so that nothing is left in this one."""
    for name in TREE:
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, target)
    environment(tmp_path / ".venv")
    (tmp_path / "build").mkdir()
    script = commands("add-a-service").replace("make new-service", "make -o build/.setup new-service")
    said = play(script, tmp_path)
    assert "6 passed" in said


def environment(folder: Path) -> None:
    """A virtual environment that sees all packages of this one, editable ones too."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (ours,) = (ROOT / ".venv").glob("lib/python3*/site-packages")
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({str(ours)!r})\n")
    for tool in ("uv", "ruff"):
        (folder / "bin" / tool).symlink_to(ROOT / ".venv" / "bin" / tool)
