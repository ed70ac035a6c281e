"""The page of one run: its rounds, who took part when, errors of every twin, deciles. Losses of rounds are not on it:
under masks nobody but the sites knows them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from didymos_learning import bootstrap

from didymos_cli.report.drawing import Frame, people_picture, svg
from didymos_cli.report.facts import Person
from didymos_cli.report.page import KEY, _cards, _part, _table

Json = Mapping[str, Any]
DECILES: Final = 10
SEED: Final = bytes(32)
MODELS: Final = (
    ("rmse_last_value", "last value"), ("rmse_own", "own data only"), ("rmse_global", "global"),
    ("rmse_personal", "gated personal"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """A run as REST shows it."""

    run: Json
    rounds: Sequence[Json]
    evaluation: Json
    models: Sequence[Json]


def render(facts: Facts) -> str:
    """HTML that loads nothing: no script, no font, no picture from elsewhere."""
    run, subjects = facts.run, facts.evaluation["subjects"]
    accepted = sum(bool(one["accepted"]) for one in subjects)
    cards = _cards([
        (f"{run['committed']} of {run['rounds']}", "rounds committed"), (str(len(subjects)), "twins evaluated"),
        (str(accepted), "personal models passed the gate"),
        (run["masking"], "masking"), (str(len(facts.models)), "models registered"),
    ])  # fmt: skip
    parts = [
        f"<h1>Run {escape(run['run'])}: {escape(run['state'])}</h1><p>{escape(run['reason'])}</p>",
        f'<p class="soft">Parameters {escape(run["params_digest"][:16])}, '
        f"specification {escape(run['spec_digest'][:16])}, differential privacy: "
        f"{escape(run['differential_privacy'])}. Losses of single rounds stay at the sites.</p>", cards,
        "<h2>Rounds: members whose update counted</h2>", f"<figure>{rounds_picture(facts.rounds)}</figure>",
        "<h2>Who was used when</h2>", _members(facts.rounds), *(_errors(facts.evaluation) if subjects else [
            "<h2>Errors</h2><p>No site reported errors for this run.</p>"
        ]),
    ]  # fmt: skip
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    )
    title = f"<title>Didymos: run {escape(run['run'])}</title><style>{_part('page.css')}</style></head><body><main>"
    return f"{head}{title}{''.join(parts)}</main></body></html>\n"


def rounds_picture(rounds: Sequence[Json]) -> str:
    """A bar a round; hollow where members were expected that did not come."""
    if not rounds:
        return "<p>No round was opened.</p>"
    most = max(1, *(one["expected"] for one in rounds))
    frame, marks = Frame(760, 200, (0, len(rounds)), (0, most)), list[str]()
    for index, one in enumerate(rounds):
        for count, kind in ((one["expected"], "grid"), (one["accepted"], "hop")):
            x, y = frame.at(index + 0.15, count)
            end, floor = frame.at(index + 0.85, 0)
            paint = 'fill="none"' if kind == "grid" else ""
            marks.append(
                f'<rect x="{x}" y="{y}" width="{end - x:.1f}" height="{floor - y:.1f}" class="{kind}" {paint}/>'
            )
    step = max(1, len(rounds) // 12)
    ticks = [(at + 0.5, str(rounds[at]["round"])) for at in range(0, len(rounds), step)]
    return svg(760, 200, "Members per round", frame.ruler([0, most], ""), *marks, frame.below(ticks))


def _members(rounds: Sequence[Json]) -> str:
    """Each member with the rounds it took part in, by outcome."""
    found: dict[str, dict[str, list[int]]] = {}
    for one in rounds:
        for member in one["members"]:
            found.setdefault(member["member"], {}).setdefault(member["outcome"], []).append(one["round"])
    if not found:
        return "<p>Simulated clients: nobody's data were used.</p>"
    rows = [
        ("", [name[:24], outcome, str(len(at)), f"{min(at)} to {max(at)}"])
        for name, outcomes in sorted(found.items())
        for outcome, at in sorted(outcomes.items())
    ]
    return _table(("member", "outcome", "times", "rounds"), rows)


def _errors(evaluation: Json) -> list[str]:
    subjects: Sequence[Json] = evaluation["subjects"]
    people = [
        Person(
            name=one["twin"][-10:], windows=one["windows"], last_value=one["rmse_last_value"], own=one["rmse_own"],
            global_=one["rmse_global"], personal=one["rmse_personal"], accepted=one["accepted"],
            reason=one["reason"], site=one["site"], score=one["score"], payout_minor=0,
        )
        for one in subjects
    ]  # fmt: skip
    rows = []
    for key, name in MODELS[:3]:
        gained = bootstrap([one[key] - one["rmse_personal"] for one in subjects], SEED)
        rows.append(("", [f"{name} - gated personal", str(gained)]))
    return [
        "<h2>Error per twin</h2>", f'<p class="soft">{escape(evaluation["split"])}; self-reported.</p>{KEY}',
        f"<figure>{people_picture(people)}</figure>", "<h2>What the models gain</h2>",
        _table(("difference of RMSE", "mean [95 % bootstrap over twins]"), rows), *_deciles(subjects),
    ]  # fmt: skip


def _deciles(subjects: Sequence[Json]) -> list[str]:
    """Mean errors of tenths of the twins by the global error: whom the models serve badly."""
    if len(subjects) < DECILES:
        return []
    ordered = sorted(subjects, key=lambda one: float(one["rmse_global"]))
    rows = []
    for at in range(DECILES):
        part = ordered[at * len(ordered) // DECILES : (at + 1) * len(ordered) // DECILES]
        means = [sum(float(one[key]) for one in part) / len(part) for key, _ in MODELS]
        gain = 100.0 * (1.0 - means[3] / means[2]) if means[2] else 0.0
        rows.append(("", [str(at + 1), str(len(part)), *(f"{mean:.2f}" for mean in means), f"{gain:+.1f} %"]))
    head = ("decile by global error", "twins", *(name for _, name in MODELS), "personal gains")
    return ["<h2>By decile</h2>", _table(head, rows)]
