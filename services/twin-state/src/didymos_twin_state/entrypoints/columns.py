"""Ranges of history as CSV (RFC 4180) and protobuf, and which of them a caller accepts."""

import csv
import io
from decimal import Decimal
from functools import cache
from typing import Final

import numpy as np
from didymos.twin.v1 import twin_service_pb2 as messages
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_readings import built_in_profiles

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


@cache
def molar_mass(name: str) -> Decimal | None:
    """g/mol of what the property measures, by the profiles that come with the house."""
    return next((p.properties[name].molar_mass for p in built_in_profiles().values() if name in p.properties), None)


def _cell(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(repr, value)) if isinstance(value, tuple) else str(value)
