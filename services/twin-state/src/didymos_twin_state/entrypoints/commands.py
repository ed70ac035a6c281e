"""Commands out of requests: their ids, and the merge-patch of desired values (RFC 7396)."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid5

from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_kit.clock import Clock
from didymos_kit.ids import Ids
from didymos_readings.profile import NAME

from didymos_twin_state.application.permits import Reader
from didymos_twin_state.domain.command import Body, Command
from didymos_twin_state.domain.twin import Scalar, Wish

_IDS: Final = UUID("0d4b8a3c-3a51-5f42-9d3e-7a5f2f4be1c0")  # the name space of ids made from idempotency keys
_MEMBERS: Final = frozenset({"value", "unit", "expires_at_us"})
TEXT_CHARACTERS: Final = 256


class Requests:
    """Makes commands: `requests.command(twin, reader, body)`."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock, self._ids = clock, ids

    def command(
        self, twin: str, reader: Reader, body: Body, *, idempotency: str | None = None, expected: int | None = None,
        command_id: bytes = b"",
    ) -> Command:  # fmt: skip
        """`idempotency`: the caller's key; a repeat under it is the same command, and has one effect."""
        if command_id:
            made = command_id
        elif idempotency:
            made = uuid5(_IDS, f"{reader.actor}|{twin}|{idempotency}").bytes
        else:
            made = self._ids.uuid7().bytes
        return Command(made, twin, reader.actor, "", self._clock.now_us(), body, expected)


def patched_entries(patch: Any, current: Mapping[str, Wish]) -> dict[str, tuple[Scalar, str, int]]:  # noqa: ANN401 - any JSON value
    """Entries of PatchDesired: null removes, an object is merged into the value that stands there.

    Raises PLATFORM_INVALID_FIELD.
    """
    if not isinstance(patch, dict) or not patch:
        raise PLATFORM_INVALID_FIELD.problem(pointer="", detail="an object of properties is expected")
    entries: dict[str, tuple[Scalar, str, int]] = {}
    for name, said in patch.items():
        pointer = f"/{name[:64]}"
        if not NAME.fullmatch(name):
            raise PLATFORM_INVALID_FIELD.problem(pointer=pointer, detail="no name of a property")
        if said is None:
            entries[name] = (None, "", 0)
            continue
        if not isinstance(said, dict) or not said or not said.keys() <= _MEMBERS:
            raise PLATFORM_INVALID_FIELD.problem(pointer=pointer, detail="null, or value, unit, expires_at_us")
        held = current.get(name)
        standing = None if held is None else held.value
        value = parsed_value(said["value"], f"{pointer}/value") if "value" in said else standing
        if value is None:
            raise PLATFORM_INVALID_FIELD.problem(pointer=f"{pointer}/value", detail="a value is expected")
        unit = said.get("unit", held.unit if held else "") or ""
        expires = said.get("expires_at_us", held.expires_at_us if held else 0) or 0
        if not isinstance(unit, str) or len(unit) > TEXT_CHARACTERS:
            raise PLATFORM_INVALID_FIELD.problem(pointer=f"{pointer}/unit", detail="a UCUM code is expected")
        if type(expires) is not int or not 0 <= expires < 1 << 62:
            raise PLATFORM_INVALID_FIELD.problem(pointer=f"{pointer}/expires_at_us", detail="microseconds since 1970")
        entries[name] = (value, unit, expires)
    return entries


def parsed_value(said: Any, pointer: str) -> Scalar:  # noqa: ANN401 - any JSON value
    """A number, a truth, a text, or [longitude, latitude, altitude]. Raises PLATFORM_INVALID_FIELD."""
    if isinstance(said, bool | float):
        return said
    if isinstance(said, int) and abs(said) < 1 << 63:
        return said
    if isinstance(said, str) and len(said) <= TEXT_CHARACTERS:
        return said
    if isinstance(said, list) and len(said) == 3 and all(type(each) in (int, float) for each in said):
        x, y, z = (float(each) for each in said)
        return (x, y, z)
    raise PLATFORM_INVALID_FIELD.problem(
        pointer=pointer, detail="a number, true or false, a text, or [longitude, latitude, altitude]"
    )
