"""`--help` answers at once: nothing heavy is imported before a command runs."""

import subprocess
import sys

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


def test_help_imports_typer_and_little_else() -> None:
    code = "import sys; import didymos_cli.main; print(' '.join(sorted({m.partition('.')[0] for m in sys.modules})))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(told.stdout.split())


def test_every_command_has_help() -> None:
    for command in ("verify", "demo", "up", "status", "doctor", "settings", "wallet", "twin", "site"):
        told = subprocess.run(
            [sys.executable, "-m", "didymos_cli.main", command, "--help"], capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stderr
