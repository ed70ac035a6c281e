"""The table of UCUM 2.2, read from the official file as it is. Its licence forbids tables derived from it."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from xml.etree import ElementTree as ET

_NAMESPACE = "{http://unitsofmeasure.org/ucum-essence}"


@dataclass(frozen=True, slots=True)
class Atom:
    """A unit atom: `value` times the unit `code`, exact. A base unit or arbitrary unit is its own `dimension`."""

    metric: bool
    value: Fraction
    unit: str
    dimension: str  # empty: defined by `value` and `unit`
    function: str  # of a special unit; empty otherwise


@dataclass(frozen=True, slots=True)
class Table:
    prefixes: dict[str, Fraction]
    atoms: dict[str, Atom]


@cache
def ucum() -> Table:
    """24 prefixes, 7 base units and 305 units, by case-sensitive code."""
    text = files("didymos_readings").joinpath("data/ucum-essence.xml").read_text("ascii")
    root = ET.fromstring(text)  # noqa: S314 - a file of this package, not foreign input
    prefixes = {_code(each): Fraction(_value(each).attrib["value"]) for each in root.iter(_NAMESPACE + "prefix")}
    atoms = {
        _code(each): Atom(metric=True, value=Fraction(1), unit="1", dimension=_code(each), function="")
        for each in root.iter(_NAMESPACE + "base-unit")
    }
    atoms |= {_code(each): _atom(each) for each in root.iter(_NAMESPACE + "unit")}
    return Table(prefixes, atoms)


def _code(element: ET.Element) -> str:
    return element.attrib["Code"]


def _value(element: ET.Element) -> ET.Element:
    found = element.find(_NAMESPACE + "value")
    if found is None:
        raise LookupError(f"the UCUM table has no value for {_code(element)}")
    return found


def _atom(element: ET.Element) -> Atom:
    value, metric = _value(element), element.get("isMetric") == "yes"
    function = value.find(_NAMESPACE + "function")
    if function is not None:
        said = function.attrib
        # The slope's function names degrees as its unit where the definition says 100 tan(1 rad): the latter holds.
        unit = "rad" if "tan" in said["name"].lower() else said["Unit"]
        return Atom(metric, Fraction(said["value"]), unit, dimension="", function=said["name"])
    own = element.get("isArbitrary") == "yes" and value.attrib["Unit"] == "1"
    return Atom(metric, Fraction(value.attrib["value"]), value.attrib["Unit"], _code(element) if own else "", "")
