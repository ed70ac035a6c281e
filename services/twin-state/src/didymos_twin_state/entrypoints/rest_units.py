"""REST of units: conversion by UCUM."""

from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

import numpy as np
from didymos_contracts.errors.ingestion import READING_UNIT_INCOMMENSURABLE, READING_UNIT_UNKNOWN
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_kit.http.body import Strict, accepts
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from didymos_readings import Affine, UnitProblem, compile_unit
from fastapi import APIRouter
from pydantic import Field

MOST: Final = 10_000
Code = Annotated[str, Field(max_length=128)]


class Conversion(Strict):
    """`values` in `source`, wanted in `target`; UCUM codes. `molar_mass` (g/mol) lets mass become amount."""

    source: Code
    target: Code
    values: Annotated[list[float], Field(max_length=MOST, default_factory=list)]
    molar_mass: Annotated[str | None, Field(max_length=32)] = None


def routes() -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.post("/units:convert", responses=problems(READING_UNIT_UNKNOWN, READING_UNIT_INCOMMENSURABLE))
    @accepts(floats=True)
    async def convert(asked: Conversion, _caller: Caller) -> dict[str, Any]:
        """Each value converted, null where the target's scale ends; `a` and `b` of a * x + b where that is the way."""
        way = compile_unit(asked.source, asked.target, _molar(asked.molar_mass))
        if isinstance(way, UnitProblem):
            row = READING_UNIT_UNKNOWN if way.code == READING_UNIT_UNKNOWN.code else READING_UNIT_INCOMMENSURABLE
            raise row.problem(pointer="/target", detail=way.detail)
        with np.errstate(all="ignore"):
            values = np.asarray(way(np.array(asked.values, np.float64)), np.float64)
        told = [value if finite else None for value, finite in zip(values.tolist(), np.isfinite(values), strict=True)]
        line = {"a": way.a, "b": way.b} if isinstance(way, Affine) else {"curve": way.name}
        return {"source": asked.source, "target": asked.target, "values": told, **line}

    return router


def _molar(text: str | None) -> Decimal | None:
    """Raises PLATFORM_INVALID_FIELD."""
    if text is None:
        return None
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or not Decimal("1e-6") < found < Decimal("1e12"):
        raise PLATFORM_INVALID_FIELD.problem(pointer="/molar_mass", detail="a decimal number of g/mol, as text")
    return found
