"""Generate the protobuf and gRPC stubs of `libs/contracts` from `protos/`; with --check, fail when they differ."""

import filecmp
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
STUBS = ROOT / "libs/contracts/src/didymos"


def generate(into: Path) -> None:
    """Write the stubs of every proto below `into`, as the packages that protoc's own imports expect."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    outputs = [f"--{kind}_out={into}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTOS}", *outputs, *sources]
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}  # the mypy plugins lie beside this Python
    done = subprocess.run(protoc, check=False, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    for folder in (into / "didymos").rglob("*/"):
        (folder / "__init__.py").touch()
    (into / "didymos/__init__.py").touch()
    (into / "didymos/py.typed").touch()


def differences(generated: Path, committed: Path) -> list[str]:
    """Paths that differ between the two trees, either way."""
    ours = {path.relative_to(generated) for path in generated.rglob("*.py*") if "__pycache__" not in path.parts}
    theirs = {path.relative_to(committed) for path in committed.rglob("*.py*") if "__pycache__" not in path.parts}
    changed = {path for path in ours & theirs if not filecmp.cmp(generated / path, committed / path, shallow=False)}
    return sorted(str(path) for path in (ours ^ theirs) | changed if path.suffix != ".pyc")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = Path(folder) / "didymos"
        if "--check" in sys.argv:
            found = differences(fresh, STUBS)
            for path in found:
                print(f"stub differs from its proto: {path}; run tools/protos.py", file=sys.stderr)
            return 1 if found else 0
        shutil.rmtree(STUBS, ignore_errors=True)
        shutil.copytree(fresh, STUBS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
