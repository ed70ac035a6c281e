"""One transaction per use case, and a short wait for the place of its events in the log. style.md 3, platform.md 6."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from starlette.responses import Response

from didymos_kit.database.engine import Database
from didymos_kit.database.relay import Relay, token_of
from didymos_kit.database.unit_of_work import Transaction

TOKEN: Final = "Consistency-Token"  # noqa: S105 - the name of a header
PLACED_SECONDS: Final = 0.5
Work = TypeVar("Work")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Done(Generic[Value]):
    """What a use case answered. `token` names where its events lie; `placed`: whether that is known already."""

    value: Value
    token: str
    placed: bool


class Dispatcher(Generic[Work]):
    """`await dispatch(lambda work: revoke_grant(revocation, work, clock))`: committed when it returns."""

    def __init__(
        self, database: Database, work_of: Callable[[Transaction], Work], relay: Relay,
        placed_within_seconds: float = PLACED_SECONDS,
    ) -> None:  # fmt: skip
        self._database, self._work_of, self._relay = database, work_of, relay
        self._seconds = placed_within_seconds

    async def __call__(self, use_case: Callable[[Work], Awaitable[Value]]) -> Done[Value]:
        """Raises what the use case raises, after a rollback, and `platform.unavailable`."""
        async with self._database.unit_of_work() as tx:
            value = await use_case(self._work_of(tx))
        rows = [event.row for event in tx.published if event.row is not None]
        if not rows:
            return Done(value, "", placed=True)
        positions = await self._relay.placed(rows, self._seconds)
        return Done(value, "" if positions is None else token_of(positions), placed=positions is not None)


def answer(response: Response, done: Done[Value]) -> Value:
    """Say the token in the header; 202 while the events are committed but not yet known to be in the log."""
    if done.token:
        response.headers[TOKEN] = done.token
    if not done.placed:
        response.status_code = 202
    return done.value
