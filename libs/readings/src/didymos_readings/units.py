"""Conversion between UCUM units, compiled once per pair. data-path.md 6."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from didymos_readings.ucum_parse import TEMPERATURES, Unit, UnknownUnitError, divide, parse_unit

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Affine:
    """value = a * x + b, in float64."""

    a: float
    b: float

    def __call__(self, x: Floats) -> Floats:
        return x if self.a == 1 and self.b == 0 else self.a * x + self.b


IDENTITY: Final = Affine(1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Curve:
    """A conversion that is no straight line. `name` is both codes, which `curve_of` compiles again."""

    name: str
    source: Unit
    target: Unit
    ratio: float

    def __call__(self, x: Floats) -> Floats:
        """Not finite where the target's scale ends (the logarithm of 0); silence numpy's warnings around it."""
        plain = _to_plain(self.source, x) * self.ratio
        return _from_plain(self.target, plain)


@dataclass(frozen=True, slots=True)
class UnitProblem:
    """`code` is reading.unit_unknown or reading.unit_incommensurable."""

    code: str
    detail: str


Conversion: TypeAlias = Affine | Curve | UnitProblem

# A value x of a special unit is `forth(x)` of its argument; UCUM 2.2 section 4, tables 11 to 23.
_FUNCTIONS: Final[dict[str, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]]] = {
    "ln": (np.exp, np.log),
    "lg": (lambda x: 10.0**x, np.log10),
    "lgTimes2": (lambda x: 10.0 ** (x / 2), lambda y: 2 * np.log10(y)),
    "ld": (np.exp2, np.log2),
    "pH": (lambda x: 10.0**-x, lambda y: -np.log10(y)),
    "sqrt": (np.square, np.sqrt),
    "tanTimes100": (lambda x: np.arctan(x / 100), lambda y: 100 * np.tan(y)),
    "100tan": (lambda x: np.arctan(x / 100), lambda y: 100 * np.tan(y)),
    "hpX": (lambda x: 10.0**-x, lambda y: -np.log10(y)),
    "hpC": (lambda x: 100.0**-x, lambda y: -np.log(y) / np.log(100)),
    "hpM": (lambda x: 1000.0**-x, lambda y: -np.log(y) / np.log(1000)),
    "hpQ": (lambda x: 50000.0**-x, lambda y: -np.log(y) / np.log(50000)),
}
_ZERO_K: Final = {"Cel": Fraction("273.15"), "degF": Fraction("459.67"), "degRe": Fraction("218.52")}  # in own degrees


@lru_cache(4096)
def compile_unit(code: str, target: str, molar: Decimal | None = None) -> Conversion:
    """From values in `code` to values in `target`. `molar`: g/mol, lets mass become amount of substance and back."""
    try:
        source, wanted = parse_unit(code), parse_unit(target)
    except UnknownUnitError as error:
        return UnitProblem("reading.unit_unknown", str(error))
    ratio = _ratio(source, wanted, molar)
    if ratio is None:
        molar_hint = "" if molar else " (between mass and amount a profile needs molar_mass)"
        return UnitProblem("reading.unit_incommensurable", f'unit "{code}" does not convert to "{target}"{molar_hint}')
    try:
        found = _compiled(source, wanted, ratio, f"{code} {target}")
    except OverflowError:
        found = None
    if found is None or not (found.a if isinstance(found, Affine) else found.ratio):
        return UnitProblem("reading.unit_incommensurable", f'"{code}" and "{target}" lie too far apart for float64')
    return IDENTITY if found == IDENTITY else found


def curve_of(name: str) -> Curve | None:
    """The curve that `name` stands for, None if there is no such curve. A space is in no UCUM code."""
    source, _, target = name.partition(" ")
    found = compile_unit(source, target)
    return found if isinstance(found, Curve) else None


def _ratio(source: Unit, target: Unit, molar: Decimal | None) -> Fraction | None:
    """What the argument of `source` counts in that of `target`; None if they measure different things."""
    quotient = divide(source, target)
    if not quotient.dimensions:
        return quotient.factor
    mass = quotient.dimensions.get("g", 0)
    if molar is None or len(quotient.dimensions) > 1 or abs(mass) != 1 or quotient.moles != -mass:
        return None
    if source.function or target.function:
        return None
    per_mole = Fraction(molar) / parse_unit("mol").factor  # grams in one particle
    return quotient.factor / per_mole**mass


def _compiled(source: Unit, target: Unit, ratio: Fraction, name: str) -> Affine | Curve:
    if source.function == target.function and ratio == 1:
        return Affine(float(source.scale / target.scale), 0.0)
    if _is_straight(source) and _is_straight(target):
        a1, b1 = _line(source)
        a2, b2 = _line(target)
        return Affine(float(a1 * ratio / a2), float((b1 * ratio - b2) / a2))
    return Curve(name, source, target, float(ratio))


def _is_straight(unit: Unit) -> bool:
    return not unit.function or unit.function in TEMPERATURES


def _line(unit: Unit) -> tuple[Fraction, Fraction]:
    """(a, b): a value x in `unit` is a * x + b of its argument."""
    return unit.scale, _ZERO_K.get(unit.function, Fraction(0))


def _to_plain(unit: Unit, x: Floats) -> Floats:
    if _is_straight(unit):
        a, b = _line(unit)
        return float(a) * x + float(b)
    return _FUNCTIONS[unit.function][0](float(unit.scale) * x)


def _from_plain(unit: Unit, y: Floats) -> Floats:
    if _is_straight(unit):
        a, b = _line(unit)
        return (y - float(b)) / float(a)
    return _FUNCTIONS[unit.function][1](y) / float(unit.scale)
