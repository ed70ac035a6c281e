"""What bytes of strangers may do to each decoder: be read, or be refused by a row of the catalogue. Nothing else."""

import json
from collections.abc import Callable
from typing import Final

from didymos_contracts.errors import catalogue_row
from didymos_readings import (
    DECODERS,
    READINGS_JSON,
    DecodeContext,
    ReadingError,
    Refusal,
    Request,
    Row,
    binary_event,
    blocks_of,
    decode_parcel,
    parse_batch,
    parse_batch_json,
    parse_block,
    parse_event,
    parse_events,
    parse_profile,
    proved_readings,
    signature_of,
)
from didymos_readings.ucum_parse import UnknownUnitError, parse_unit

NOW_US: Final = 1_767_268_800_000_000
TWIN: Final = "did:key:z6MkTwin"
Target = Callable[[bytes], None]
PROFILE: Final = parse_profile(
    json.dumps({
        "id": "fuzz@1",
        "title": "Fuzz",
        "properties": [
            {"name": "a", "unit": "Cel", "semantic_ids": ["http://loinc.org/1"]},
            {"name": "b", "kind": "bool", "semantic_ids": ["http://loinc.org/2"]},
            {"name": "c", "kind": "text", "semantic_ids": ["http://loinc.org/3"]},
            {"name": "d", "kind": "point"},
        ],
        "csv": {
            "time": {"field": "t", "as": "local", "zone": "Europe/Berlin"}, "subject": {"field": "s"},
            "values": [{"field": name, "property": name} for name in "abc"],
        },
        "json": {
            "records": "$.r[*]", "time": {"field": "$.t", "as": "unix_s"},
            "values": [{"field": "$.a[0]", "property": "a"}, {"field": "$['b']", "property": "b"}],
        },
    }).encode()
)  # fmt: skip
CONTEXT: Final = DecodeContext(NOW_US, lambda name: (TWIN, name), lambda _: TWIN, PROFILE)


def _refused_well(read: Target) -> Target:
    """An error must be one that the catalogue knows."""

    def target(body: bytes) -> None:
        try:
            read(body)
        except ReadingError as error:
            catalogue_row(error.code)

    return target


def _rows(media: str) -> Target:
    def read(body: bytes) -> None:
        rows = []
        for each in DECODERS[media](body, CONTEXT):
            if isinstance(each, Refusal):
                catalogue_row(each.code)
            elif isinstance(each, Row):
                rows.append(each)
        if rows:
            sizes = [parse_block(raw, 0, 0).size for raw in blocks_of(rows).blocks]
            if sum(sizes) != len(rows):
                raise AssertionError("blocks lose rows")

    return _refused_well(read)


def _headers(body: bytes) -> None:
    """Lines `name: value`, then the body: an event in binary mode."""
    head, _, data = body.partition(b"\n\n")
    pairs = (line.partition(": ") for line in head.decode("latin-1").split("\n"))
    binary_event({name.lower(): value for name, _, value in pairs}, data)


def _signature(body: bytes) -> None:
    head, _, data = body.partition(b"\n\n")
    pairs = (line.partition(": ") for line in head.decode("latin-1").split("\n"))
    headers = {name.lower(): value for name, _, value in pairs}
    signature_of(Request("POST", "http://house/ingestion/v1/batches", headers, data), NOW_US // 1_000_000)


def _unit(body: bytes) -> None:
    try:
        parse_unit(body.decode("latin-1"))
    except UnknownUnitError:
        return


def _proof(body: bytes) -> None:
    proved_readings(body, "did:key:zOperator")


def _parcel(body: bytes) -> None:
    decode_parcel(body)


def _block(body: bytes) -> None:
    parse_block(body, 0, 0)


def _event(body: bytes) -> None:
    parse_event(body)


def _events(body: bytes) -> None:
    parse_events(body)


def _batch(body: bytes) -> None:
    parse_batch(body)


def _batch_json(body: bytes) -> None:
    parse_batch_json(body)


def _profile(body: bytes) -> None:
    parse_profile(body)


TARGETS: Final[dict[str, Target]] = {
    "rows": _rows(READINGS_JSON),
    "proof": _refused_well(_proof),
    "senml": _rows("application/senml+json"),
    "senml_cbor": _rows("application/senml+cbor"),
    "fhir": _rows("application/fhir+json"),
    "ngsi_ld": _rows("application/ld+json"),
    "csv": _rows("text/csv"),
    "mapped_json": _rows("application/json"),
    "event": _refused_well(_event),
    "events": _refused_well(_events),
    "event_headers": _refused_well(_headers),
    "signature": _refused_well(_signature),
    "batch": _refused_well(_batch),
    "batch_json": _refused_well(_batch_json),
    "block": _refused_well(_block),
    "parcel": _refused_well(_parcel),
    "profile": _refused_well(_profile),
    "unit": _unit,
}
