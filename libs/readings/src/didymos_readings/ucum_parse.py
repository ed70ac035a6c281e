"""A parser of UCUM codes, case-sensitive. UCUM 2.2 sections 2 and 3; data-path.md 6."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Final, Never

from didymos_readings.ucum_table import Atom, ucum

CHARACTERS: Final = 128
DEPTH: Final = 16
EXPONENTS: Final = 99
TEMPERATURES: Final = ("Cel", "degF", "degRe")
_DELIMITERS: Final = frozenset("./(){}")
_USUAL: Final = "mkucdnp"  # where case alone differs, milli is likelier meant than mega
_POWERS_OF_TEN: Final = ("10*", "10^")


class UnknownUnitError(ValueError):
    """The code is not UCUM; the text says where and what to do."""


@dataclass(frozen=True, slots=True)
class Unit:
    """`factor` times a product of dimensions; or, with `function`, that argument of a special unit.

    `scale` is what prefix and number make of a special unit: a value x in it is f(scale * x). `moles` is the exponent
    of the mole, which UCUM counts as a plain number.
    """

    factor: Fraction
    dimensions: Mapping[str, int] = field(default_factory=dict)
    moles: int = 0
    function: str = ""
    scale: Fraction = Fraction(1)


_ONE: Final = Unit(Fraction(1))


@lru_cache(4096)
def parse_unit(code: str) -> Unit:
    """What `code` means; the empty code is 1. Raises UnknownUnitError."""
    if not code:
        return _ONE
    if len(code) > CHARACTERS:
        raise UnknownUnitError(f"a unit has at most {CHARACTERS} characters")
    if not all("!" <= character <= "~" for character in code):
        raise UnknownUnitError(f'unit "{ascii(code)[1:-1]}" has characters outside printable ASCII')
    return _Parser(code).whole()


def divide(one: Unit, other: Unit) -> Unit:
    """one / other, both without function."""
    return _times(one, other, -1)


class _Parser:
    """Recursive descent over one code; `at` is the next character."""

    def __init__(self, code: str) -> None:
        self.code, self.at, self.exponents = code, 0, 0

    def whole(self) -> Unit:
        leading = self._takes("/")
        found = self._term(depth=0, start=-1 if leading else 1)
        if self.at < len(self.code):
            self._fail(f'"{self.code[self.at]}" is not expected')
        return found

    def _term(self, depth: int, start: int = 1) -> Unit:
        if depth > DEPTH:
            self._fail("parentheses are nested too deep")
        found = self._component(depth)
        if start < 0:
            found = self._product(_ONE, found, -1)
        while self.at < len(self.code) and self.code[self.at] in "./":
            power = 1 if self.code[self.at] == "." else -1
            self.at += 1
            found = self._product(found, self._component(depth), power)
        return found

    def _component(self, depth: int) -> Unit:
        if self._takes("("):
            found = self._term(depth + 1)
            if not self._takes(")"):
                self._fail('")" is missing')
            self._annotation()  # not in the grammar, but in the official table of examples: g/(8.h){shift}
            return found
        if self._annotation():
            return _ONE
        found = self._power_of_ten() or self._number() or self._symbol()
        self._annotation()
        return found

    def _annotation(self) -> bool:
        if not self._takes("{"):
            return False
        end = self.code.find("}", self.at)
        if end < 0 or "{" in self.code[self.at : end]:
            self._fail('"}" is missing')
        self.at = end + 1
        return True

    def _power_of_ten(self) -> Unit | None:
        if not self.code.startswith(_POWERS_OF_TEN, self.at):
            return None
        self.at += 3
        return Unit(Fraction(10) ** self._exponent())

    def _number(self) -> Unit | None:
        digits = self._digits()
        if not digits:
            return None
        if not int(digits):
            self._fail("a unit cannot be zero")
        return Unit(Fraction(int(digits)))

    def _symbol(self) -> Unit:
        start = self.at
        while self.at < len(self.code) and self.code[self.at] not in _DELIMITERS:
            character = self.code[self.at]
            if character in "+-" or character.isdigit():
                break
            self.at = self._after_bracket() if character == "[" else self.at + 1
        symbol = self.code[start : self.at]
        if not symbol:
            self._fail("a unit is missing")
        prefix, atom = self._resolve(symbol)
        exponent = self._exponent()
        return self._raised(prefix, atom, exponent)

    def _after_bracket(self) -> int:
        end = self.code.find("]", self.at)
        if end < 0:
            self._fail('"]" is missing')
        return end + 1

    def _resolve(self, symbol: str) -> tuple[Fraction, tuple[str, Atom]]:
        table = ucum()
        if symbol in table.atoms:  # a whole atom wins before a prefix: cd, min, Pa
            return Fraction(1), (symbol, table.atoms[symbol])
        for length in (2, 1):
            prefix, rest = symbol[:length], symbol[length:]
            if prefix in table.prefixes and rest in table.atoms and table.atoms[rest].metric:
                return table.prefixes[prefix], (rest, table.atoms[rest])
        return self._fail(f'"{symbol}" is unknown{_nearest(symbol)}')

    def _raised(self, prefix: Fraction, named: tuple[str, Atom], exponent: int) -> Unit:
        code, atom = named
        if atom.function:
            if exponent != 1:
                self._fail(_alone(atom.function))
            inner = parse_unit(atom.unit)
            return Unit(atom.value * inner.factor, inner.dimensions, inner.moles, atom.function, prefix)
        if atom.dimension:
            return _power(Unit(prefix, {atom.dimension: 1}), exponent)
        inner = parse_unit(atom.unit)
        moles = 1 if code == "mol" else inner.moles
        return _power(Unit(prefix * atom.value * inner.factor, inner.dimensions, moles), exponent)

    def _exponent(self) -> int:
        start = self.at
        if self.at < len(self.code) and self.code[self.at] in "+-":
            self.at += 1
        digits = self._digits()
        if not digits:
            if self.at > start:
                self._fail("an exponent is missing")
            return 1
        exponent = int(self.code[start : self.at])
        self.exponents += abs(exponent)
        if not exponent or self.exponents > EXPONENTS:
            self._fail(f"exponents are not 0 and come to at most {EXPONENTS}")
        return exponent

    def _digits(self) -> str:
        start = self.at
        while self.at < len(self.code) and self.code[self.at].isdigit():
            self.at += 1
        return self.code[start : self.at]

    def _takes(self, character: str) -> bool:
        if not self.code.startswith(character, self.at):
            return False
        self.at += 1
        return True

    def _product(self, one: Unit, other: Unit, power: int) -> Unit:
        if not one.function and not other.function:
            return _times(one, other, power)
        special, number = (one, other) if one.function else (other, one)
        if number.function or number.dimensions or number.moles or power < 0:
            self._fail(_alone(special.function))
        return Unit(special.factor, special.dimensions, special.moles, special.function, special.scale * number.factor)

    def _fail(self, why: str) -> Never:
        raise UnknownUnitError(f'unit "{self.code}": {why}')


def _times(one: Unit, other: Unit, power: int) -> Unit:
    dimensions = Counter(one.dimensions)
    for name, exponent in other.dimensions.items():
        dimensions[name] += power * exponent
    kept = {name: exponent for name, exponent in dimensions.items() if exponent}
    return Unit(one.factor * other.factor**power, kept, one.moles + power * other.moles)


def _power(unit: Unit, exponent: int) -> Unit:
    dimensions = {name: each * exponent for name, each in unit.dimensions.items()}
    return Unit(unit.factor**exponent, dimensions, unit.moles * exponent)


def _alone(function: str) -> str:
    advice = '; use "K"' if function in TEMPERATURES else ""
    return f"a unit on a scale of its own stands alone, not in products or powers{advice}"


@lru_cache(1)
def _by_lower_case() -> dict[str, str]:
    table = ucum()
    known = {atom.lower(): atom for atom in table.atoms}
    for prefix in sorted(table.prefixes, key=lambda each: (_USUAL + each).index(each)):
        for code, atom in table.atoms.items():
            if atom.metric:
                known.setdefault((prefix + code).lower(), prefix + code)
    return known


def _nearest(symbol: str) -> str:
    near = _by_lower_case().get(symbol.lower()) or _by_lower_case().get(f"[{symbol.lower()}]")
    return f'; UCUM is case-sensitive, did you mean "{near}"?' if near else ""
