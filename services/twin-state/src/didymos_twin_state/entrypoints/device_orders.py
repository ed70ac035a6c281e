"""What a device is to do, as it changes: looked at anew with each change of its twins, and as enrolments and time pass.

What a device has is known by a mark over the content. It is told at least once: whoever comes with another mark, or
with none, gets the whole.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from didymos_did import Did, TwinId, jcs
from didymos_did.multibase import b64u
from didymos_kit.clock import Clock
from didymos_kit.http.live import Event

from didymos_twin_state.adapters.changes import ChangeFeed, Subscription
from didymos_twin_state.application.read_orders import (
    ACTIONS,
    Enrolments,
    Paths,
    enrolled_paths,
    orders_of,
    read_states,
)
from didymos_twin_state.application.read_twin import Twins
from didymos_twin_state.domain.twin import TwinState, Wish
from didymos_twin_state.entrypoints.shapes import value_json

LOOK_SECONDS: Final = 1.0  # enrolments end, and wishes expire, without a change of the twin
MARK_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Told:
    """What a device is told, and the mark that it comes back with."""

    mark: str
    said: dict[str, Any]

    def event(self) -> Event:
        return Event(self.mark, "desired", json.dumps(self.said))


@dataclass(frozen=True, slots=True)
class DeviceOrders:
    feed: ChangeFeed
    twins: Twins
    enrolments: Enrolments
    clock: Clock

    def allowed(self, device: Did) -> Paths:
        """Raises PLATFORM_NOT_FOUND for a device that no owner lets write now."""
        return enrolled_paths(device, self.enrolments, self.clock.now_us())

    async def changes(self, device: Did, mark: str) -> AsyncIterator[Told | None]:
        """All of it whenever it is other than what `mark` says; None at each look that found nothing else.

        Raises PLATFORM_NOT_FOUND when the enrolment ends, READ_TOKEN_TIMEOUT.
        """
        while True:
            paths = self.allowed(device)
            with self.feed.watch(paths, coalesce=True) as subscription:  # before the states are read
                states = await read_states(paths, self.twins)
                while (now := self.allowed(device)).keys() == paths.keys():
                    told = self._told(states, now)
                    yield None if told.mark == mark else told
                    mark = told.mark
                    if await _changed(subscription):
                        states = await read_states(paths, self.twins)

    def _told(self, states: Mapping[TwinId, TwinState], paths: Paths) -> Told:
        orders = orders_of(states, paths, self.clock.now_us())
        twins: dict[str, Any] = {}
        for twin in sorted({*orders.desired, *orders.actions}):
            twins[twin] = {
                "desired": {name: _wish(wish) for name, wish in sorted(orders.desired.get(twin, {}).items())},
                "actions": {
                    name: _wish(wish) | {"id": _id(twin, name, wish)}
                    for name, wish in sorted(orders.actions.get(twin, {}).items())
                },
            }
        mark = b64u(sha256(json.dumps(twins, sort_keys=True).encode()).digest()[:MARK_BYTES])
        return Told(mark, {"after": mark, "twins": twins})


async def _changed(subscription: Subscription) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            await subscription.take()
            subscription.afresh.clear()
            return True
    return False


def _wish(wish: Wish) -> dict[str, Any]:
    """Who wants it is nothing to a device."""
    return {
        "value": value_json(wish.value), "unit": wish.unit, "set_at_us": wish.set_at_us,
        "expires_at_us": wish.expires_at_us,
    }  # fmt: skip


def _id(twin: TwinId, name: str, wish: Wish) -> str:
    """Of one request for an action: another for the same has another."""
    return sha256(jcs([twin, ACTIONS + name, wish.set_at_us])).hexdigest()[:32]
