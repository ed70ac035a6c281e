"""Writes: authorised here, then appended to the internal topic, then applied by the one writer of the partition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from didymos_contracts.errors import Row
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.twin import (
    DESIRED_OUT_OF_BOUNDS,
    TWIN_EXISTS,
    TWIN_LIFECYCLE_REFUSED,
    TWIN_REVISION_CONFLICT,
    TWIN_TOO_MANY_DESIRED,
    TWIN_TOO_MANY_RELATIONS,
)
from didymos_did import Action, TwinId
from didymos_readings import Profile

from didymos_twin_state.application.permits import Permits, Reader, feature
from didymos_twin_state.application.ports import HotTwins, Marks
from didymos_twin_state.application.read_twin import Twins, part_of
from didymos_twin_state.domain.command import Command, Create, Outcome, PatchDesired
from didymos_twin_state.domain.twin import Scalar, TwinState

_ROWS: Final[Mapping[Outcome, Row]] = {
    Outcome.REVISION_CONFLICT: TWIN_REVISION_CONFLICT,
    Outcome.EXISTS: TWIN_EXISTS,
    Outcome.UNKNOWN: PLATFORM_NOT_FOUND,
    Outcome.LIFECYCLE: TWIN_LIFECYCLE_REFUSED,
    Outcome.TOO_MANY: TWIN_TOO_MANY_RELATIONS,
    Outcome.TOO_MANY_DESIRED: TWIN_TOO_MANY_DESIRED,
}


class WriteLog(Protocol):
    async def append(self, command: Command) -> int:
        """The offset of the write in the partition of its twin. Raises `platform.unavailable`."""


@dataclass(frozen=True, slots=True)
class Written:
    """A write that is in the log. `state` is the twin after it; None while it is not applied yet."""

    token: str
    state: TwinState | None


@dataclass(frozen=True, slots=True)
class Pen:
    """What a write needs: the log, and the hot store that tells what became of it."""

    writes: WriteLog
    hot: HotTwins
    twins: Twins

    async def write(self, command: Command) -> Written:
        """Append, then wait until it is applied. Raises the row of a write that had no effect."""
        part = part_of(command.twin)
        offset = await self.writes.append(command)
        token = f"w{part}:{offset}"
        if not await self.hot.wait(part, Marks(0, offset + 1), self.twins.seconds):
            return Written(token, None)
        said = await self.hot.result(part, command.id)
        row = None if said is None else _ROWS.get(Outcome[said.decode()])
        if row is not None:
            raise row.problem(twin=command.twin)
        return Written(token, await self.twins.state(command.twin))


def check_desired(entries: Mapping[str, tuple[Scalar, str, int]], profile: Profile | None) -> None:
    """Raises DESIRED_OUT_OF_BOUNDS for a value outside the hard bounds of its property, or of another kind or unit."""
    for name, (value, unit, _) in entries.items():
        rule = None if profile is None else profile.rule(name)
        if rule is None or value is None:
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        kinds = {"number": number, "bool": isinstance(value, bool), "text": isinstance(value, str)}
        if not kinds.get(rule.kind, isinstance(value, tuple)):
            raise DESIRED_OUT_OF_BOUNDS.problem(property=name, detail=f"a {rule.kind} is expected")
        if rule.unit is not None and unit not in ("", rule.unit):
            raise DESIRED_OUT_OF_BOUNDS.problem(property=name, detail=f"the unit is {rule.unit}")
        if rule.hard is not None and isinstance(value, int | float) and not rule.hard.low <= value <= rule.hard.high:
            raise DESIRED_OUT_OF_BOUNDS.problem(
                property=name, detail=f"outside {rule.hard.low:g} to {rule.hard.high:g} {rule.unit or ''}".rstrip()
            )


async def create_twin(command: Command, reader: Reader, permits: Permits, pen: Pen) -> Written:
    """Only the registered owner begins a twin. Raises PLATFORM_NOT_FOUND, TWIN_EXISTS."""
    if not isinstance(command.body, Create) or not permits.is_owner(reader, TwinId(command.twin)):
        raise PLATFORM_NOT_FOUND.problem(twin=command.twin)
    return await pen.write(command)


async def patch_desired(
    command: Command, reader: Reader, permits: Permits, pen: Pen, profiles: Mapping[str, Profile]
) -> Written:
    """The owner, or who was given `administer` over all of the properties.

    Stewards do not come this way: their commands pass the gate, which knows their bounds. Raises PLATFORM_NOT_FOUND,
    CONSENT_STALE, DESIRED_OUT_OF_BOUNDS, TWIN_REVISION_CONFLICT.
    """
    if not isinstance(command.body, PatchDesired):
        raise TypeError("a patch of desired values is expected")
    twin = TwinId(command.twin)
    for name in command.body.entries:
        permits.require(reader, Action.ADMINISTER, twin, feature(name))
    state = await pen.twins.state(command.twin)
    check_desired(command.body.entries, profiles.get(state.profile))
    return await pen.write(command)


async def administer(command: Command, reader: Reader, permits: Permits, pen: Pen, path: str) -> Written:
    """Relations and lifecycle: the owner, or who was given `administer` over `path`."""
    permits.require(reader, Action.ADMINISTER, TwinId(command.twin), path)
    return await pen.write(command)
