"""`python -m tests.bench AREA`: run the benchmarks of an area, print their table, write build/bench/AREA.json."""

import importlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.measure import Measure

AREAS = {
    "data-path": (
        "tests.bench.data_path",
        "tests.bench.data_path_http",
        "tests.bench.apply",
        "tests.bench.data_path_servers",
    ),
    "data-path-growth": ("tests.bench.data_path_growth",),
    "learning": ("tests.bench.learning", "tests.bench.learning_engines", "tests.bench.learning_rounds"),
    "learning-serving": ("tests.bench.learning_reading_to_forecast",),
    "history": ("tests.bench.history",),
    "log": ("tests.bench.log",),
    "ledger": ("tests.bench.ledger",),
    "privacy": ("tests.bench.privacy",),
    "rest": ("tests.bench.rest",),
}


def table(measures: Sequence[Measure]) -> str:
    """The lines as text columns."""
    rows = [("", "value", "unit", "ratio", "against", "goal", "met")]
    for line in measures:
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        goal = "" if line.goal is None else f"{line.goal:g}"
        met = "" if line.met is None else ("yes" if line.met else "no")
        rows.append((line.name, f"{line.value:,.4g}", line.unit, ratio, line.against, goal, met))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def main() -> int:
    if sys.argv[1:2] == ["learning_tasks"]:  # a table a task, not one of measures
        return int(importlib.import_module("tests.bench.learning_tasks").main(sys.argv[2:]))
    if len(sys.argv) != 2 or sys.argv[1] not in AREAS:
        print(f"bench: one of {', '.join(AREAS)}", file=sys.stderr)
        return 2
    area = sys.argv[1]
    print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores", file=sys.stderr)
    measures = [line for name in AREAS[area] for line in importlib.import_module(name).run()]
    folder = Path("build/bench")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{area}.json").write_text(json.dumps([line.row() for line in measures], indent=1) + "\n")
    print(table(measures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
