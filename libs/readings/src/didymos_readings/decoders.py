"""The one way in for foreign formats: a media type leads to a pure decoder. data-path.md 4."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from didymos_readings.csv_rows import decode_csv
from didymos_readings.fhir import decode_fhir
from didymos_readings.json_rows import decode_json
from didymos_readings.ngsi_ld import decode_ngsi_ld
from didymos_readings.readings_json import READINGS_JSON, decode_readings
from didymos_readings.rows import Decoder
from didymos_readings.senml import decode_senml, decode_senml_cbor

CLOUDEVENT: Final = "application/cloudevents+json"
CLOUDEVENTS: Final = "application/cloudevents-batch+json"

DECODERS: Final[Mapping[str, Decoder]] = MappingProxyType({
    READINGS_JSON: decode_readings,
    "application/senml+json": decode_senml,
    "application/sensml+json": decode_senml,
    "application/senml+cbor": decode_senml_cbor,
    "application/sensml+cbor": decode_senml_cbor,
    "application/fhir+json": decode_fhir,
    "application/ld+json": decode_ngsi_ld,
    "text/csv": decode_csv,
    "application/json": decode_json,
})  # fmt: skip
FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        READINGS_JSON: "rows",
        "application/senml+json": "senml",
        "application/sensml+json": "senml",
        "application/senml+cbor": "senml_cbor",
        "application/sensml+cbor": "senml_cbor",
        "application/fhir+json": "fhir",
        "application/ld+json": "ngsi_ld",
        "text/csv": "csv",
        "application/json": "mapped_json",
        CLOUDEVENT: "cloudevents",
        CLOUDEVENTS: "cloudevents",
    }
)
"""The format of a media type, as metrics label it."""
