"""The rules of the house that no other tool holds: length of files and functions, names, and what no file may say."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 400
FUNCTION_LINES = 60
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
REASON = "# long:"  # a function over the limit says why on its `def` line
HOSTS = re.compile(r"(--(extra-)?index-url|\"resolved\": *\"http|registry *= *http|GOPROXY *= *http|find-links +http)")
GENERATED = ("libs/contracts/src/didymos/", "libs/contracts/src/didymos_contracts/metrics.py")


def tracked() -> Iterator[Path]:
    """Files that git tracks or would track."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            yield Path(name)


def long_functions(path: Path, text: str) -> Iterator[str]:
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.end_lineno is None:
            continue
        length = node.end_lineno - node.lineno + 1
        if length > FUNCTION_LINES and REASON not in lines[node.lineno - 1]:
            yield f"{path}:{node.lineno}: {node.name} has {length} lines, the limit is {FUNCTION_LINES}"


def findings() -> Iterator[str]:
    for path in tracked():
        if path.suffix not in {".py", ".sh", ".toml", ".txt", ".yaml", ".json", ".md", ".in", ""}:
            continue
        text = (ROOT / path).read_text(errors="replace")
        if HOSTS.search(text) and path.name != "house.py":
            yield f"{path}: names a package index"
        if path.suffix != ".py" or str(path).startswith(GENERATED):
            continue
        if path.stem in BANNED_NAMES:
            yield f"{path}: a name that says nothing"
        count = len(text.splitlines())
        if count > FILE_LINES:
            yield f"{path}: {count} lines, the limit is {FILE_LINES}"
        yield from long_functions(path, text)


def main() -> int:
    found = list(findings())
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
