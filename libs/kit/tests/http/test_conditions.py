"""Idempotency keys, cursors and ETags."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_OVERLOADED
from didymos_did import Did
from didymos_kit.http import PUBLIC
from didymos_kit.http.etag import IfMatch, IfMatchHeader, etag, is_known
from didymos_kit.http.idempotency import Answers, idempotent
from didymos_kit.http.paging import Cursors, Position
from didymos_testing.clock import FixedClock
from didymos_testing.idempotency import IdempotencyContract, MemoryAnswers
from didymos_testing.kit import a_client, problem_codes
from fastapi import APIRouter, Request, Response
from hypothesis import given
from hypothesis import strategies as st


@asynccontextmanager
async def memory() -> AsyncIterator[Answers]:
    yield MemoryAnswers()


class TestMemoryAnswers(IdempotencyContract):
    opening = staticmethod(memory)


class Shop:
    """A route that counts how often it does its work."""

    def __init__(self) -> None:
        self.orders: list[bytes] = []
        self.answers, self.clock = MemoryAnswers(), FixedClock()
        self.gate = asyncio.Event()
        self.gate.set()
        self.fails = False

    def routes(self) -> APIRouter:
        router = APIRouter(prefix="/v1", dependencies=[PUBLIC])

        @router.post("/orders")
        async def order(request: Request) -> Response:
            async def work() -> Response:
                await self.gate.wait()
                if self.fails:
                    raise PLATFORM_OVERLOADED.problem()
                self.orders.append(await request.body())
                return Response(f"order {len(self.orders)}", 201, {"etag": etag(len(self.orders))}, "text/plain")

            return await idempotent(request, Did("did:key:zAlice"), self.answers, self.clock, work)

        return router


KEYED = {"idempotency-key": '"abc"'}


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def client(shop: Shop) -> Any:
    async with a_client(shop.routes()) as made:
        yield made


async def test_a_request_sent_again_is_answered_again_and_done_once(client: httpx.AsyncClient, shop: Shop) -> None:
    first, again = [await client.post("/v1/orders", content=b"tea", headers=KEYED) for _ in range(2)]
    assert (again.status_code, again.text, again.headers["etag"]) == (201, first.text, '"1"')
    assert [answer.headers.get("idempotency-replayed") for answer in (first, again)] == [None, "true"]
    assert shop.orders == [b"tea"]


async def test_the_same_key_with_another_body_is_refused(client: httpx.AsyncClient, shop: Shop) -> None:
    await client.post("/v1/orders", content=b"tea", headers=KEYED)
    answer = await client.post("/v1/orders", content=b"cake", headers=KEYED)
    assert problem_codes([answer]) == [(422, "platform.idempotency_mismatch")]
    assert shop.orders == [b"tea"]


async def test_while_the_first_is_in_flight_the_second_is_told_to_wait(client: httpx.AsyncClient, shop: Shop) -> None:
    shop.gate.clear()
    first = asyncio.create_task(client.post("/v1/orders", content=b"tea", headers=KEYED))
    await asyncio.sleep(0.05)
    second = await client.post("/v1/orders", content=b"tea", headers=KEYED)
    shop.gate.set()
    assert problem_codes([second]) == [(409, "platform.idempotency_busy")]
    assert second.headers["retry-after"] == "1"
    assert (await first).status_code == 201


async def test_a_failure_may_be_tried_again_under_its_key(client: httpx.AsyncClient, shop: Shop) -> None:
    shop.fails = True
    failed = await client.post("/v1/orders", content=b"tea", headers=KEYED)
    shop.fails = False
    assert failed.status_code == 429
    assert (await client.post("/v1/orders", content=b"tea", headers=KEYED)).status_code == 201


async def test_after_a_day_a_key_is_new(client: httpx.AsyncClient, shop: Shop) -> None:
    await client.post("/v1/orders", content=b"tea", headers=KEYED)
    shop.clock.advance(timedelta(hours=24).total_seconds())
    await client.post("/v1/orders", content=b"tea", headers=KEYED)
    assert shop.orders == [b"tea"] * 2


async def test_without_a_key_each_request_counts(client: httpx.AsyncClient, shop: Shop) -> None:
    for _ in range(2):
        await client.post("/v1/orders", content=b"tea")
    assert shop.orders == [b"tea"] * 2


@pytest.mark.parametrize("key", ["", '""', "a b", "x" * 129, '"a"b"'])
async def test_a_key_that_is_none_is_malformed(client: httpx.AsyncClient, shop: Shop, key: str) -> None:
    answer = await client.post("/v1/orders", content=b"tea", headers={"idempotency-key": key})
    assert problem_codes([answer]) == [(400, "platform.malformed")]
    assert shop.orders == []


SECRET = b"s" * 32
QUERY = {"caller": "did:key:zAlice", "state": "active"}


def after(rows: list[int], position: Position | None, limit: int) -> list[int]:
    """What a store does: rows after the position, in order, one more than asked for."""
    return [row for row in sorted(rows) if position is None or row > int(position[0])][: limit + 1]


@given(
    st.sets(st.integers(0, 300), max_size=60),
    st.lists(st.sets(st.integers(0, 300), max_size=5), max_size=30),
    st.integers(1, 9),
)
def test_pages_skip_and_repeat_nothing_while_rows_are_added(rows: set[int], added: list[set[int]], limit: int) -> None:
    cursors, seen, cursor, now = Cursors(SECRET, "twins"), list[int](), None, set(rows)
    for number in range(400):
        page = cursors.page(after(list(now), cursors.read(cursor, QUERY), limit), limit, lambda row: (row,), QUERY)
        seen += page.rows
        cursor = page.next
        if cursor is None:
            break
        now |= added[number] if number < len(added) else set()
    assert seen == sorted(set(seen))
    assert rows <= set(seen)


@given(st.lists(st.text(max_size=20) | st.integers(-(2**53) + 1, 2**53 - 1), max_size=4))
def test_a_cursor_is_read_as_it_was_written(position: list[str | int]) -> None:
    cursors = Cursors(SECRET, "twins")
    assert cursors.read(cursors.write(tuple(position), QUERY), QUERY) == tuple(position)


@pytest.mark.parametrize("change", ["query", "caller", "listing", "secret", "byte", "text", "empty"])
def test_a_cursor_of_another_query_caller_listing_or_maker_is_malformed(change: str) -> None:
    cursor = Cursors(SECRET, "twins").write((7, "x"), QUERY)
    query = {**QUERY, **{"query": {"state": "any"}, "caller": {"caller": "did:key:zBob"}}.get(change, {})}
    reader = Cursors(b"t" * 32 if change == "secret" else SECRET, "grants" if change == "listing" else "twins")
    cursor = {"byte": cursor[:-1] + ("A" if cursor[-1] != "A" else "B"), "text": "é!", "empty": ""}.get(change, cursor)
    with pytest.raises(Problem) as raised:
        reader.read(cursor, query)
    assert (raised.value.row.code, raised.value.values["pointer"]) == ("platform.malformed", "?cursor")


def conditional() -> APIRouter:
    router = APIRouter(prefix="/v1", dependencies=[PUBLIC])

    @router.put("/twin")
    async def change(match: IfMatchHeader) -> int | None:
        match.check(5)
        return match.revision

    @router.get("/twin")
    async def read(request: Request) -> Response:
        return Response(status_code=304 if is_known(request, 5) else 200)

    return router


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('"5"', (200, 5)),
        ("*", (200, None)),
        (None, (428, "platform.precondition_required")),
        ("", (428, "platform.precondition_required")),
        ('"4"', (412, "platform.stale")),
        ('W/"5"', (412, "platform.stale")),
        ("5", (400, "platform.malformed")),
        ('"5', (400, "platform.malformed")),
        ('"5" "6"', (400, "platform.malformed")),
    ],
)
async def test_a_change_needs_the_revision_that_was_seen(header: str | None, expected: tuple[int, Any]) -> None:
    async with a_client(conditional()) as client:
        answer = await client.put("/v1/twin", headers={} if header is None else {"if-match": header})
    assert (answer.status_code, answer.json()["code"] if answer.is_error else answer.json()) == expected


def test_any_of_a_list_of_tags_will_do_where_no_single_revision_is_asked_for() -> None:
    IfMatch(frozenset({"4", "5"})).check(5)
    with pytest.raises(Problem, match="malformed"):
        _ = IfMatch(frozenset({"4", "5"})).revision
    with pytest.raises(Problem, match="malformed"):
        _ = IfMatch(frozenset({"x"})).revision


@pytest.mark.parametrize(("header", "status"), [('"5"', 304), ('W/"5", "9"', 304), ("*", 304), ('"4"', 200), ("", 200)])
async def test_what_is_known_is_not_sent_again(header: str, status: int) -> None:
    async with a_client(conditional()) as client:
        assert (await client.get("/v1/twin", headers={"if-none-match": header})).status_code == status
