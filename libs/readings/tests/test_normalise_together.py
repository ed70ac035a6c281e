"""Batches that are normalised together come out as each alone, bit for bit."""

from collections.abc import Callable
from typing import Any

import numpy as np
from didymos_readings import (
    Column,
    Normalised,
    Refusal,
    normalise,
    normalise_together,
    parcel_contents,
    parse_profile,
)
from didymos_testing.readings import NOON_US, TWIN, a_batch, everywhere
from hypothesis import given
from hypothesis import strategies as st

KINDS = parse_profile(
    b"""{"id": "kinds@1", "title": "Kinds", "properties": [{"name": "open", "kind": "bool"},
    {"name": "place", "kind": "point"}, {"name": "acid", "unit": "mol/L", "period_s": 60},
    {"name": "level", "unit": "mg/dL", "hard": [0, 500], "soft": [60, 200], "max_rate": 1, "flat_n": 3}],
    "other": {"kind": "number"}}"""
)
COLUMNS: dict[str, tuple[str, Callable[[int, np.random.Generator], Any]]] = {
    "open": ("", lambda n, draw: draw.random(n) > 0.5),
    "place": ("", lambda n, draw: draw.uniform(-80, 81 if draw.random() < 0.9 else 300, (n, 3))),
    "acid": ("[pH]", lambda n, draw: draw.uniform(0, 14, n)),
    "level": ("mg/dL", lambda n, draw: draw.choice([100.0, 100.0, 150.0, 240.0], n)),
    "pump/flow": ("L/min", lambda n, draw: np.where(draw.random(n) < 0.02, 1e5, draw.normal(100, 5, n))),
}


def _said(found: tuple[Normalised, list[Refusal]]) -> object:
    normalised, refusals = found
    scores, columns = normalised.scores, normalised.columns
    return (
        refusals,
        [(b.block, b.plan, b.start, b.accepted, b.completeness, b.t_min_us, b.t_max_us) for b in normalised.blocks],
        None if columns is None else [each.tobytes() for each in (columns.values, columns.quality, columns.flags)],
        None if scores is None else (
            scores.quality.tobytes(), scores.flags.tobytes(), scores.completeness, scores.blocks, scores.counts,
            {name: share.tobytes() for name, share in scores.shares.items()},
        ),
        list(parcel_contents(normalised)),
    )  # fmt: skip


@given(st.lists(st.tuples(st.lists(st.tuples(st.sampled_from(sorted(COLUMNS)), st.integers(1, 24)), min_size=1,
       max_size=4), st.sampled_from(["fresh", "late", "ahead", "backfill", "denied"])), min_size=1, max_size=6),
       st.integers(0, 1 << 32))  # fmt: skip
def test_batches_together_are_normalised_as_each_alone(
    drawn: list[tuple[list[tuple[str, int]], str]], seed: int
) -> None:
    draw, batches = np.random.default_rng(seed), []
    for number, (columns, how) in enumerate(drawn, start=1):
        made = []
        for name, count in columns:
            unit, values = COLUMNS[name]
            shift = {"late": -3_600_000_000, "ahead": 121_000_000}.get(how, 0)
            t_us = NOON_US + shift - draw.permutation(count) * 1_000_000
            made.append(Column(TWIN, name, unit, t_us, values(count, draw)))
        batch = a_batch(*made, profile="kinds@1", number=number, backfill=how == "backfill")
        may = (lambda _twin, _name: "reading.not_enrolled") if how == "denied" else everywhere
        batches.append((batch, may))
    alone = [normalise(batch, KINDS, NOON_US, may) for batch, may in batches]
    together = normalise_together(batches, KINDS, NOON_US)
    assert [_said(each) for each in together] == [_said(each) for each in alone]
