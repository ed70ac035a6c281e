"""The value[x] of FHIR R4: what each type says as numbers, booleans and texts of one property."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from didymos_readings.json_shapes import Object, number_of, object_of, objects_of, text_of
from didymos_readings.profile import Profile
from didymos_readings.rows import Value

UCUM: Final = "http://unitsofmeasure.org"
SAMPLES: Final = 10_000
ABSENT: Final = "absent"  # the sender says that there is no value: no reading, and no refusal
_KIND: Final = "reading.kind_mismatch"
_SAMPLE: Final = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_MODIFIED: Final = "modifierExtension"


@dataclass(frozen=True, slots=True)
class Found:
    """A value `after_us` the time of its Observation, or why there is none: then `code` is set."""

    value: Value = 0.0
    unit: str = ""
    after_us: int = 0
    code: str = ""
    detail: str = ""


def values_in(name: str, value: object, profile: Profile | None, prop: str) -> Iterator[Found]:
    """What `name` (a value[x]) holds. Of SampledData many; `unit` is UCUM."""
    read = _TYPES.get(name)
    if read is not None:
        yield read(value)
    elif name == "valueSampledData":
        yield from _samples(object_of(value) or {}, retracts=isinstance(retracted_value(profile, prop), float))
    else:
        yield Found(code=_KIND, detail="a value of this type is not taken")


def retracted_value(profile: Profile | None, prop: str) -> Value:
    """Some value of the property's kind: a retraction says only of what kind it is."""
    rule = None if profile is None else profile.rule(prop)
    empty: Mapping[str, Value] = {"bool": False, "text": "", "point": (0.0, 0.0, 0.0)}
    return empty.get("number" if rule is None else rule.kind, 0.0)


def _quantity(value: object) -> Found:
    said = object_of(value) or {}
    if said.get("comparator") is not None or _MODIFIED in said:
        return Found(code=_KIND, detail="a bound, such as < 5, is no value")
    number = number_of(said.get("value"))
    if number is None:
        return Found(code=_KIND, detail="the value is no number")
    unit = _unit(said)
    return Found(number, unit) if unit is not None else _NO_UNIT


_NO_UNIT: Final = Found(code="reading.unit_unknown", detail="a quantity has a code of the UCUM system")


def _unit(said: Object) -> str | None:
    """A unit is its UCUM code; what people read beside it (`unit`) is not looked at."""
    code = said.get("code")
    return code if said.get("system") == UCUM and isinstance(code, str) and 0 < len(code) <= 128 else None


def _integer(value: object) -> Found:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 1 << 31:
        return Found(code=_KIND, detail="an integer has 32 bits")
    return Found(float(value))


def _boolean(value: object) -> Found:
    return Found(value) if isinstance(value, bool) else Found(code=_KIND, detail="the value is no boolean")


def _string(value: object) -> Found:
    text = text_of(value)
    return Found(code=_KIND, detail="a text has at most 1 KiB of UTF-8") if text is None else Found(text)


def _concept(value: object) -> Found:
    said = object_of(value) or {}
    codes = [each["code"] for each in objects_of(said.get("coding")) if isinstance(each.get("code"), str)]
    return _string(codes[0] if codes else said.get("text"))


_TYPES: Final[Mapping[str, Callable[[object], Found]]] = {
    "valueQuantity": _quantity,
    "valueInteger": _integer,
    "valueBoolean": _boolean,
    "valueString": _string,
    "valueCodeableConcept": _concept,
}


def _samples(said: Object, *, retracts: bool) -> Iterator[Found]:
    """origin + factor * sample, every `period` milliseconds from the time of the Observation."""
    if not retracts:
        yield Found(code=_KIND, detail="samples are numbers")
        return
    origin, period = object_of(said.get("origin")) or {}, number_of(said.get("period"))
    base, factor, data = number_of(origin.get("value")), number_of(said.get("factor", 1)), said.get("data")
    if period is None or not 0 < period <= 1e12 or said.get("dimensions") != 1 or factor is None or base is None:
        yield Found(code=_KIND, detail="samples have an origin, a period in ms, and one dimension")
        return
    unit = _unit(origin)
    samples = data.split(" ") if isinstance(data, str) else []
    if unit is None:
        yield _NO_UNIT
    elif not 1 <= len(samples) <= SAMPLES:
        yield Found(code="batch.too_large", detail="there are 1 to 10,000 samples")
    else:
        for at, sample in enumerate(samples):
            yield _sample(sample, base, factor, unit, round(at * period * 1000))


def _sample(text: str, base: float, factor: float, unit: str, after_us: int) -> Found:
    if text == "E":
        return Found(code=ABSENT)
    if text in ("U", "L"):
        return Found(code="reading.out_of_bounds", detail="the sample is beyond what the sensor can tell")
    if not _SAMPLE.fullmatch(text):
        return Found(code=_KIND, detail="a sample is a decimal number, E, U or L")
    number = number_of(base + factor * float(text))
    if number is None:
        return Found(code="reading.not_finite", detail="the sample is beyond float64")
    return Found(number, unit, after_us)
