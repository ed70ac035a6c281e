"""`--help` answers at once: nothing heavy is imported before a command runs."""

import subprocess
import sys

import pytest
from didymos_cli.main import app
from typer.testing import CliRunner

HEAVY = (
    "torch",
    "numpy",
    "httpx",
    "grpc",
    "sqlalchemy",
    "fastapi",
    "pydantic",
    "cryptography",
    "didymos_kit",
    "didymos_did",
)


COMMANDS = ("verify", "demo", "up", "status", "doctor", "settings", "wallet", "twin", "device", "site", "profiles")


def test_help_imports_typer_and_little_else() -> None:
    code = "import sys; import didymos_cli.main; print(' '.join(sorted({m.partition('.')[0] for m in sys.modules})))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(told.stdout.split())


@pytest.mark.parametrize(
    "command", ["verify", "demo", "up", "status", "doctor", "settings", "wallet", "twin", "device", "site", "profiles"]
)
def test_every_command_has_help(command: str) -> None:
    told = CliRunner().invoke(app, [command, "--help"])
    assert told.exit_code == 0, told.output
