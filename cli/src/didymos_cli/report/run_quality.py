"""Of a run: what its models gain, twin by twin and tenth by tenth, for whom they fail, and what moved."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html import escape
from statistics import median
from typing import Any, Final

from didymos_learning import bootstrap
from didymos_learning.evaluation import Interval
from didymos_learning.stability import MOVED
from didymos_learning.subgroups import LEAST_OF_GROUP, SEED, Errors, Group, by_gate, deciles, declared, gap

from didymos_cli.report.marks import figure, folded, section, soft
from didymos_cli.report.page import _table
from didymos_cli.report.run_pictures import (
    gains_picture,
    groups_picture,
    shifts_picture,
    twin_gains_picture,
    twins_picture,
)

Json = Mapping[str, Any]
MOST_PEOPLE: Final = 60  # in the picture of single twins
SHORT: Final = ("last", "own", "shared", "personal")
MODELS: Final = ("last value", "own data only", "shared", "gated personal")
KEY: Final = '<p class="key soft">' + "".join(
    f'<span><svg viewBox="0 0 14 14" class="mark" aria-hidden="true">{mark}</svg>{meaning}</span>'
    for mark, meaning in (
        ('<path d="M2 7h10" class="bar"/>', "last value: it stays as it is"),
        ('<rect x="3" y="3" width="8" height="8" class="own"/>', "own data only"),
        ('<circle cx="7" cy="7" r="4.5" class="global"/>', "shared model"),
        ('<path d="M7 1l5 6l-5 6l-5-6z" class="personal"/>', "gated personal model"),
    )
) + "</p>"  # fmt: skip


def quality(evaluation: Json, unit: str, groups: Mapping[str, str]) -> list[str]:
    """Gains, errors of twins, fairness and drift. `groups`: twin to declared group."""
    subjects: Sequence[Json] = evaluation["subjects"]
    if not subjects:
        return [section("Errors", soft("No site reported errors of twins for this run."))]
    split = soft(f"{evaluation['split']}. Self-reported by the sites.")
    return [
        section("What the personal models gain", split, *_gains(subjects, unit)),
        section("Error per twin", KEY, *_twins(subjects, unit)),
        section("For whom it works", *_fairness(subjects, groups, unit)),
        section("Drift", *_drift(subjects)),
    ]


def gain_over(subjects: Sequence[Json], over: str) -> Interval:
    return bootstrap([float(one[over]) - float(one["rmse_personal"]) for one in subjects], SEED)


def _gains(subjects: Sequence[Json], unit: str) -> list[str]:
    found = [
        (f"{name} - gated personal", gain_over(subjects, key))
        for name, key in zip(MODELS[:3], ("rmse_last_value", "rmse_own", "rmse_global"), strict=True)
    ]
    rows = [("", [name, str(gain)]) for name, gain in found]
    return [
        figure(gains_picture(found, unit), "Right of zero: lower errors. Bootstrap over twins."),
        folded("The figures", _table((f"difference of RMSE, {unit}", "mean [95 % over twins]"), rows)),
        *_twin_gains(subjects, unit),
    ]


def _twin_gains(subjects: Sequence[Json], unit: str) -> list[str]:
    """Of the twins that a model of their own serves, where the sites told intervals."""
    found = []
    for one in subjects:
        low, high = one.get("gain", (0.0, 0.0))
        if one["accepted"] and (low or high):
            gain = Interval(float(one["rmse_global"]) - float(one["rmse_personal"]), float(low), float(high))
            found.append((str(one["twin"])[-10:], gain))
    if not found:
        return []
    caption = (
        "Each twin whose own model serves: shared minus personal on test, with an interval over blocks of its time. "
        "The gate chose them on earlier data."
    )
    return ["<h3>Twin by twin</h3>", figure(twin_gains_picture(found[:MOST_PEOPLE], unit), caption)]


def _twins(subjects: Sequence[Json], unit: str) -> list[str]:
    named = sorted(((str(one["twin"])[-10:], _errors(one), one) for one in subjects), key=lambda line: line[0])
    rows = [
        ("", [
            name, str(said["windows"]), f"{one.last_value:.2f}", f"{one.own:.2f}", f"{one.shared:.2f}",
            f"{one.personal:.2f}", f"{100 * (1 - one.personal / one.shared):+.1f} %" if one.shared else "",
            f"{float(said['bound']):+.3f}", "personal" if one.accepted else f"shared ({said['reason']})",
        ])
        for name, one, said in named
    ]  # fmt: skip
    head = ("twin", "windows", *SHORT, "gain", "gate's bound", "serves")
    table = folded(f"All {len(named)} twins", _table(head, rows))
    if len(named) > MOST_PEOPLE:
        return [soft(f"{len(named)} twins are too many for one picture: see the tenths below."), table]
    caption = f"RMSE in {unit} on each twin's newest fifth of time. A hollow diamond: the shared model serves."
    return [figure(twins_picture([(name, one) for name, one, _ in named], unit), caption), table]


def _errors(one: Json) -> Errors:
    return Errors(
        float(one["rmse_last_value"]), float(one["rmse_own"]), float(one["rmse_global"]), float(one["rmse_personal"]),
        bool(one["accepted"]), float(one.get("rmse_gate", 0.0)),
    )  # fmt: skip


def _fairness(subjects: Sequence[Json], groups: Mapping[str, str], unit: str) -> list[str]:
    people = [_errors(one) for one in subjects]
    tenths, parts = deciles(people), list[str]()
    harmed = sum(one.harmed for one in people)
    parts.append(soft(
        f"{harmed} of {len(people)} twins are more than 1 % worse off with a personal model than with the shared one."
    ))  # fmt: skip
    if tenths:
        order = "on gate data" if by_gate(people) else "on test, which flatters the best and wrongs the worst"
        caption = f"Tenths of the twins by the shared model's error {order}, best first. RMSE in {unit}."
        parts += [KEY, figure(groups_picture(tenths, "Error by tenth of the twins", unit), caption)]
        parts += [_gap(tenths, "tenth", unit), folded("The decile table", _groups_table("decile", tenths))]
    else:
        parts.append(soft("Under 20 twins a tenth is one person: see the twins above."))
    for title, of in _ways(groups):
        split: dict[str, list[Errors]] = {}
        for one, errors in zip(subjects, people, strict=True):
            if of(one):
                split.setdefault(of(one), []).append(errors)
        found = [replace(one, name=one.name[-20:]) for one in declared(split)]
        if len(found) > 1:
            parts += [f"<h3>By {title}</h3>", _gap(found, title, unit), _groups_table(title, found)]
        elif title == "declared group" and groups:
            parts.append(
                soft(f"No two declared groups have {LEAST_OF_GROUP} twins: smaller ones would point at persons.")
            )
    return parts


def _ways(groups: Mapping[str, str]) -> tuple[tuple[str, Callable[[Json], str]], ...]:
    """How twins may be told apart: by the site that reported, and as somebody declared."""
    return (
        ("site", lambda one: str(one["site"])),
        ("declared group", lambda one: groups.get(str(one["twin"]), "")),
    )


def _gap(groups: Sequence[Group], title: str, unit: str) -> str:
    shared, personal = gap(groups, "shared") or 0.0, gap(groups, "personal") or 0.0
    change = "narrow" if personal < shared else "widen" if personal > shared else "leave"
    return (
        f"<p>From the best {title} to the worst the shared model's error grows by <b>{shared:.2f} {escape(unit)}</b>; "
        f"personal models {change} the gap to <b>{personal:.2f}</b>.</p>"
    )


def _groups_table(title: str, groups: Sequence[Group]) -> str:
    rows = [
        ("", [
            one.name, str(one.people), f"{one.last_value:.2f}", f"{one.own:.2f}", f"{one.shared:.2f}",
            f"{one.personal:.2f}",
            str(one.gain), f"{one.accepted:.0%}", f"{one.harmed:.0%}",
        ])
        for one in groups
    ]  # fmt: skip
    return _table((title, "twins", *SHORT, "gain [95 %]", "accepted", "harmed"), rows)


def _drift(subjects: Sequence[Json]) -> list[str]:
    shifts = [float(one.get("input_shift", 0.0)) for one in subjects if float(one.get("input_shift", 0.0)) > 0.0]
    told = [one for one in subjects if float(one.get("rmse_gate", 0.0)) > 0.0]
    parts = []
    if shifts:
        moved = sum(shift > MOVED for shift in shifts)
        caption = (
            f"Population stability index of each twin's inputs, test against fit: {moved} of {len(shifts)} above"
            f" {MOVED}, where convention says that they moved. Days of one person move more than crowds do."
        )
        parts.append(figure(shifts_picture(shifts), caption))
    if told:
        grown = median(float(one["rmse_global"]) / float(one["rmse_gate"]) for one in told)
        parts.append(
            f"<p>On the newest fifth of time the shared model's error is <b>{grown:.2f} times</b> what it was on gate "
            f"data, just before (median over {len(told)} twins; 1 means nothing drifted).</p>"
        )
    return parts or [soft("The sites told no figures of drift.")]
