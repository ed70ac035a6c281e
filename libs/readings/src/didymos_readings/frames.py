"""What follows from the plans and sizes of a batch's k blocks alone, once for each shape: devices send few of them."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from didymos_readings.block import Kind, Op
from didymos_readings.plans import Plan
from didymos_readings.quality import Floats
from didymos_readings.ruling import KEPT, KEPT_READINGS, Ruling, ruling_of
from didymos_readings.units import IDENTITY, Affine, Curve


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Over n readings in k blocks. Nobody writes into its arrays."""

    plans: tuple[Plan, ...]
    ruling: Ruling
    plain: bool  # the values are float64 as they came
    line: tuple[Floats, Floats] | None  # a and b of each reading; None: all are in their unit
    curves: tuple[tuple[slice, Curve], ...]
    points: tuple[int, ...]  # which blocks


def frame_of(plans: tuple[Plan, ...], counts: tuple[int, ...]) -> Frame:
    """Of blocks with these plans (by identity: those of a profile are made once) and numbers of readings."""
    return _known(plans, counts) if sum(counts) <= KEPT_READINGS else _frame(plans, counts)


def _frame(plans: tuple[Plan, ...], counts: tuple[int, ...]) -> Frame:
    ruling = ruling_of(tuple(plan.rule for plan in plans), counts)
    lines = [plan.conversion if isinstance(plan.conversion, Affine) else IDENTITY for plan in plans]
    line = None
    if any(each is not IDENTITY for each in lines):
        spread = ruling.layout.spread
        line = np.array([each.a for each in lines]).repeat(spread), np.array([each.b for each in lines]).repeat(spread)
    placed = zip(plans, ruling.layout.starts, counts, strict=True)
    return Frame(
        plans, ruling,
        plain=all(plan.kind is Kind.F64 and plan.op is Op.READING for plan in plans),
        line=line,
        curves=tuple(
            (slice(start, start + count), plan.conversion)
            for plan, start, count in placed if isinstance(plan.conversion, Curve)
        ),
        points=tuple(at for at, plan in enumerate(plans) if plan.kind is Kind.POINT and plan.op is Op.READING),
    )  # fmt: skip


_known: Final = lru_cache(KEPT)(_frame)
