"""Pictures of a run: losses by round, errors by tenth, gains with intervals, inputs that moved, who took part when."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from didymos_learning.evaluation import Interval
from didymos_learning.stability import MOVED
from didymos_learning.subgroups import Errors, Group

from didymos_cli.report.drawing import Frame, steps, svg

Json = Mapping[str, Any]
WIDE: Final = 760
COLUMNS: Final = 60  # of the picture of members: more rounds share one
ROWS: Final = 40
COUNTED: Final = "delivered"  # the outcome of a member whose update is in the sum
SERIES: Final = (("last_value", "last"), ("own", "own"), ("shared", "global"), ("personal", "personal"))


def losses_picture(losses: Sequence[tuple[int, float]], naive: float) -> str:
    """A line over rounds; dashed where the naive answer lies."""
    found = [loss for _, loss in losses]
    top, floor = max(*found, naive), min(*found, naive)
    room = (top - floor or 1.0) * 0.08
    frame = Frame(WIDE, 260, (0, max(1, losses[-1][0])), (max(0.0, floor - room), top + room), right=90)
    end, last = frame.at(losses[-1][0], found[-1])
    _, level = frame.at(0, naive)
    apart = 0 if abs(last - level) > 12 else (14 if last > level else -14)
    dots = (frame.at(number, loss) for number, loss in losses)
    return svg(
        WIDE, 260, f"Held-out loss by round: {found[0]:.3g} before training, {found[-1]:.3g} at the end",
        frame.ruler(steps(*frame.y, 5), ""), frame.below([(at, f"{at:g}") for at in _whole(losses[-1][0])]),
        f'<line x1="52" x2="{end}" y1="{level}" y2="{level}" class="naive"/>',
        f'<text x="{end + 6}" y="{level + 4}" class="axis">naive {naive:.3g}</text>',
        f'<path d="{frame.path([number for number, _ in losses], found)}" class="line"/>',
        "".join(f'<circle cx="{x}" cy="{y}" r="2.6" class="global"/>' for x, y in dots),
        f'<text x="{end + 6}" y="{last + 4 + apart}" class="axis strong">{found[-1]:.3g}</text>',
    )  # fmt: skip


def _whole(last: int) -> list[float]:
    return [at for at in steps(0, last, 10) if at == int(at)]


def groups_picture(groups: Sequence[Group], title: str, unit: str) -> str:
    """A column of marks for each group: the naive answer, own data only, shared, gated personal."""
    values = [float(getattr(one, name)) for one in groups for name, _ in SERIES]
    room = (max(values) - min(values) or 1.0) * 0.08
    frame = Frame(WIDE, 280, (0, len(groups)), (max(0.0, min(values) - room), max(values) + room))
    marks = [frame.ruler(steps(*frame.y, 6), unit)]
    marks.append(frame.below([(at + 0.5, one.name[:14]) for at, one in enumerate(groups)]))
    for at, one in enumerate(groups):
        places = [(kind, *frame.at(at + 0.5, float(getattr(one, name)))) for name, kind in SERIES]
        heights = [y for _, _, y in places]
        x = places[0][1]
        marks.append(f'<line x1="{x}" x2="{x}" y1="{min(heights)}" y2="{max(heights)}" class="thread"/>')
        marks += [_mark(kind, x, y) for kind, x, y in places]
    return svg(WIDE, 280, title, *marks)


def twins_picture(twins: Sequence[tuple[str, Errors]], unit: str) -> str:
    """A row a twin, best first by the shared model: four errors on one scale; hollow where the shared one serves."""
    ordered = sorted(twins, key=lambda pair: pair[1].shared)
    values = [float(getattr(one, name)) for _, one in ordered for name, _ in SERIES]
    room, height = (max(values) - min(values) or 1.0) * 0.04, 46 + 20 * len(ordered)
    frame = Frame(WIDE, height, (min(values) - room, max(values) + room), (0, 1), left=120, top=18, bottom=28)
    marks = []
    for tick in steps(*frame.x, 10):
        x, _ = frame.at(tick, 0)
        marks.append(f'<line x1="{x}" x2="{x}" y1="18" y2="{height - 28}" class="grid"/>')
        marks.append(f'<text x="{x}" y="{height - 10}" class="axis" text-anchor="middle">{tick:g}</text>')
    for at, (name, one) in enumerate(ordered):
        y = 28 + 20 * at
        places = [(kind, frame.at(float(getattr(one, series)), 0)[0]) for series, kind in SERIES]
        ends = [x for _, x in places]
        marks.append(f'<text x="112" y="{y + 4}" class="axis" text-anchor="end">{escape(name)}</text>')
        marks.append(f'<line x1="{min(ends)}" x2="{max(ends)}" y1="{y}" y2="{y}" class="thread"/>')
        marks += [_mark("kept" if kind == "personal" and not one.accepted else kind, x, y) for kind, x in places]
    return svg(WIDE, height, f"Error of each twin by model, in {unit}", *marks)


def _mark(kind: str, x: float, y: float) -> str:
    """A shape of its own for each model: colour alone says nothing to many."""
    match kind:
        case "last":
            return f'<path d="M{x - 5} {y}h10" class="bar"/>'
        case "own":
            return f'<rect x="{x - 4}" y="{y - 4}" width="8" height="8" class="own"/>'
        case "personal" | "kept":
            return f'<path d="M{x} {y - 7}l6 7l-6 7l-6-7z" class="{kind}"/>'
        case _:
            return f'<circle cx="{x}" cy="{y}" r="4.5" class="global"/>'


def gains_picture(
    gains: Sequence[tuple[str, Interval]], unit: str, title: str = "What the gated personal models gain"
) -> str:
    """A row for each gain: its mean and its interval, right of zero where it helps."""
    low, high = min(0.0, *(gain.low for _, gain in gains)), max(0.0, *(gain.high for _, gain in gains))
    room, height = (high - low or 1.0) * 0.06, 44 + 30 * len(gains)
    frame = Frame(WIDE, height, (low - room, high + room), (0, 1), left=230, top=10, bottom=30)
    marks = []
    for tick in steps(*frame.x, 8):
        x, _ = frame.at(tick, 0)
        kind = "zero" if abs(tick) < 1e-12 else "grid"
        marks.append(f'<line x1="{x}" x2="{x}" y1="10" y2="{height - 30}" class="{kind}"/>')
        marks.append(f'<text x="{x}" y="{height - 12}" class="axis" text-anchor="middle">{tick:g}</text>')
    for at, (name, gain) in enumerate(gains):
        y = 26 + 30 * at
        (begin, _), (middle, _), (end, _) = (frame.at(value, 0) for value in (gain.low, gain.mean, gain.high))
        said = "helps" if gain.low > 0 else "harms" if gain.high < 0 else "unclear"
        marks.append(f'<text x="220" y="{y + 4}" class="axis" text-anchor="end">{escape(name)}</text>')
        marks.append(f'<path d="M{begin} {y}H{end}M{begin} {y - 5}v10M{end} {y - 5}v10" class="span {said}"/>')
        marks.append(f'<circle cx="{middle}" cy="{y}" r="5" class="{said}"/>')
    return svg(WIDE, height, f"{title}, in {unit}, with 95 % intervals", *marks)


def twin_gains_picture(gains: Sequence[tuple[str, Interval]], unit: str) -> str:
    """A row a twin whose own model serves, the largest gain first: the gain on test and its interval."""
    ordered = sorted(gains, key=lambda pair: -pair[1].mean)
    return gains_picture(ordered, unit, title="What each twin's own model gains")


def shifts_picture(shifts: Sequence[float]) -> str:
    """A dot a twin, by how far its inputs moved between fitting and test; a line where convention draws it."""
    top = max(MOVED * 1.2, *shifts)
    frame = Frame(WIDE, 96, (0, top), (0, 1), left=20, right=20, top=14, bottom=30)
    border, _ = frame.at(MOVED, 0)
    marks = [
        frame.below([(at, f"{at:g}") for at in steps(0, top, 8)]),
        f'<line x1="{border}" x2="{border}" y1="12" y2="66" class="naive"/>',
        f'<text x="{border + 5}" y="20" class="axis">moved</text>',
    ]
    for at, shift in enumerate(sorted(shifts)):
        x, _ = frame.at(shift, 0)
        marks.append(
            f'<circle cx="{x}" cy="{34 + 8 * (at % 4)}" r="4" class="{"own" if shift > MOVED else "global"}"/>'
        )
    return svg(WIDE, 96, f"{sum(shift > MOVED for shift in shifts)} of {len(shifts)} twins' inputs moved", *marks)


def members_picture(rounds: Sequence[Json]) -> str:
    """A row a member, a column a round, or several: filled where its update counted, hollow where it was lost."""
    names = sorted({str(said["member"]) for one in rounds for said in one["members"]})[:ROWS]
    each = -(-len(rounds) // COLUMNS)
    columns = [rounds[at : at + each] for at in range(0, len(rounds), each)]
    size = min(22.0, 620 / len(columns))
    height = 34 + 20 * len(names)
    marks = [
        f'<text x="{126 + size * (at + 0.5)}" y="12" class="axis" text-anchor="middle">{column[0]["round"]}</text>'
        for at, column in enumerate(columns)
        if at % max(1, len(columns) // 12) == 0
    ]
    for row, name in enumerate(names):
        y = 20 + 20 * row
        marks.append(f'<text x="118" y="{y + 12}" class="axis" text-anchor="end">{escape(name[-12:])}</text>')
        for at, column in enumerate(columns):
            kind = _presence(name, column)
            if kind:
                place = f'x="{126 + size * at:.1f}" y="{y}" width="{size - 2:.1f}" height="15" rx="2"'
                marks.append(f'<rect {place} class="{kind}"/>')
    return svg(WIDE, height, "Which members' updates counted in which round", *marks)


def _presence(name: str, column: Sequence[Json]) -> str:
    """`took` part in all of these rounds that asked it, `part` of them, `lost` in all, or was not asked."""
    asked = [{str(each["outcome"]) for each in one["members"] if each["member"] == name} for one in column]
    asked = [outcomes for outcomes in asked if outcomes]
    if not asked:
        return ""
    counted = sum(COUNTED in outcomes for outcomes in asked)
    return "took" if counted == len(asked) else "part" if counted else "lost"
