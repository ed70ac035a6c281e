"""Rows written in other formats, each in a unit that the format can say."""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

import cbor2
import numpy as np
from didymos_readings import Affine, Profile, Row, compile_unit
from didymos_readings.cefact_units import CEFACT
from didymos_readings.senml_units import PRIMARY

LABELS: Final = {"n": 0, "u": 1, "v": 2, "vs": 3, "t": 6}
Encoder = Callable[[Sequence[Row], Profile], bytes | None]


@lru_cache(maxsize=1024)
def _unit(ucum: str, table: str) -> tuple[str, float] | None:
    """A unit of the table that the UCUM unit converts to by a factor, and the factor."""
    known = PRIMARY if table == "senml" else CEFACT
    exact = [name for name, code in known.items() if code == ucum]
    for name in exact + list(known):
        found = compile_unit(ucum, known[name], None)
        if isinstance(found, Affine) and found.b == 0:
            return name, found.a
    return None


def _in_unit(row: Row, table: str) -> tuple[str, float] | None:
    found = _unit(row.unit, table) if isinstance(row.value, float) else None
    return None if found is None or not isinstance(row.value, float) else (found[0], row.value * found[1])


def _senml(rows: Sequence[Row]) -> list[dict[str, Any]]:
    pack: list[dict[str, Any]] = []
    for row in rows:
        record: dict[str, Any] = {"n": f"{row.twin}/{row.property}", "t": row.observed_at_us / 1e6}
        said = _in_unit(row, "senml")
        if isinstance(row.value, str):
            pack.append({**record, "vs": row.value})
        elif said is not None:
            pack.append({**record, "u": said[0], "v": said[1]})
    return pack


def senml(rows: Sequence[Row], _profile: Profile) -> bytes | None:
    return json.dumps(_senml(rows)).encode() or None


def senml_cbor(rows: Sequence[Row], _profile: Profile) -> bytes | None:
    return cbor2.dumps([{LABELS[name]: value for name, value in each.items()} for each in _senml(rows)])


def instant(at_us: int) -> str:
    return str(np.datetime_as_string(np.datetime64(at_us, "us"), unit="us", timezone="UTC"))


def ngsi_ld(rows: Sequence[Row], _profile: Profile) -> bytes | None:
    entities = []
    for row in rows:
        said = _in_unit(row, "cefact")
        attribute: dict[str, Any] = {"value": row.value, "observedAt": instant(row.observed_at_us)}
        if said is not None:
            attribute |= {"value": said[1], "unitCode": said[0]}
        elif not isinstance(row.value, str):
            continue
        entities.append({"id": row.twin, "type": "Thing", row.property: attribute})
    return json.dumps(entities).encode()


def fhir(rows: Sequence[Row], profile: Profile) -> bytes | None:
    """Of the properties that have a semantic id."""
    entries = []
    for row in rows:
        meanings = profile.properties[row.property].semantic_ids
        if not meanings or not isinstance(row.value, float):
            continue
        system, _, code = meanings[0].rpartition("/")
        entries.append({"resource": {
            "resourceType": "Observation", "status": "final", "subject": {"reference": row.twin},
            "effectiveDateTime": instant(row.observed_at_us), "code": {"coding": [{"system": system, "code": code}]},
            "valueQuantity": {"value": row.value, "system": "http://unitsofmeasure.org", "code": row.unit},
        }})  # fmt: skip
    return json.dumps({"resourceType": "Bundle", "entry": entries}).encode() if entries else None


ENCODERS: Final[dict[str, tuple[str, Encoder]]] = {
    "senml": ("application/senml+json", senml),
    "senml_cbor": ("application/senml+cbor", senml_cbor),
    "ngsi_ld": ("application/ld+json", ngsi_ld),
    "fhir": ("application/fhir+json", fhir),
}
