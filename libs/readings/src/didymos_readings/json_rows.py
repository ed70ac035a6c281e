"""JSON documents of any make by the mapping of a profile."""

from collections.abc import Iterator
from typing import Any

from didymos_readings.batch import BATCH_READINGS, BODY_BYTES
from didymos_readings.errors import ReadingError, Refusal
from didymos_readings.json_path import JsonPath
from didymos_readings.mapped_rows import Look, RecordReader
from didymos_readings.mapping import Field
from didymos_readings.rows import DecodeContext, Row
from didymos_readings.strict_json import parse_json


def decode_json(body: bytes, context: DecodeContext) -> Iterator[Row | Refusal]:
    """The readings of each record that the profile's path leads to; `index` counts these.

    Raises ReadingError before the first: `batch.media_unsupported` for a profile that maps no JSON,
    `batch.malformed`, `batch.too_large`.
    """
    mapping = None if context.profile is None else context.profile.json
    if context.profile is None or mapping is None or mapping.records is None:
        raise ReadingError("batch.media_unsupported", "the profile maps no JSON")
    if len(body) > BODY_BYTES:
        raise ReadingError("batch.too_large", "a document has at most 1 MiB", limit=BODY_BYTES)
    found = parse_json(body)
    reader = RecordReader(mapping, context.profile, context)
    return _rows(mapping.records, found, reader)


def _rows(records: JsonPath, found: Any, reader: RecordReader) -> Iterator[Row | Refusal]:  # noqa: ANN401 - any JSON value
    for index, record in enumerate(records.find(found)):
        if index == BATCH_READINGS:
            raise ReadingError("batch.too_large", "a document has at most 10,000 records", limit=BATCH_READINGS)
        yield from reader.rows(index, _looking(record))


def _looking(record: Any) -> Look:  # noqa: ANN401 - any JSON value
    def look(field: Field) -> object:
        node = None if field.path is None else field.path.one(record)
        return None if node is None else node[0]

    return look
