"""UCUM as its own table defines it, and never a guess. data-path.md 6."""

from decimal import Decimal
from hashlib import sha256
from importlib.resources import files
from math import log, pi, ulp

import numpy as np
import pytest
from didymos_readings import Affine, Curve, UnitProblem, compile_unit, curve_of
from didymos_readings.ucum_parse import UnknownUnitError, parse_unit
from didymos_readings.ucum_table import ucum
from hypothesis import assume, given
from hypothesis import strategies as st

GLUCOSE = Decimal("180.156")
PLAIN = sorted(code for code, atom in ucum().atoms.items() if not atom.function)
SPECIAL = sorted(code for code, atom in ucum().atoms.items() if atom.function)


def line(code: str, target: str, molar: Decimal | None = None) -> tuple[float, float]:
    found = compile_unit(code, target, molar)
    assert isinstance(found, Affine), found
    return found.a, found.b


def is_line(code: str, target: str, a: float, b: float = 0, molar: Decimal | None = None) -> bool:
    found = line(code, target, molar)
    return abs(found[0] - a) <= ulp(a) and abs(found[1] - b) <= ulp(b)


def problem(code: str, target: str, molar: Decimal | None = None) -> UnitProblem:
    found = compile_unit(code, target, molar)
    assert isinstance(found, UnitProblem), found
    return found


def curve(code: str, target: str) -> Curve:
    found = compile_unit(code, target)
    assert isinstance(found, Curve), found
    return found


def test_the_official_table_is_unchanged() -> None:
    table = files("didymos_readings").joinpath("data/ucum-essence.xml").read_bytes()
    assert sha256(table).hexdigest() == "6022a1f4a77d93efa23b941ae50055cb9d3fdcb8bb5db6b85deda004467bb380"
    assert (len(ucum().prefixes), len(ucum().atoms)) == (24, 312)


@pytest.mark.parametrize("code", PLAIN)
def test_every_unit_equals_its_own_definition(code: str) -> None:
    atom = ucum().atoms[code]
    if not atom.dimension:
        assert is_line(code, atom.unit, float(atom.value))
    assert line(code, code) == (1, 0)


@pytest.mark.parametrize(
    ("code", "target", "a", "b"),
    [
        ("mg/dL", "g/L", 0.01, 0),
        ("Cel", "K", 1, 273.15),
        ("[degF]", "Cel", 5 / 9, -160 / 9),
        ("Cel", "[degF]", 1.8, 32),
        ("[degR]", "K", 5 / 9, 0),
        ("[degRe]", "Cel", 1.25, 0),
        ("mCel", "K", 0.001, 273.15),
        ("10.Cel", "K", 10, 273.15),
        ("[psi]", "kPa", 6.894757293168361, 0),
        ("[mi_i]/h", "m/s", 0.44704, 0),
        ("deg", "rad", pi / 180, 0),
        ("kW.h", "J", 3.6e6, 0),
        ("/min", "Hz", 1 / 60, 0),
        ("{breaths}/min", "/min", 1, 0),
        ("10*3/uL", "/L", 1e9, 0),
        ("10.L/min", "L/min", 10, 0),
        ("m/s2", "m.s-2", 1, 0),
        ("J/m/s", "J/(m.s)", 1, 0),
        ("J/m.s", "J.s/m", 1, 0),
        ("%", "1", 0.01, 0),
        ("", "1", 1, 0),
        ("cd", "cd", 1, 0),
        ("min", "s", 60, 0),
        ("Pa", "N/m2", 1, 0),
        ("dB", "B", 0.1, 0),
        ("[IU]/L", "[iU]/mL", 0.001, 0),
        ("mm[Hg]", "Pa", 133.322, 0),
        ("g/(8.h){shift}", "g/d", 3, 0),
    ],
)
def test_a_line_between_units(code: str, target: str, a: float, b: float) -> None:
    assert is_line(code, target, a, b)


def test_mass_becomes_amount_with_a_molar_mass_only() -> None:
    assert is_line("mg/dL", "mmol/L", 10 / 180.156, molar=GLUCOSE)
    assert is_line("mmol/L", "mg/dL", 18.0156, molar=GLUCOSE)
    assert is_line("L/mg", "L/mmol", 180.156, molar=GLUCOSE)
    for code, target in (("mg/dL", "mmol/L"), ("mmol/L", "mg/dL")):
        assert problem(code, target).code == "reading.unit_incommensurable"
    for target in ("/L", "mol2/L", "mol/s", "[iU]/L"):
        assert problem("mg/dL", target, GLUCOSE).code == "reading.unit_incommensurable"


@pytest.mark.parametrize(
    ("code", "target", "x", "y"),
    [
        ("[pH]", "mol/L", 7.4, 10**-7.4),
        ("mol/L", "[pH]", 1e-7, 7.0),
        ("dB[SPL]", "Pa", 94.0, 2e-5 * 10**4.7),
        ("B[W]", "W", 3.0, 1000.0),
        ("dB[W]", "kW", 30.0, 1.0),
        ("mV", "dB[uV]", 1.0, 60.0),
        ("B[kW]", "B[W]", 1.0, 4.0),
        ("Np", "1", 1.0, np.e),
        ("B", "Np", 2.0, 2 * log(10)),
        ("bit_s", "1", 10.0, 1024.0),
        ("%[slope]", "deg", 100.0, 45.0),
        ("[p'diop]", "rad", 100.0, pi / 4),
        ("[m/s2/Hz^(1/2)]", "m2/s4/Hz", 3.0, 9.0),
        ("[hp'_X]", "1", 2.0, 0.01),
        ("[hp'_C]", "1", 2.0, 1e-4),
        ("[hp'_M]", "1", 2.0, 1e-6),
        ("[hp'_Q]", "1", 1.0, 1 / 50000),
    ],
)
def test_a_curve_is_the_function_of_its_unit(code: str, target: str, x: float, y: float) -> None:
    found = curve(code, target)
    np.testing.assert_allclose(found(np.array([x])), [y], rtol=1e-14)
    assert curve_of(found.name) == found


@pytest.mark.parametrize("code", SPECIAL)
def test_every_special_unit_comes_back_from_its_argument(code: str) -> None:
    unit = ucum().atoms[code].unit
    x = np.array([0.5, 1.0, 2.5])
    there, back = compile_unit(code, unit), compile_unit(unit, code)
    assert not isinstance(there, UnitProblem)
    assert not isinstance(back, UnitProblem)
    np.testing.assert_allclose(back(there(x)), x, rtol=1e-12)
    assert line(code, code) == (1, 0)


@given(st.sampled_from(PLAIN), st.sampled_from(sorted(ucum().prefixes)), st.floats(1e-6, 1e6))
def test_there_and_back_is_within_four_ulp(code: str, prefix: str, x: float) -> None:
    assume(ucum().atoms[code].metric)
    there, _ = line(prefix + code, code)
    back, _ = line(code, prefix + code)
    assert abs(x * there * back - x) <= 4 * ulp(x)


def test_an_arbitrary_unit_converts_to_itself_only() -> None:
    assert line("k[iU]/L", "[iU]/mL") == (1, 0)
    for code, target in (("[iU]/L", "/m3"), ("[iU]", "[arb'U]"), ("[hp_X]", "1")):
        assert problem(code, target).code == "reading.unit_incommensurable"


@pytest.mark.parametrize(
    "code",
    [
        "psi", "MG/DL", "kg/", "m//s", "m..s", "(m", "m)", "{a", "a}", "m{a{b}}", "[mi_i", "m-", "m+", "m0", "0", "m^2",
        "mi", "k10*", "m m", "µg", "m\n", "10*100", "m50.s50", "m200", "kJ/(kg.Cel)", "Cel2", "/Cel", "m.[pH]",
        "Cel/2", "dB.dB", "(" * 40 + "m" + ")" * 40, "m." * 64 + "m", "Torr", "/", ".", "٣",
    ],
)  # fmt: skip
def test_what_is_no_ucum_is_refused_and_never_guessed(code: str) -> None:
    assert problem(code, "1").code == "reading.unit_unknown"


def test_a_refusal_says_the_next_step() -> None:
    assert 'did you mean "[psi]"?' in problem("psi", "Pa").detail
    assert 'did you mean "mmol"?' in problem("MMOL/l", "mmol/L").detail
    assert 'use "K"' in problem("kJ/(kg.Cel)", "J").detail
    assert "molar_mass" in problem("mg/dL", "mmol/L").detail


def test_units_too_far_apart_are_refused() -> None:
    assert problem("Ym20", "m20").code == "reading.unit_incommensurable"
    assert problem("ym20", "m20").code == "reading.unit_incommensurable"


def test_no_curve_has_another_name() -> None:
    for name in ("", "m", "mg/dL g/L", "psi Pa", "Cel K"):
        assert curve_of(name) is None


@given(st.text(max_size=140) | st.text("mgLsK./(){}[]1023*-+'Celdkh%", max_size=40))
def test_a_foreign_code_raises_nothing_but_unknown_unit(code: str) -> None:
    try:
        parse_unit(code)
    except UnknownUnitError:
        assert problem(code, "1").code == "reading.unit_unknown"
