"""Walks along relations, with consent asked at each hop. data-path.md sections 12 and 13."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import QUERY_TOO_WIDE
from didymos_did import Did, TwinId

from didymos_twin_state.application.permits import Permits, Reader
from didymos_twin_state.application.read_twin import Twins
from didymos_twin_state.application.search_ports import Edge, TwinSearch
from didymos_twin_state.application.search_twins import may_see

DEPTH: Final = 5
NODES: Final = 10_000
EDGES: Final = 100_000
Direction: TypeAlias = Literal["out", "in", "both"]


@dataclass(frozen=True, slots=True)
class Walk:
    """`names`: of the relations to follow; none: all."""

    start: TwinId
    depth: int
    direction: Direction = "out"
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Graph:
    """Twins by their distance from the start, and the edges between them."""

    nodes: dict[str, int]
    edges: tuple[Edge, ...]


async def traverse_relations(walk: Walk, reader: Reader, permits: Permits, twins: Twins, store: TwinSearch) -> Graph:
    """All twins that can be reached through twins that the reader may see, breadth first.

    A twin that may not be seen is not there, nor is any edge to it. Backwards only accepted edges lead. Raises
    PLATFORM_NOT_FOUND for a start that may not be seen, QUERY_TOO_WIDE, CONSENT_STALE.
    """
    if not await may_see(walk.start, reader, permits, twins):
        raise PLATFORM_NOT_FOUND.problem(twin=walk.start)
    nodes: dict[str, int] = {walk.start: 0}
    hidden: set[str] = set()
    edges: dict[tuple[str, str, str], Edge] = {}
    rim = [str(walk.start)]
    for depth in range(1, walk.depth + 1):
        reached: list[str] = []
        for edge in await _edges(walk, rim, store):
            for end in (edge.source, edge.target):
                if end in nodes or end in hidden:
                    continue
                twin = TwinId(Did(end))
                if not permits.is_owner(reader, twin) and not await may_see(twin, reader, permits, twins):
                    hidden.add(end)
                    continue
                nodes[end] = depth
                reached.append(end)
            if edge.source in nodes and edge.target in nodes:
                edges[edge.source, edge.name, edge.target] = edge
            if len(nodes) > NODES or len(edges) > EDGES:
                raise QUERY_TOO_WIDE.problem(limit=NODES, detail="ask for fewer hops or fewer names")
        if not reached:
            break
        rim = reached
    return Graph(nodes, tuple(edges[key] for key in sorted(edges)))


async def _edges(walk: Walk, rim: Sequence[str], store: TwinSearch) -> list[Edge]:
    found: list[Edge] = []
    if walk.direction != "in":
        found += await store.edges_from(rim)
    if walk.direction != "out":
        found += await store.edges_to(rim)
    return [edge for edge in found if not walk.names or edge.name in walk.names]
