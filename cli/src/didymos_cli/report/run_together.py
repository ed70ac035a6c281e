"""What the sites of a run found together, under masks: errors of the shared model by round, of nobody in particular."""

from collections.abc import Mapping, Sequence
from typing import Any

from didymos_cli.report.marks import section, soft
from didymos_cli.report.page import _table

Json = Mapping[str, Any]
ESTIMATES = ("mean", "median", "p90")


def together(evaluations: Sequence[Json]) -> str:
    """A section with a row a round; nothing for a run that asks for no such evaluation."""
    if not evaluations:
        return ""
    told = [one for one in evaluations if "model" in one]
    rows = []
    for one in evaluations:
        number = str(one["round"])
        if "model" not in one:
            rows.append(("", [number, f"none: {one['reason'] or one['state']}", "", "", "", ""]))
            continue
        found = [brief(one["model"][name]) for name in ESTIMATES]
        rows.append(("", [number, f"{one['sites']} sites", *found, brief(one["naive"]["median"])]))
    unit = f"In units of the {told[-1]['unit']}. " if told else ""
    why = (
        "Absolute errors of forecasts on gate data, each twin counting once; only their sum over all sites is known. "
        f"{unit}In brackets the bin an estimate lies in."
    )
    head = ("round", "told by", *ESTIMATES, "median of the last value")
    return section("Errors that all sites told together", soft(why), _table(head, rows))


def brief(estimate: Json) -> str:
    """`0.42 (0.40 to 0.45)`: the estimate and the bin it lies in."""
    if estimate["high"] is None:
        return f"above {estimate['low']:.3g}"
    return f"{estimate['value']:.3g} ({estimate['low']:.3g} to {estimate['high']:.3g})"


def in_short(evaluation: Json | None) -> str:
    """For a line of a terminal: the median error, and that of the last value."""
    if evaluation is None:
        return ""
    if "model" not in evaluation:
        return str(evaluation["reason"] or evaluation["state"])
    model, naive = (evaluation[name]["median"]["value"] for name in ("model", "naive"))
    return f"{model:.3g} (last value {naive:.3g})"
