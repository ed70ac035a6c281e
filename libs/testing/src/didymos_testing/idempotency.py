"""What every store of `Idempotency-Key` promises, and one in memory that keeps the promise."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from didymos_did import Did
from didymos_kit.http.idempotency import KEPT, LEASE, Answer, Answers, Claim, Held

from didymos_testing.clock import NOON

CLAIM = Claim(Did("did:key:zAlice"), "POST /twin-state/v1/twins", "k1", b"d" * 32, NOON)
ANSWER = Answer(201, b'{"a":1}', "application/json", (("etag", '"1"'),))


class MemoryAnswers:
    """For tests. One event loop, no awaits inside: each method is atomic."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, str], Held] = {}

    async def claim(self, claim: Claim) -> Held | None:
        held = self._held.get(self._name(claim))
        if held is not None and claim.at < held.claim.expires_at and not _abandoned(held, claim):
            return held
        self._held[self._name(claim)] = Held(claim, None)
        return None

    async def finish(self, claim: Claim, answer: Answer) -> None:
        if self._held.get(self._name(claim)) == Held(claim, None):
            self._held[self._name(claim)] = Held(claim, answer)

    async def release(self, claim: Claim) -> None:
        if self._held.get(self._name(claim)) == Held(claim, None):
            del self._held[self._name(claim)]

    def _name(self, claim: Claim) -> tuple[str, str, str]:
        return claim.principal, claim.path, claim.key


def _abandoned(held: Held, claim: Claim) -> bool:
    """Whether the first request died, and this is the same one again."""
    late = held.answer is None and claim.at - held.claim.at >= LEASE
    return late and held.claim.body_sha256 == claim.body_sha256


def later(claim: Claim, by: timedelta) -> Claim:
    return replace(claim, at=claim.at + by)


class IdempotencyContract:
    """Subclass with `opening`, a context manager that gives an empty store."""

    opening: ClassVar[Callable[[], AbstractAsyncContextManager[Answers]]]

    async def test_one_of_many_at_once_gets_the_claim(self) -> None:
        async with type(self).opening() as answers:
            held = await asyncio.gather(*(answers.claim(CLAIM) for _ in range(8)))
        assert held.count(None) == 1  # noqa: S101 - a test
        assert {found.answer for found in held if found} == {None}  # noqa: S101 - a test

    async def test_a_finished_answer_is_given_back_until_a_day_is_over(self) -> None:
        async with type(self).opening() as answers:
            await answers.claim(CLAIM)
            await answers.finish(CLAIM, ANSWER)
            assert await answers.claim(later(CLAIM, timedelta(hours=23))) == Held(CLAIM, ANSWER)  # noqa: S101 - a test
            assert await answers.claim(later(CLAIM, KEPT)) is None  # noqa: S101 - a test

    async def test_callers_paths_and_keys_do_not_meet(self) -> None:
        async with type(self).opening() as answers:
            others: list[dict[str, Any]] = [{}, {"principal": Did("did:key:zBob")}, {"path": "POST /x"}, {"key": "k2"}]
            held = [await answers.claim(replace(CLAIM, **other)) for other in others]
        assert held == [None] * 4  # noqa: S101 - a test

    async def test_a_released_claim_is_free_and_a_finished_one_is_not(self) -> None:
        async with type(self).opening() as answers:
            await answers.claim(CLAIM)
            await answers.release(CLAIM)
            assert await answers.claim(CLAIM) is None  # noqa: S101 - a test
            await answers.finish(CLAIM, ANSWER)
            await answers.release(CLAIM)
            assert await answers.claim(CLAIM) == Held(CLAIM, ANSWER)  # noqa: S101 - a test

    async def test_a_request_that_died_is_taken_over_and_comes_too_late(self) -> None:
        async with type(self).opening() as answers:
            await answers.claim(CLAIM)
            second = later(CLAIM, LEASE)
            assert await answers.claim(second) is None  # noqa: S101 - a test
            await answers.finish(CLAIM, replace(ANSWER, status=500))
            await answers.release(CLAIM)
            assert await answers.claim(later(second, timedelta(seconds=1))) == Held(second, None)  # noqa: S101 - a test

    async def test_another_body_never_takes_over(self) -> None:
        async with type(self).opening() as answers:
            await answers.claim(CLAIM)
            other = replace(later(CLAIM, LEASE), body_sha256=b"e" * 32)
            assert await answers.claim(other) == Held(CLAIM, None)  # noqa: S101 - a test
