"""`tools/servers.py` ends what it started, and nothing else."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools/servers.py"


@pytest.fixture(scope="module")
def servers() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("servers_tool", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["servers_tool"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["servers_tool"]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sleep", "60"])
    yield child
    child.kill()
    child.wait()


def test_a_process_that_took_over_a_noted_id_is_left_alone(
    servers: ModuleType, sleeper: subprocess.Popen[bytes]
) -> None:
    begun = servers.begun_at(sleeper.pid)
    servers.end(servers.Running(sleeper.pid, begun - 1, "", ""))
    assert sleeper.poll() is None


def test_a_noted_process_is_ended(servers: ModuleType, sleeper: subprocess.Popen[bytes]) -> None:
    servers.end(servers.Running(sleeper.pid, servers.begun_at(sleeper.pid), "", ""))
    assert sleeper.wait(5) == -15
    assert servers.begun_at(sleeper.pid) is None


def test_a_server_that_a_url_points_at_is_named_and_not_started(
    servers: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(servers, "FOLDER", tmp_path)
    monkeypatch.setattr(sys, "argv", ["servers.py", "start"])
    for name in servers.STARTERS:
        monkeypatch.setenv(servers.variable(name), f"{name}://elsewhere:1")
    assert servers.main() == 0
    monkeypatch.setattr(sys, "argv", ["servers.py", "env"])
    assert servers.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert said == [f"export DIDYMOS_{name.upper()}_URL={name}://elsewhere:1" for name in servers.STARTERS]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "state.json"]
