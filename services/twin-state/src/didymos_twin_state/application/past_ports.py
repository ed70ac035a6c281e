"""What the past is stored in: fresh parcels, series, rollups. data-path.md section 11; ADR 105."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from didymos_twin_state.application.ports import SealedBlob, StoredParcel


@dataclass(frozen=True, slots=True)
class FreshParcel:
    """A parcel that no series holds yet. `t_max_us`: of its last reading."""

    stored: StoredParcel
    index: int  # within its record
    t_max_us: int


@dataclass(frozen=True, slots=True)
class Due:
    """A twin with parcels to fold."""

    twin: str
    profile: str


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """Settled readings of one property in the bucket that begins at `bucket_us`, sealed."""

    name: str
    bucket_us: int
    t_min_us: int
    t_max_us: int
    readings: int
    blob: SealedBlob


@dataclass(frozen=True, slots=True)
class Extent:
    """What stands in clear of a row of series."""

    bucket_us: int
    t_max_us: int
    readings: int


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """Entries of one step from `bucket_us` on, sealed."""

    name: str
    step_us: int
    bucket_us: int
    blob: SealedBlob


@dataclass(frozen=True, slots=True)
class Glance:
    """What to look at of a property: fresh parcels of `span`, series of `stretches`, chunks of `step_us`.

    `most`: series that hold more readings are left out. `step_us` 0: no chunks.
    """

    part: int
    twin: str
    name: str
    span: tuple[int, int]
    stretches: Sequence[tuple[int, int]]
    most: int
    step_us: int = 0
    chunks: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Window:
    """All of one moment. `more`: there are more fresh parcels. `readings`: of the series, left out or not."""

    fresh: Sequence[FreshParcel]
    more: bool
    series: Sequence[SeriesRow]
    readings: int
    chunks: Sequence[ChunkRow]


@dataclass(frozen=True, slots=True)
class Folding:
    """What folding some parcels of a twin writes. `gone`: (property, from, to) whose series rows these replace."""

    twin: str
    part: int
    parcels: Sequence[tuple[int, int]]  # offset and index
    gone: Sequence[tuple[str, int, int]]
    series: Sequence[SeriesRow]
    chunks: Sequence[ChunkRow]


@dataclass(frozen=True, slots=True)
class Ages:
    """What may go: parcels that are folded, series and chunks that were sealed in a key epoch (day) before these.

    So age counts from when something came, or was last folded: old data that is imported today is kept like new.
    """

    parcels: int
    series: int
    chunks: Mapping[int, int]  # by step
    today: int  # where an owner said how many days its twin's past is kept, all of it goes by that


class TwinPast(Protocol):
    """Read fresh parcels first, then series and rollups: what is folded in between is then seen twice, never lost."""

    async def window(self, glance: Glance) -> Window:
        """What one answer needs, in one transaction."""

    async def extents(self, twin: str, name: str, from_us: int, to_us: int, limit: int) -> Sequence[Extent]:
        """The first rows of series that hold readings of the half-open span, by bucket, without what is sealed."""

    def fresh(self, part: int, twin: str, from_us: int, to_us: int, /) -> AsyncIterator[FreshParcel]:
        """Parcels that no series holds and that may hold readings of the half-open span, by their first reading."""

    async def series(self, twin: str, name: str, from_us: int, to_us: int) -> Sequence[SeriesRow]:
        """Rows that hold readings of the half-open span, by bucket."""

    async def chunks(self, twin: str, name: str, step_us: int, from_us: int, to_us: int) -> Sequence[ChunkRow]:
        """Rows of a step whose bucket begins in the half-open span, by bucket."""

    async def due(self, part: int, before_us: int, after: str, limit: int, /) -> Sequence[Due]:
        """Twins by id from `after` on, with fresh parcels whose last reading is before `before_us`."""

    async def fold(self, folding: Folding) -> bool:
        """Write it all in one transaction; False, and nothing is written, if one of its parcels is fresh no more."""

    async def expire(self, ages: Ages, limit: int) -> int:
        """Delete what is too old, at most `limit` rows of each table. How many went."""
