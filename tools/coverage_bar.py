"""Fail when line coverage of the pure libraries, or of the services' domain and application, is under the bar."""

import io
import json
import sys
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).resolve().parent.parent
BAR = 90.0
PURE = ("libs/did/", "libs/readings/", "libs/learning/", "libs/privacy/", "libs/provenance/")


def measured() -> dict[str, tuple[int, int]]:
    """Path to (covered, statements) of each measured source file."""
    coverage = Coverage(data_file=str(ROOT / ".coverage"), config_file=str(ROOT / "pyproject.toml"))
    coverage.load()
    report = ROOT / "build/coverage.json"
    coverage.json_report(outfile=str(report), ignore_errors=True)
    files = json.loads(report.read_text())["files"]
    return {name: (row["summary"]["covered_lines"], row["summary"]["num_statements"]) for name, row in files.items()}


def area(name: str) -> str | None:
    """The area whose bar this file counts for: a pure library, or `domain and application` of a service."""
    for library in PURE:
        if name.startswith(library + "src/"):
            return library.rstrip("/")
    parts = Path(name).parts
    if parts[0] == "services" and "src" in parts and ("domain" in parts or "application" in parts):
        return "/".join(parts[:2]) + " domain, application"
    return None


def main() -> int:
    sums: dict[str, list[int]] = {}
    for name, (covered, statements) in measured().items():
        where = area(name)
        if where is not None:
            total = sums.setdefault(where, [0, 0])
            total[0] += covered
            total[1] += statements
    out, low = io.StringIO(), False
    for where, (covered, statements) in sorted(sums.items()):
        share = 100.0 * covered / max(statements, 1)
        low |= share < BAR
        out.write(f"{share:6.1f} %  {where}\n")
    print(out.getvalue() + f"bar: {BAR:.0f} % of lines", file=sys.stderr)
    return 1 if low or not sums else 0


if __name__ == "__main__":
    sys.exit(main())
