"""The page itself: what happened, in the order a reader asks, every figure from the run."""

from collections.abc import Iterable
from html import escape
from importlib.resources import files
from statistics import mean
from string import Template

from didymos_cli.report.drawing import forecast_picture, path_picture, payout_picture, people_picture
from didymos_cli.report.facts import Curve, Report

KEY = '<p class="key soft">' + "".join(
    f'<i style="background:var(--{colour})"></i>{meaning}'
    for colour, meaning in (
        ("three", "last value"),
        ("two", "own data only"),
        ("one", "global"),
        ("good", "what serves (filled: personal)"),
    )
) + "</p>"  # fmt: skip


def _part(name: str) -> str:
    return (files("didymos_cli.report") / name).read_text()


def _cards(facts: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f'<div class="card"><b>{escape(value)}</b><span>{escape(label)}</span></div>' for value, label in facts
    )
    return f'<div class="cards">{cells}</div>'


def _table(head: Iterable[str], rows: Iterable[tuple[str, Iterable[str]]]) -> str:
    """`rows` are (class of the row, cells); a cell that begins with * is the best of its row."""
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    body = []
    for kind, cells in rows:
        inner = (
            f'<td class="best">{escape(c[1:])}</td>' if c.startswith("*") else f"<td>{escape(c)}</td>" for c in cells
        )
        body.append(f'<tr class="{kind}">{"".join(inner)}</tr>')
    rows_ = "".join(body)
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{rows_}</tbody></table></div>'


def _errors(report: Report) -> str:
    def cells(values: tuple[float, ...]) -> list[str]:
        best = min(values)
        return [f"*{v:.2f}" if v == best else f"{v:.2f}" for v in values]

    rows = []
    for person in sorted(report.people, key=lambda one: one.name):
        values = (person.last_value, person.own, person.global_, person.personal)
        said = "personal" if person.accepted else f"global ({person.reason})"
        rows.append(("", [person.name, str(person.windows), *cells(values), said]))
    means = tuple(
        mean(getattr(one, name) for one in report.people) for name in ("last_value", "own", "global_", "personal")
    )
    rows.append(("mean", ["mean over people", "", *cells(means), ""]))
    return _table(("person", "windows", "last value", "own data only", "global", "gated personal", "serves"), rows)


def _differences(report: Report) -> str:
    rows = (
        ("", [f"{d.ours} minus {d.other}", f"{d.mean:+.2f}", f"[{d.low:+.2f}, {d.high:+.2f}]"])
        for d in report.differences
    )
    return _table(("difference of the means, mg/dL", "mean", "95 % bootstrap over people"), rows)


def _pairs(facts: dict[str, str]) -> str:
    return _table(("", ""), (("", [name.replace("_", " "), said]) for name, said in facts.items()))


def standalone(curve: Curve) -> str:
    """The forecast picture as a file of its own, on a light ground wherever it is shown."""
    rules = "".join(line for line in _part("page.css").splitlines() if line.startswith((":root", ".axis", ".dot")))
    style = f"<style>{rules}svg{{background:#fff}}</style>"
    head, _, rest = forecast_picture(curve).partition(">")
    return f"{head}>{style}{rest}\n"


def render(report: Report) -> str:
    """The page as HTML. It loads nothing: no script, no font, no picture from elsewhere."""
    accepted = sum(person.accepted for person in report.people)
    applied = report.readings["applied"]
    cards = _cards([
        (f"{applied:,}", "signed readings applied, each once"),
        (f"{report.sites} / {len(report.people)}", "sites / people"),
        (str(report.rounds), f"rounds, masking: {report.masking}"),
        (f"{accepted} of {len(report.people)}", "personal models passed the gate"),
        (f"{report.seconds:.0f} s", "for everything"), (f"{report.peak_rss_mb:,.0f} MB", "peak memory, all processes"),
    ])  # fmt: skip
    money = (
        f"The buyer paid {report.price_minor / 100:,.2f} {report.asset.partition('/')[0]}: "
        f"fee {report.fee_minor / 100:,.2f}, "
        f"returned {report.refund_minor / 100:,.2f}. Shares follow each site's own, signed validation-gradient score: "
        "self-reported."
    )
    return Template(_part("page.html")).substitute(
        style=_part("page.css"),
        count=len(report.people),
        seed=report.seed,
        split=escape(report.split),
        cards=cards,
        person=escape(report.curve.person),
        forecast=forecast_picture(report.curve),
        key=KEY,
        people=people_picture(report.people),
        errors=_errors(report),
        differences=_differences(report),
        path=path_picture(report.hops),
        money=escape(money),
        payouts=payout_picture(report.people, report.asset),
        steward="".join(f"<p>{escape(line)}</p>" for line in report.steward),
        proofs=_pairs(report.proofs),
        refusals=_pairs(report.refusals),
    )
