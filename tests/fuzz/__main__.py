"""`python -m tests.fuzz [SECONDS] [NAME ...]`: each decoder for a while. Exit 1 for a finding, which is kept.

Begins from the corpus in the tree; what it finds on the way lies in build/fuzz. Without atheris: says so, and exit 0.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzz"
CORPUS = Path(__file__).parent / "corpus"
SECONDS = 20
MOST_BYTES = 4096


def installed() -> bool:
    """Whether atheris is there; it is fetched by hash into a folder of its own."""
    library = BUILD / "lib"
    if not (library / "atheris").is_dir():
        fetch = ["pip", "install", "-q", "--require-hashes", "--no-deps", "-r", str(ROOT / "requirements/fuzz.txt")]
        command = [str(ROOT / ".venv/bin/uv"), *fetch, "--target", str(library)]
        if subprocess.run(command, check=False).returncode:
            print("fuzz: skipped, atheris cannot be installed on this machine", file=sys.stderr)
            return False
    return True


def fuzz(name: str, seconds: int) -> bool:
    """Whether a decoder held for so many seconds."""
    found = BUILD / name
    found.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MOST_BYTES}",
        "-timeout=10",
        "-rss_limit_mb=2048",
        "-verbosity=0",
    ]
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.one",
        name,
        *options,
        f"-artifact_prefix={found}/crash-",
        "-print_final_stats=1",
    ]
    environ = {**os.environ, "PYTHONPATH": f"{BUILD / 'lib'}:{ROOT}"}
    ran = subprocess.run(
        [*command, found, CORPUS / name], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    told = ran.stdout + ran.stderr
    runs = [line.rpartition(" ")[2] for line in told.splitlines() if "number_of_executed_units" in line]
    print(f"{name:14} {'held' if not ran.returncode else 'BROKE'}  {runs[0] if runs else '?':>9} inputs", flush=True)
    if ran.returncode:
        print(told[-4000:], file=sys.stderr)
    return not ran.returncode


def main() -> int:
    from tests.fuzz.targets import TARGETS

    words = sys.argv[1:]
    seconds = int(words.pop(0)) if words and words[0].isdigit() else SECONDS
    unknown = [name for name in words if name not in TARGETS]
    if unknown:
        print(f"fuzz: one of {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    if not installed():
        return 0
    held = [fuzz(name, seconds) for name in words or TARGETS]
    return 0 if all(held) else 1


if __name__ == "__main__":
    raise SystemExit(main())
