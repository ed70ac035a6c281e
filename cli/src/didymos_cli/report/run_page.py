"""The page of one run: how good, for whom, where it is unfair, what moved, and who was used when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from didymos_cli.report.drawing import Frame, svg
from didymos_cli.report.marks import figure, folded, section, soft
from didymos_cli.report.page import _cards, _part, _table
from didymos_cli.report.run_pictures import losses_picture, members_picture
from didymos_cli.report.run_quality import gain_over, quality
from didymos_cli.report.run_together import together

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """A run as REST shows it, the card of its shared model if it has one, and to which declared group each twin is."""

    run: Json
    rounds: Sequence[Json]
    evaluation: Json
    models: Sequence[Json]
    card: Json | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


def render(facts: Facts) -> str:
    """HTML that loads nothing: no script, no font, no picture from elsewhere."""
    name = escape(str(facts.run["run"]))
    parts = [
        _opening(facts), _losses(facts.evaluation.get("losses")), together(facts.evaluation.get("together", ())),
        *quality(facts.evaluation, _unit(facts), facts.groups),
        section("Who was used when", *_members(facts.rounds)), section("What it is", *_lineage(facts)),
    ]  # fmt: skip
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta name="color-scheme" content="light dark"><title>Run {name}</title>'
    )
    style = f"<style>{_part('page.css')}{_part('run.css')}</style>"
    return f"{head}{style}</head><body><main>{''.join(parts)}</main></body></html>\n"


def _opening(facts: Facts) -> str:
    run, subjects = facts.run, facts.evaluation["subjects"]
    accepted = sum(bool(one["accepted"]) for one in subjects)
    task = run.get("task", {})
    what = (
        f"{_readable(task['property'])} in {task['unit']}, {task['horizon_s'] // 60} minutes ahead, "
        f"by {run['architecture']}. "
        if task
        else ""
    )
    reason = f" ({run['reason']})" if run["reason"] else ""
    cells = [
        (f"{run['committed']} of {run['rounds']}", "rounds committed"), (str(len(subjects)), "twins evaluated"),
        (f"{accepted} of {len(subjects)}" if subjects else "none", "personal models passed the gate"),
        (str(run["masking"]), "masking"), (str(run["differential_privacy"]), "differential privacy"),
    ]  # fmt: skip
    return (
        f"<header><p class='soft eyebrow'>Training run</p><h1>{escape(str(run['run']))}</h1>"
        f"<p class='lead'><b class='state {escape(str(run['state']))}'>{escape(str(run['state']) + reason)}</b> "
        f"{escape(what + _verdict(facts))}</p>{_cards(cells)}</header>"
    )


def _readable(path: str) -> str:
    """`features/glucose/level` as people say it."""
    return path.removeprefix("features/").replace("/", " ").replace("_", " ")


def _unit(facts: Facts) -> str:
    return str(facts.run.get("task", {}).get("unit", "in the unit of the target"))


def _verdict(facts: Facts) -> str:
    """One sentence that says whether it helped."""
    subjects = facts.evaluation["subjects"]
    if not subjects:
        return _loss_verdict(facts.evaluation.get("losses") or {})
    gain, unit = gain_over(subjects, "rmse_last_value"), _unit(facts)
    if gain.low > 0:
        said = f"Its models are {gain.mean:.2f} {unit} better than the last value"
        return f"{said}, 95 % interval {gain.low:.2f} to {gain.high:.2f}."
    return "Whether its models are better than the last value cannot be told from these twins."


def _loss_verdict(losses: Json) -> str:
    if not losses.get("losses") or not losses["naive"]:
        return "How good its models are was told by nobody."
    better = 100.0 * (1.0 - float(losses["losses"][-1][1]) / float(losses["naive"]))
    return f"Its held-out loss is {abs(better):.0f} % {'below' if better > 0 else 'above'} that of the naive answer."


def _losses(losses: Json | None) -> str:
    title = "Held-out loss by round"
    if losses is None:
        return section(title, soft("Not judged yet: that begins when the run has ended."))
    if not losses["losses"]:
        return section(title, soft(f"No data to judge on ({losses['source']})."))
    found = [(int(number), float(loss)) for number, loss in losses["losses"]]
    better = 100.0 * (1.0 - found[-1][1] / losses["naive"]) if losses["naive"] else 0.0
    lowest = min(found, key=lambda pair: pair[1])[0]
    rows = [("", [str(number), f"{loss:.4f}"]) for number, loss in found]
    return section(
        title,
        figure(
            losses_picture(found, float(losses["naive"])),
            f"Mean squared error in scaled units on {losses['windows']:,} windows of {losses['source']}. "
            f"At the end {abs(better):.0f} % {'below' if better > 0 else 'above'} the naive answer; "
            f"lowest after round {lowest}.",
        ),
        folded("The figures", _table(("round", "loss"), rows)),
    )


def _members(rounds: Sequence[Json]) -> list[str]:
    if not rounds:
        return [soft("No round was opened.")]
    found: dict[str, dict[str, list[int]]] = {}
    for one in rounds:
        for member in one["members"]:
            found.setdefault(str(member["member"]), {}).setdefault(str(member["outcome"]), []).append(one["round"])
    rows = [
        ("", [name[-16:], outcome, str(len(at)), f"{min(at)} to {max(at)}"])
        for name, outcomes in sorted(found.items())
        for outcome, at in sorted(outcomes.items())
    ]
    simulated = bool(found) and all(name.startswith("chunk:") for name in found)
    return [
        *([soft("Simulated clients in chunks: nobody's data were used.")] if simulated else []),
        figure(rounds_picture(rounds), "Members whose update counted; outlined: how many were asked."),
        figure(
            members_picture(rounds),
            "Filled: its update counted. Hollow: it was asked and lost. Half: in some of the rounds.",
        )
        if found
        else "",
        folded("By member", _table(("member", "outcome", "times", "rounds"), rows)),
    ]


def rounds_picture(rounds: Sequence[Json]) -> str:
    """A bar a round; hollow where members were asked that did not come."""
    most = max(1, *(one["expected"] for one in rounds))
    frame, marks = Frame(760, 160, (0, len(rounds)), (0, most)), list[str]()
    for index, one in enumerate(rounds):
        for count, kind in ((one["expected"], "asked"), (one["accepted"], "hop")):
            x, y = frame.at(index + 0.15, count)
            end, floor = frame.at(index + 0.85, 0)
            marks.append(f'<rect x="{x}" y="{y}" width="{end - x:.1f}" height="{floor - y:.1f}" class="{kind}"/>')
    step = max(1, len(rounds) // 12)
    ticks = [(at + 0.5, str(rounds[at]["round"])) for at in range(0, len(rounds), step)]
    return svg(760, 160, "Members per round", frame.ruler([0, most], ""), *marks, frame.below(ticks))


def _lineage(facts: Facts) -> list[str]:
    run, card = facts.run, facts.card
    shared = [str(one["model"]) for one in facts.models if one.get("kind") == "global"]
    said = {
        "agreement": str(run["agreement"]) or "none: simulated clients", "purpose": str(run["purpose"]),
        "specification, SHA-256": str(run["spec_digest"]), "parameters, SHA-256": str(run["params_digest"]),
        "shared model": ", ".join(shared) or "none",
    }  # fmt: skip
    parts = []
    if card is not None:
        said["data commitment"] = f"{card['data']['root']} over {card['data']['rounds']} rounds"
        said["masks"] = str(card["privacy"]["masking"])
        parts = [f"<ul>{''.join(f'<li>{escape(str(limit))}</li>' for limit in card['limits'])}</ul>"]
    rows = [("wrap", [name, value]) for name, value in said.items()]
    return [_table(("", ""), rows), *parts]
