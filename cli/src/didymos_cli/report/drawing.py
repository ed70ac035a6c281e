"""Pictures as SVG text: the few marks the report needs, no library, no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

from didymos_cli.report.facts import Curve, Hop, Person


@dataclass(frozen=True, slots=True)
class Frame:
    """A plot area and the data it shows: pixels from the upper left, data from the lower left."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    left: float = 52
    right: float = 14
    top: float = 14
    bottom: float = 34

    def at(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        wide, high = self.width - self.left - self.right, self.height - self.top - self.bottom
        return round(self.left + across * wide, 1), round(self.top + (1 - up) * high, 1)

    def path(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        points = (self.at(x, y) for x, y in zip(xs, ys, strict=True))
        return "M" + "L".join(f"{x} {y}" for x, y in points)

    def ruler(self, ticks: Sequence[float], unit: str) -> str:
        """Horizontal lines with their values, and the unit above."""
        marks = [f'<text x="{self.left - 8}" y="10" class="axis" text-anchor="end">{escape(unit)}</text>']
        for tick in ticks:
            x0, y = self.at(self.x[0], tick)
            x1, _ = self.at(self.x[1], tick)
            marks.append(f'<line x1="{x0}" x2="{x1}" y1="{y}" y2="{y}" class="grid"/>')
            marks.append(f'<text x="{x0 - 8}" y="{y + 4}" class="axis" text-anchor="end">{tick:g}</text>')
        return "".join(marks)

    def below(self, ticks: Sequence[tuple[float, str]]) -> str:
        y = self.height - self.bottom + 18
        return "".join(
            f'<text x="{self.at(tick, self.y[0])[0]}" y="{y}" class="axis" text-anchor="middle">{escape(text)}</text>'
            for tick, text in ticks
        )


def svg(width: float, height: float, title: str, *marks: str) -> str:
    """A picture with a title for those who hear it."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(marks)}</svg>'
    )


def steps(low: float, high: float, wish: int) -> list[float]:
    """Round numbers from `low` to `high`, about `wish` of them at most: 1, 2 or 5 times a power of ten apart."""
    span = (high - low) or 1.0
    power = 10.0 ** floor(log10(span / wish))
    size = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if span / (factor * power) <= wish * (1 + 1e-9))
    first, last = ceil(low / size - 1e-9), floor(high / size + 1e-9)
    return [round(at * size, 12) for at in range(first, last + 1)]


def forecast_picture(curve: Curve) -> str:
    """Truth as dots, the forecast made 30 minutes before as a line, its 80 % band behind."""
    lowest, highest = min(*curve.truth, *curve.low), max(*curve.truth, *curve.high)
    frame = Frame(760, 300, (curve.minutes[0], curve.minutes[-1]), (lowest - 5, highest + 5))
    there = frame.path(curve.minutes, curve.high)[1:]
    back = frame.path(curve.minutes[::-1], curve.low[::-1])[1:]
    dots = (frame.at(x, y) for x, y in zip(curve.minutes, curve.truth, strict=True))
    hours = range(0, int(curve.minutes[-1] // 60) + 1, max(1, int(curve.minutes[-1] // 480)))
    return svg(
        frame.width, frame.height, f"Forecast against truth for {curve.person}",
        frame.ruler(steps(lowest - 5, highest + 5, 6), "mg/dL"),
        frame.below([(hour * 60.0, f"{hour} h") for hour in hours]),
        f'<path d="M{there}L{back}Z" class="band"/>',
        f'<path d="{frame.path(curve.minutes, curve.forecast)}" class="line"/>',
        "".join(f'<circle cx="{x}" cy="{y}" r="1.8" class="dot"/>' for x, y in dots),
    )  # fmt: skip


def people_picture(people: Sequence[Person]) -> str:
    """A row per person, ordered by the global error: last value, own, global, personal as marks on one scale."""
    ordered = sorted(people, key=lambda person: person.global_)
    values = [v for p in people for v in (p.last_value, p.own, p.global_, p.personal)]
    low, high, row = min(values) - 0.5, max(values) + 0.5, 20
    height = 40 + row * len(ordered)
    frame = Frame(760, height, (low, high), (0, 1), left=120, top=18, bottom=22)
    marks: list[str] = []
    for tick in steps(low, high, 10):
        x, _ = frame.at(tick, 0)
        marks.append(f'<line x1="{x}" x2="{x}" y1="18" y2="{height - 22}" class="grid"/>')
        marks.append(f'<text x="{x}" y="{height - 6}" class="axis" text-anchor="middle">{tick:g}</text>')
    for index, person in enumerate(ordered):
        y = 18 + row * (index + 0.5)
        ends = [frame.at(v, 0)[0] for v in (person.last_value, person.own, person.global_, person.personal)]
        marks.append(f'<text x="112" y="{y + 4}" class="axis" text-anchor="end">{escape(person.name)}</text>')
        marks.append(f'<line x1="{min(ends)}" x2="{max(ends)}" y1="{y}" y2="{y}" class="thread"/>')
        for kind, x in zip(("last", "own", "global"), ends, strict=False):
            marks.append(f'<circle cx="{x}" cy="{y}" r="4" class="{kind}"/>')
        chosen = "personal" if person.accepted else "kept"
        marks.append(f'<path d="M{ends[3]} {y - 6}l5 6l-5 6l-5-6z" class="{chosen}"/>')
    return svg(frame.width, height, "Error per person and model", *marks)


def path_picture(hops: Sequence[Hop]) -> str:
    """The spans of one trace, one below the other, on a scale of milliseconds."""
    if not hops:
        return "<p>No trace was recorded.</p>"
    end, row = max(hop.begin_ms + hop.length_ms for hop in hops), 24
    height = 40 + row * len(hops)
    frame = Frame(760, height, (0, end), (0, 1), left=250, top=10, bottom=24)
    marks = [frame.below([(tick, f"{tick:g} ms") for tick in steps(0, end, 8)])]
    for index, hop in enumerate(hops):
        y = 12 + row * index
        x0, _ = frame.at(hop.begin_ms, 0)
        x1, _ = frame.at(hop.begin_ms + hop.length_ms, 0)
        said = escape(f"{hop.service} · {hop.name}")
        marks.append(f'<text x="240" y="{y + 12}" class="axis" text-anchor="end">{said}</text>')
        marks.append(f'<rect x="{x0}" y="{y}" width="{max(x1 - x0, 2):.1f}" height="15" rx="3" class="hop"/>')
    return svg(frame.width, height, "The path of one reading", *marks)


def payout_picture(people: Sequence[Person], asset: str) -> str:
    """Bars of what each contributor was paid, largest first."""
    ordered = sorted(people, key=lambda person: -person.payout_minor)
    top, row = max(1, ordered[0].payout_minor), 20
    height = 10 + row * len(ordered)
    marks: list[str] = []
    for index, person in enumerate(ordered):
        y, wide = 6 + row * index, 480 * person.payout_minor / top
        paid = f"{person.payout_minor / 100:,.2f} {asset.split('/', maxsplit=1)[0]}"
        marks.append(f'<text x="112" y="{y + 12}" class="axis" text-anchor="end">{escape(person.name)}</text>')
        marks.append(f'<rect x="120" y="{y}" width="{max(wide, 1):.1f}" height="14" rx="3" class="hop"/>')
        marks.append(f'<text x="{126 + wide:.1f}" y="{y + 12}" class="axis">{paid}</text>')
    return svg(760, height, "Who was paid what", *marks)
