"""Waiting for what a consistency token names: our parts in our stores, the others in the tails."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from didymos_kit.clock import Clock
from fastapi import Header

from didymos_twin_state.application.read_history import Past
from didymos_twin_state.application.read_twin import Twins
from didymos_twin_state.entrypoints.shapes import places_of

TokenHeader: TypeAlias = Annotated[str | None, Header(alias="Consistency-Token", max_length=4096)]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """`tails`: waits for identity, consent and profiles. All raise READ_TOKEN_TIMEOUT or PLATFORM_DEADLINE."""

    tails: Callable[[str | None, float], Awaitable[None]]
    twins: Twins
    past: Past
    clock: Clock

    async def facts(self, token: str | None) -> None:
        """The owners, grants and profiles that are named are known."""
        await self.tails(token, self.twins.seconds)

    async def applied(self, token: str | None) -> None:
        """The states that are named are visible."""
        await self.tails(token, self.twins.seconds)
        await self.twins.wait(places_of(token))

    async def durable(self, token: str | None) -> None:
        """The parcels and projections that are named are stored."""
        await self.tails(token, self.twins.seconds)
        await self.past.wait(places_of(token))
