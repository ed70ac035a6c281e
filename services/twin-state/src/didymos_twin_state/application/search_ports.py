"""How twins are found among many: by what stands in clear, and along relations. data-path.md sections 12 and 13."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from didymos_twin_state.domain.geo import Place
from didymos_twin_state.domain.search import Filter


@dataclass(frozen=True, slots=True)
class Wanted:
    """`kind`: the name of a profile in any version. `cells`: inclusive ranges of Morton codes; None: anywhere."""

    owner: str = ""
    kind: str = ""
    filters: tuple[Filter, ...] = ()
    cells: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A living twin. `where`: the property that says its place."""

    twin: str
    owner: str
    profile: str
    lifecycle: int
    revision: int
    where: str
    place: Place | None


@dataclass(frozen=True, slots=True)
class Edge:
    source: str
    name: str
    target: str
    accepted: bool


class TwinSearch(Protocol):
    async def find(self, wanted: Wanted, after: str, limit: int) -> Sequence[Found]:
        """Twins that fit, by id from `after` on, whoever may see them."""

    async def edges_from(self, twins: Sequence[str]) -> Sequence[Edge]:
        """All edges from these twins, by source, name and target."""

    async def edges_to(self, twins: Sequence[str]) -> Sequence[Edge]:
        """Accepted edges that end in these twins, in the same order."""
