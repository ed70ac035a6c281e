"""Walks end: by depth, by what may not be seen, and by how much one answer may hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from didymos_contracts.errors import Problem
from didymos_did import Did, Facts, Freshness, Ownership, TwinId
from didymos_testing.clock import FixedClock
from didymos_testing.did import NOON, OWNER, STRANGER
from didymos_testing.twin_state import MemoryHistory, MemoryHot, Mortality, PlainSeals
from didymos_twin_state.application.permits import Permits, Reader
from didymos_twin_state.application.ports import HotCommit, Marks
from didymos_twin_state.application.read_twin import Twins, part_of
from didymos_twin_state.application.search_ports import Edge, Found, Wanted
from didymos_twin_state.application.traverse_relations import NODES, Graph, Walk, traverse_relations
from didymos_twin_state.domain.twin import TwinState, pack

ME = Reader(OWNER.did, None, None)


@dataclass
class World:
    """Edges, and the twins that are not the reader's."""

    edges: list[Edge]
    others: frozenset[str] = frozenset()
    hot: MemoryHot = field(default_factory=lambda: MemoryHot(Mortality()))

    def facts(self, twin: TwinId, usage: Mapping[Any, Any]) -> Facts:
        return Facts(Ownership(STRANGER.did if twin in self.others else OWNER.did), (), Freshness.FRESH, usage=usage)

    def usage(self, twin: TwinId) -> Mapping[Any, Any]:
        return {}

    async def edges_from(self, twins: Sequence[str]) -> Sequence[Edge]:
        return [edge for edge in self.edges if edge.source in set(twins)]

    async def edges_to(self, twins: Sequence[str]) -> Sequence[Edge]:
        return [edge for edge in self.edges if edge.target in set(twins) and edge.accepted]

    async def find(self, wanted: Wanted, after: str, limit: int) -> Sequence[Found]:
        raise AssertionError("nothing is searched here")

    async def walk(self, start: str, depth: int, **changes: Any) -> Graph:
        part = part_of(start)
        await self.hot.claim(part, 1)
        state = pack(TwinState(lifecycle=2, owner=OWNER.did))
        await self.hot.commit(HotCommit(part, 1, None, Marks(1, 1), Marks(), {start: state}, {}))
        twins = Twins(self.hot, MemoryHistory(Mortality()), PlainSeals(), 0.05)
        permits = Permits(self, self, FixedClock(NOON))  # type: ignore[arg-type]
        return await traverse_relations(Walk(TwinId(Did(start)), depth, **changes), ME, permits, twins, self)


def line(*names: str, accepted: bool = True) -> list[Edge]:
    return [Edge(a, "next", b, accepted) for a, b in pairwise(names)]


async def test_a_walk_ends_by_its_depth_and_in_rings() -> None:
    assert (await World(line(*"abcdefgh")).walk("a", 5)).nodes == dict(zip("abcdef", range(6), strict=True))
    ring = await World(line(*"abca")).walk("a", 5)
    assert ring.nodes == {"a": 0, "b": 1, "c": 2}
    assert len(ring.edges) == 3


async def test_what_may_not_be_seen_leads_nowhere() -> None:
    hidden = await World(line(*"abcd"), frozenset("b")).walk("a", 5)
    assert (hidden.nodes, hidden.edges) == ({"a": 0}, ())
    around = World([*line(*"abd"), *line(*"acd")], frozenset("b"))
    assert (await around.walk("a", 2)).nodes == {"a": 0, "c": 1, "d": 2}


async def test_backwards_only_accepted_edges_lead() -> None:
    world = World([*line("a", "z"), *line("b", "z", accepted=False)])
    assert set((await world.walk("z", 1, direction="in")).nodes) == {"z", "a"}
    both = World([*line("a", "z"), *line("z", "c", accepted=False)])
    assert set((await both.walk("z", 1, direction="both")).nodes) == {"z", "a", "c"}


async def test_names_are_followed_alone() -> None:
    world = World([Edge("a", "owns", "b", accepted=True), Edge("a", "next", "c", accepted=True)])
    assert set((await world.walk("a", 5, names=frozenset({"owns"}))).nodes) == {"a", "b"}


@pytest.mark.parametrize(("targets", "refused"), [(NODES - 1, False), (NODES, True)])
async def test_more_than_ten_thousand_twins_are_too_many(targets: int, refused: bool) -> None:
    world = World([Edge("a", "next", f"t{at}", accepted=True) for at in range(targets)])
    if not refused:
        assert len((await world.walk("a", 1)).nodes) == NODES
        return
    with pytest.raises(Problem) as raised:
        await world.walk("a", 1)
    assert raised.value.row.code == "query.too_wide"
