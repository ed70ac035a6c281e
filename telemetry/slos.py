"""`telemetry/slos.yaml` as rules: objectives, error ratios over four windows, burn rates, two alerts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[1]
SLO_RULES: Final = ROOT / "charts/didymos/rules/slo.yaml"
WINDOWS: Final = ("5m", "30m", "1h", "6h")
HEAD: Final = "# Made from telemetry/slos.yaml by `python -m telemetry.dashboards`: change that, never this.\n"


def slos() -> tuple[Mapping[str, Any], ...]:
    return tuple(yaml.safe_load((ROOT / "telemetry/slos.yaml").read_text())["slos"])


def _objective(slo: Mapping[str, Any]) -> dict[str, Any]:
    return {"record": "didymos_slo_objective", "expr": f"vector({slo['objective']})", "labels": {"slo": slo["name"]}}


def _errors(slo: Mapping[str, Any], window: str) -> dict[str, Any]:
    """The share of bad ones; 0 while there were none at all."""
    bad, whole = (str(slo[name]).replace("$window", window) for name in ("bad", "all"))
    expr = f"(({bad}) / (({whole}) > 0)) or ({whole}) * 0"
    return {"record": f"didymos_slo_errors_{window}", "expr": expr, "labels": {"slo": slo["name"]}}


def _burn(window: str) -> dict[str, Any]:
    expr = f"didymos_slo_errors_{window} / on (slo) group_left () (1 - didymos_slo_objective)"
    return {"record": f"didymos_slo_burn_{window}", "expr": expr}


def _alert(name: str, windows: tuple[str, str], times: float, severity: str) -> dict[str, Any]:
    long, short = (f"didymos_slo_burn_{window} > {times}" for window in windows)
    return {
        "alert": name,
        "expr": f"{long} and {short}",
        "labels": {"severity": severity},
        "annotations": {
            "summary": "{{ $labels.slo }} burns its budget of errors {{ $value | humanize }} times too fast",
            "runbook": f"docs/runbooks/slo.md#{name.lower()}",
        },
    }


def slo_rules() -> str:
    """The file of rules, as text."""
    found = slos()
    rules = [_objective(slo) for slo in found]
    rules += [_errors(slo, window) for window in WINDOWS for slo in found]
    rules += [_burn(window) for window in WINDOWS]
    rules += [_alert("SloBurn", ("1h", "5m"), 14.4, "page"), _alert("SloBurnSlow", ("6h", "30m"), 6, "ticket")]
    groups = {"groups": [{"name": "didymos.slo", "rules": rules}]}
    return HEAD + yaml.safe_dump(groups, sort_keys=False, width=200)
