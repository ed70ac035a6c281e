"""Which metrics an expression names, and what the registry knows of them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from didymos_contracts.metrics import METRICS

ROOT: Final = Path(__file__).resolve().parents[2]
KINDS: Final[Mapping[str, str]] = {row.name: row.kind for row in METRICS}
FOREIGN: Final = frozenset(yaml.safe_load((ROOT / "telemetry/metrics.yaml").read_text())["foreign"])
RULES: Final = tuple(sorted((ROOT / "charts/didymos/rules").glob("*.yaml")))
_NAME: Final = re.compile(r"\b(?:didymos_\w+|process_\w+|up)\b")
_PARTS: Final = ("_bucket", "_sum", "_count")


def rules() -> list[Mapping[str, Any]]:
    """Every rule of every file, with the area it stands in."""
    return [
        {**rule, "area": path.stem}
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


RECORDED: Final = frozenset(str(rule["record"]) for rule in rules() if "record" in rule)


def named(expr: str) -> set[str]:
    """The series that are named: without label matchers and lists of labels, which may look alike."""
    bare = re.sub(r"\{[^}]*\}|\b(?:by|on|group_left)\s*\([^)]*\)", " ", expr)
    return set(_NAME.findall(bare))


def metric_of(series: str) -> str:
    """The metric behind a series of a histogram, else the series itself."""
    for part in _PARTS:
        if series.endswith(part) and KINDS.get(series.removesuffix(part)) == "histogram":
            return series.removesuffix(part)
    return series


def unknown(expr: str) -> set[str]:
    """What an expression names that nothing exports."""
    return {name for name in named(expr) if metric_of(name) not in KINDS.keys() | FOREIGN | RECORDED}


def bare_counters(expr: str) -> set[str]:
    """Series that only grow and stand outside of rate() and increase(): their value says how old a process is."""
    inside = set(re.findall(r"\b(?:rate|increase)\(([a-z_]+)", expr))
    growing = {name for name in named(expr) if KINDS.get(name) == "counter" or metric_of(name) != name}
    return {name for name in growing if name not in inside or name in re.sub(r"\b(?:rate|increase)\([a-z_]+", "", expr)}
