"""Generate the metric rows and their reference page from `telemetry/metrics.yaml`; --check fails when they differ."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml
from didymos_contracts import topics

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = ROOT / "telemetry/metrics.yaml"
ROWS = ROOT / "libs/contracts/src/didymos_contracts/metrics.py"
PAGE = ROOT / "docs/reference/metrics.md"
NAME: Final = re.compile(r"didymos(_[a-z]+)+")
FIELDS: Final = {"name", "kind", "owner", "help", "labels", "buckets"}
FORBIDDEN: Final = {"twin", "did", "path", "partition", "owner", "device", "grant"}


def fail(name: str, why: str) -> SystemExit:
    return SystemExit(f"telemetry/metrics.yaml: {name}: {why}")


def values(listed: str | list[str], lists: dict[str, list[str]], name: str) -> tuple[str, ...]:
    """The closed list of a label, a `@list` resolved."""
    found = lists.get(listed[1:]) if isinstance(listed, str) else listed
    if not found or len(set(found)) != len(found):
        raise fail(name, f"label list {listed!r} is unknown, empty or repeats")
    return tuple(found)


def checked(said: dict[str, Any], registry: dict[str, Any], lists: dict[str, list[str]]) -> dict[str, Any]:
    """One row, complete. Exits with what is wrong."""
    name = str(said.get("name", "?"))
    if set(said) - FIELDS or not {"name", "kind", "owner", "help"} <= set(said):
        raise fail(name, f"a row has name, kind, owner, help, and may have labels and buckets; not {sorted(said)}")
    if not NAME.fullmatch(name) or (said["kind"] == "counter") != name.endswith("_total"):
        raise fail(name, "names are didymos_<room>_<what>; counters, and only they, end in _total")
    if (said["kind"] == "histogram") != ("buckets" in said) or said["kind"] not in {"counter", "gauge", "histogram"}:
        raise fail(name, "histograms, and only they, name a set of buckets")
    labels = {label: values(listed, lists, name) for label, listed in said.get("labels", {}).items()}
    if FORBIDDEN & set(labels):
        raise fail(name, f"labels {sorted(FORBIDDEN & set(labels))} would grow with what they name")
    if said["owner"] not in {"kit", *lists["services"]}:
        raise fail(name, f"owner {said['owner']!r} is neither kit nor a service")
    buckets = tuple(registry["buckets"][said["buckets"]]) if "buckets" in said else ()
    shared = {label: listed[1:] for label, listed in said.get("labels", {}).items() if isinstance(listed, str)}
    return {**said, "labels": labels, "shared": shared, "bounds": buckets}


def rows() -> list[dict[str, Any]]:
    """Every row of the registry, checked."""
    registry = yaml.safe_load(REGISTRY.read_text())
    catalogue = sorted(str(row.name) for row in vars(topics).values() if isinstance(row, topics.TopicRow))
    lists = {**registry["lists"], "topics": catalogue}
    found = [checked(said, registry, lists) for said in registry["metrics"]]
    names = [row["name"] for row in found]
    for name in names:
        if names.count(name) > 1:
            raise fail(name, "stands twice")
    return found


def module(found: list[dict[str, Any]]) -> str:
    """`didymos_contracts/metrics.py`, formatted as the house is."""
    lines = [
        '"""Metrics as rows. Made from telemetry/metrics.yaml by tools/metrics.py: change that, never this."""',
        "from typing import Final",
        "",
        "from didymos_contracts.metric_row import MetricRow",
        "",
    ]
    shared = {name: row["labels"][label] for row in found for label, name in row["shared"].items()}
    lines += [f"{name.upper()}: Final = {listed!r}" for name, listed in shared.items()]
    for row in found:
        constant = row["name"].removeprefix("didymos_").upper()
        said = [repr(row["name"]), repr(row["kind"]), repr(row["owner"]), repr(row["help"])]
        if row["labels"]:
            labels = (f"({label!r}, {_listed(row, label)})" for label in row["labels"])
            said.append(f"labels=({', '.join(labels)},)")
        if row["bounds"]:
            said.append(f"buckets={row['bounds']!r}")
        lines.append(f"{constant}: Final = MetricRow({', '.join(said)})")
    constants = ", ".join(row["name"].removeprefix("didymos_").upper() for row in found)
    lines.append(f"METRICS: Final[tuple[MetricRow, ...]] = ({constants},)")
    command = [str(Path(sys.executable).parent / "ruff"), "format", "-q", "--stdin-filename", str(ROWS), "-"]
    return subprocess.run(command, input="\n".join(lines), check=True, capture_output=True, text=True, cwd=ROOT).stdout


def _listed(row: dict[str, Any], label: str) -> str:
    """The values of a label as code: the name of a shared list, or the list."""
    return str(row["shared"][label].upper()) if label in row["shared"] else repr(row["labels"][label])


def page(found: list[dict[str, Any]]) -> str:
    """The reference page: a table per owner."""
    lines = [
        "# Metrics",
        "",
        "Made from `telemetry/metrics.yaml` by `tools/metrics.py`. Served at `/metrics` of the admin port.",
    ]
    for owner in dict.fromkeys(row["owner"] for row in found):
        lines += ["", f"## {owner}", "", "| name | kind | labels | what it says |", "|---|---|---|---|"]
        for row in (row for row in found if row["owner"] == owner):
            labels = "; ".join(f"{name}: {' '.join(said)}" for name, said in row["labels"].items()) or "-"
            lines.append(f"| `{row['name']}` | {row['kind']} | {labels} | {row['help']} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    found = rows()
    stale = 0
    for path, text in ((ROWS, module(found)), (PAGE, page(found))):
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(
                f"{path.relative_to(ROOT)} differs from telemetry/metrics.yaml; run tools/metrics.py", file=sys.stderr
            )
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main())
