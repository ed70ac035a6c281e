"""Several batches normalised in one pass over the readings of all: of each the same as `normalise` gives, bit for bit.

An array of twenty readings costs as much to make as to work on, so batches that come in at one moment are one array. A
block is judged by itself, so nothing of one batch depends on another.
"""

from collections.abc import Sequence
from functools import partial
from itertools import repeat
from typing import Final, NamedTuple

import numpy as np

from didymos_readings.batch import Batch
from didymos_readings.block import Block
from didymos_readings.errors import Refusal
from didymos_readings.frames import frame_of
from didymos_readings.normalise import (
    Columns,
    Enrolment,
    Normalised,
    NormalisedBlock,
    admitted_blocks,
    columns_of,
    join,
    normalise,
    valid_readings,
)
from didymos_readings.plans import Plan
from didymos_readings.profile import Profile
from didymos_readings.quality import Assurance, Scores
from didymos_readings.scoring import Series, score

_normalised_block: Final = partial(tuple.__new__, NormalisedBlock)  # `_make` at the speed of C


class _Admitted(NamedTuple):
    """A batch of which nothing is refused so far, and where it stands among those given."""

    at: int
    batch: Batch
    blocks: Sequence[Block]
    plans: Sequence[Plan]


def normalise_together(
    batches: Sequence[tuple[Batch, Enrolment]], profile: Profile, received_at_us: int,
    assurance: Assurance = Assurance.DEVICE,
) -> list[tuple[Normalised, list[Refusal]]]:  # fmt: skip
    """`normalise` of each, in order. Those that something may be refused of, or without a clock, go by themselves."""
    alike: dict[bool, list[_Admitted]] = {}
    for at, (batch, enrolment) in enumerate(batches if len(batches) > 1 else ()):
        if batch.header.sent_at_us:
            blocks, plans, refusals = admitted_blocks(batch, profile, enrolment)
            if not refusals:
                alike.setdefault(batch.header.backfill, []).append(_Admitted(at, batch, blocks, plans))
    found: dict[int, tuple[Normalised, list[Refusal]]] = {}
    for backfill, admitted in alike.items():
        if len(admitted) > 1:
            for each, normalised in zip(
                admitted, _pass(admitted, profile, received_at_us, assurance, backfill=backfill), strict=False
            ):
                found[each.at] = normalised, []
    return [
        found.get(at) or normalise(batch, profile, received_at_us, enrolment, assurance)
        for at, (batch, enrolment) in enumerate(batches)
    ]


def _pass(
    admitted: Sequence[_Admitted], profile: Profile, received_at_us: int, assurance: Assurance, *, backfill: bool
) -> list[Normalised]:
    """Of all, or of none: then something is refused."""
    blocks = [block for each in admitted for block in each.blocks]
    plans = tuple([plan for each in admitted for plan in each.plans])
    with np.errstate(all="ignore"):
        joined = join(blocks, frame_of(plans, tuple([block.size for block in blocks])), 0)
        if valid_readings(joined, received_at_us) is not None:
            return []
        series = Series(joined.values, joined.frame.ruling, joined.bounds, joined.times)
        scores = score(series, received_at_us, assurance, backfill=backfill)
    columns = columns_of(joined, None, scores, no_time=False)
    (lows, highs), found, first, start = joined.bounds, [], 0, 0
    for each in admitted:
        last, end = first + len(each.blocks), start + each.batch.count
        mine = Columns(columns.values[start:end], columns.quality[start:end], columns.flags[start:end], 0)
        said = _part(scores, slice(first, last), slice(start, end), mine)
        starts, sizes = [block.first for block in each.blocks], [block.size for block in each.blocks]
        parts = zip(
            each.blocks, each.plans, repeat(mine), starts, sizes, said.completeness, lows[first:last],
            highs[first:last], strict=False,
        )  # fmt: skip
        made = tuple(map(_normalised_block, parts))
        found.append(Normalised(each.batch, profile.id, received_at_us, assurance, 0, made, said, mine))
        first, start = last, end
    return found


def _part(scores: Scores, blocks: slice, readings: slice, columns: Columns) -> Scores:
    shares = {name: share[readings] for name, share in scores.shares.items() if np.count_nonzero(share[readings] < 1)}
    return Scores(
        columns.quality, columns.flags, scores.completeness[blocks], shares, scores.blocks[blocks],
        scores.counts[blocks],
    )  # fmt: skip
