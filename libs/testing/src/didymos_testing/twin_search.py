"""What each adapter of twin-state's search promises. Subclasses give the fixture `stores`."""

# ruff: noqa: S101 - a contract is made of tests
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import TypeAlias

from didymos_twin_state.application.ports import Dirty, Marks, TwinHistory, TwinRow
from didymos_twin_state.application.search_ports import Edge, TwinSearch, Wanted
from didymos_twin_state.domain.geo import Place, boxes_near, distance_m, ranges_of
from didymos_twin_state.domain.search import Clear, Filter
from didymos_twin_state.domain.twin import Lifecycle, Relation

from didymos_testing.twin_stores import PART, a_twin

Stores: TypeAlias = tuple[TwinHistory, TwinSearch]


def a_tracker(name: str, place: Place | None = None, **attributes: float | str) -> TwinRow:
    clear = Clear(attributes, "tracker/place" if place else "", place)
    return replace(a_twin(name), profile="tracker@1", clear=clear)


async def holding(history: TwinHistory, *rows: TwinRow, at: int = 0) -> None:
    claimed = await history.claim(PART, "a")
    dirty = Dirty(twins={row.twin: row for row in rows})
    await history.checkpoint(PART, claimed.epoch, Marks(0, at), Marks(0, at + 1), dirty)


async def names(search: TwinSearch, wanted: Wanted, after: str = "", limit: int = 100) -> list[str]:
    return [row.twin for row in await search.find(wanted, after, limit)]


class SearchContract:
    """Clear columns are found by type, owner, value and place; nothing is found of who was erased."""

    async def test_twins_are_found_by_owner_and_type_page_by_page(self, stores: Stores) -> None:
        other = replace(a_twin("d"), profile="glucose-flash@1")
        rows = [a_twin("a"), a_tracker("b"), replace(a_twin("c"), profile="glucose@2", owner="did:key:p"), other]
        await holding(stores[0], *rows, a_twin("e", Lifecycle.ERASED))
        assert await names(stores[1], Wanted()) == ["a", "b", "c", "d"]
        assert await names(stores[1], Wanted(kind="glucose")) == ["a", "c"]
        assert await names(stores[1], Wanted(kind="glucose", owner="did:key:o")) == ["a"]
        assert await names(stores[1], Wanted(), "a", 2) == ["b", "c"]

    async def test_values_are_compared(self, stores: Stores) -> None:
        rows = [a_tracker(name, battery=charge, status=said) for name, charge, said in
                [("a", 10.0, "moving"), ("b", 20.0, "parked"), ("c", 30.0, "parked")]]  # fmt: skip
        await holding(stores[0], *rows, a_twin("d"))

        async def found(*filters: Filter) -> list[str]:
            return await names(stores[1], Wanted(filters=filters))

        assert await found(Filter("battery", "lt", 20.0)) == ["a"]
        assert await found(Filter("battery", "ge", 20.0), Filter("status", "eq", "parked")) == ["b", "c"]
        assert await found(Filter("battery", "ne", 20.0)) == ["a", "c"]
        assert await found(Filter("battery", "eq", "20")) == []
        assert await found(Filter("speed", "gt", 0.0)) == []
        await holding(stores[0], a_tracker("a", battery=25.0), at=1)
        assert await found(Filter("battery", "lt", 20.0)) == []
        assert await found(Filter("status", "eq", "moving")) == []

    async def test_places_are_found_by_cells_as_by_measuring(self, stores: Stores) -> None:
        draw = Random(7)
        spots = [Place(draw.uniform(-180, 180), draw.uniform(-90, 90)) for _ in range(300)]
        spots += [Place(180.0, 0.1), Place(-180.0, -0.1), Place(0.0, 90.0), Place(90.0, -90.0), Place(179.99, 0.0)]
        rows = [a_tracker(f"{at:03}", place) for at, place in enumerate(spots)]
        await holding(stores[0], *rows, a_tracker("nowhere"))
        centres = [Place(180, 0), Place(-179.9, 0), Place(10, 89.9), Place(-40, -89.9), Place(8, 50), Place(0, 0)]
        for centre in centres:
            for radius_m in (50_000.0, 2_000_000.0, 15_000_000.0):
                wanted = Wanted(cells=tuple(ranges_of(boxes_near(centre, radius_m))))
                rows_found = await stores[1].find(wanted, "", 1_000)
                near = [row.twin for row in rows_found if row.place and distance_m(centre, row.place) <= radius_m]
                brute = [f"{at:03}" for at, place in enumerate(spots) if distance_m(centre, place) <= radius_m]
                assert near == brute
        await holding(stores[0], a_tracker("000"), at=1)
        (row,) = await stores[1].find(Wanted(), "", 1)
        assert (row.twin, row.place, row.where) == ("000", None, "")

    async def test_edges_lead_out_and_back_once_accepted(self, stores: Stores) -> None:
        edges = (Relation("near", "b", accepted=True), Relation("owns", "c", accepted=False))
        await holding(stores[0], a_twin("a", Lifecycle.ACTIVE, *edges), a_twin("b"), a_twin("c"))
        many: Sequence[str] = ["a", *(f"x{at}" for at in range(1200))]
        near, owns = Edge("a", "near", "b", accepted=True), Edge("a", "owns", "c", accepted=False)
        assert list(await stores[1].edges_from(many)) == [near, owns]
        assert list(await stores[1].edges_to(["b", "c"])) == [near]

    async def test_nothing_is_found_of_an_erased_twin(self, stores: Stores) -> None:
        await holding(stores[0], a_tracker("a", Place(1, 1), battery=1.0))
        erased = replace(a_tracker("a"), lifecycle=int(Lifecycle.ERASED))
        await holding(stores[0], erased, at=1)
        await holding(stores[0], a_tracker("b"), at=2)
        assert await names(stores[1], Wanted()) == ["b"]
        assert await names(stores[1], Wanted(filters=(Filter("battery", "gt", 0.0),))) == []
