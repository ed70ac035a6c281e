"""The error catalogue: every code that a user can meet, in one place. A module per room, one row per error."""

from types import ModuleType

from didymos_contracts.errors import (
    identity,
    ingestion,
    ledger,
    market,
    platform,
    privacy,
    steward,
    training,
    twin,
)
from didymos_contracts.errors.row import GrpcStatus, Problem, Retry, Row

__all__ = ["CATALOGUE", "GrpcStatus", "Problem", "Retry", "Row", "catalogue_row"]


def _rows(*rooms: ModuleType) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for room in rooms:
        for value in vars(room).values():
            if isinstance(value, Row):
                if value.code in rows:
                    raise ValueError(f"two rows for {value.code}")
                rows[value.code] = value
    return rows


CATALOGUE: dict[str, Row] = _rows(platform, identity, ingestion, twin, training, privacy, market, ledger, steward)


def catalogue_row(code: str) -> Row:
    """The row of `code`; an unknown code is our bug and answers as `platform.internal`."""
    return CATALOGUE.get(code, platform.PLATFORM_INTERNAL)
