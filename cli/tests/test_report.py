"""The report shows what the run measured, and nothing from elsewhere."""

import re
from dataclasses import replace
from xml.etree import ElementTree

from didymos_cli.report import Curve, Difference, Hop, Person, Report, render, standalone


def a_person(name: str = "P01", **changes: object) -> Person:
    person = Person(name, "site-1", 300, 14.3, 13.1, 13.4, 12.8, True, "passed", 0.7, 4200)
    return replace(person, **changes)  # type: ignore[arg-type]


def a_report(*people: Person) -> Report:
    minutes = tuple(float(m) for m in range(0, 600, 5))
    level = tuple(100 + m / 10 for m in minutes)
    curve = Curve("P01", minutes, level, level, tuple(v - 9 for v in level), tuple(v + 9 for v in level))
    return Report(
        seed=7, seconds=120, readings={"sent": 9, "accepted": 9, "applied": 9, "refused": 0}, rounds=5, sites=1,
        masking="pairwise", split="First 60 % fit, next 20 % gate, last 20 % test.", people=people or (a_person(),),
        differences=(Difference("personal", "global", -0.6, -1.0, -0.2),), curve=curve,
        hops=(Hop("ingestion", "accept", 0, 3), Hop("twin-state", "apply", 3, 2)), asset="EUR/2", price_minor=100_00,
        fee_minor=250, refund_minor=0, steward=("It saw a forecast of 66 mg/dL.",), proofs={"grant": "valid"},
        refusals={"changed_byte": "exit 1"}, peak_rss_mb=900, losses=(),
    )  # fmt: skip


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = render(a_report())
    outside = re.findall(r"(?:src|href)=|@import|url\(|<script", page)
    assert outside == []


def test_the_best_of_each_row_is_marked_and_the_mean_is_over_people() -> None:
    page = render(a_report(a_person("A", personal=10.0), a_person("B", personal=12.0)))
    assert '<td class="best">11.00</td>' in page


def test_a_name_cannot_become_markup() -> None:
    page = render(a_report(a_person("<b>x</b>")))
    assert "<b>x</b>" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_the_picture_alone_is_well_formed_and_carries_its_own_style() -> None:
    picture = ElementTree.fromstring(standalone(a_report().curve))  # noqa: S314 - our own text
    assert picture.tag.endswith("svg")
    assert "fill:var(--one)" in "".join(picture.itertext())
