"""What history is asked for in and answered as: units, zones, CSV (RFC 4180), protobuf."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from didymos.twin.v1 import twin_service_pb2 as messages
from didymos_contracts.errors.ingestion import READING_UNIT_INCOMMENSURABLE
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_readings import Profile, built_in_profiles

from didymos_twin_state.application.read_aggregate import conversion
from didymos_twin_state.application.read_twin import Twins
from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.domain.twin import Scalar

CSV: Final = "text/csv"
PROTOBUF: Final = "application/x-protobuf"


def wanted_form(accept: str) -> str | None:
    """CSV or PROTOBUF if the caller names it first; None: JSON."""
    first = accept.split(",", maxsplit=1)[0].split(";", maxsplit=1)[0].strip().lower()
    return first if first in (CSV, PROTOBUF) else None


def csv_of(shown: Readings) -> str:
    """`t,v,q` with the unit in the head of `v`; numbers as the shortest text that reads back the same."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("t", f"v [{shown.unit}]" if shown.unit else "v", "q"))
    values = shown.values.tolist() if isinstance(shown.values, np.ndarray) else [_cell(each) for each in shown.values]
    writer.writerows(zip(shown.times_us.tolist(), values, shown.quality.tolist(), strict=True))
    return text.getvalue()


def range_message(shown: Readings) -> messages.RangeResponse:
    """Numbers only. Raises PLATFORM_INVALID_FIELD for texts."""
    numbers = shown.numbers
    if numbers is None:
        raise PLATFORM_INVALID_FIELD.problem(pointer="/property", detail="its values are no numbers")
    return messages.RangeResponse(
        times_us=shown.times_us.astype("<i8").tobytes(), values=np.asarray(numbers, "<f8").tobytes(),
        quality=shown.quality.tobytes(), unit=shown.unit,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class MolarMasses:
    """What profiles say that properties are, in g/mol: without it mass does not become amount of substance."""

    twins: Twins
    profiles: Mapping[str, Profile]

    async def of(self, twin: str, name: str, unit: str | None) -> Decimal | None:
        """By the profile of the twin, else by one that comes with the house; None if no unit is asked for."""
        if not unit:
            return None
        own = self.profiles.get((await self.twins.state(twin)).profile)
        found = (p for p in (own, *built_in_profiles().values()) if p is not None and name in p.properties)
        return next((p.properties[name].molar_mass for p in found), None)


def finite(values: Sequence[float | None]) -> list[float | None]:
    """For JSON, which has no other numbers: null where a sum or the scale of a unit ends."""
    return [value if value is not None and isfinite(value) else None for value in values]


def in_unit(found: Readings, unit: str | None, molar: Decimal | None) -> Readings:
    """The readings in another UCUM unit. Raises READING_UNIT_INCOMMENSURABLE."""
    if unit is None or not len(found):
        return found
    numbers = found.numbers
    if numbers is None:
        raise READING_UNIT_INCOMMENSURABLE.problem(pointer="?unit", detail="its values are no numbers")
    with np.errstate(all="ignore"):
        values = conversion(found.unit, unit, molar)(numbers)
    return replace(found, values=np.asarray(values, np.float64), unit=unit)


def zone_of(name: str | None) -> ZoneInfo | None:
    """Raises PLATFORM_INVALID_FIELD."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise PLATFORM_INVALID_FIELD.problem(pointer="?zone", detail="an IANA name, such as Europe/Berlin") from error


def _cell(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(repr, value)) if isinstance(value, tuple) else str(value)
