"""CSV by the mapping of a profile. RFC 4180; UTF-8, a byte order mark and bare line feeds are taken."""

import csv
from collections.abc import Iterator
from io import StringIO
from typing import Final

from didymos_readings.errors import ReadingError, Refusal
from didymos_readings.mapped_rows import Look, RecordReader
from didymos_readings.mapping import Field, RecordMapping
from didymos_readings.rows import DecodeContext, Row

CSV_BYTES: Final = 4 << 20
COLUMNS: Final = 1000


def decode_csv(body: bytes, context: DecodeContext) -> Iterator[Row | Refusal]:
    """The readings of each record; `index` counts records from 0, without the header.

    Raises ReadingError `batch.media_unsupported` for a profile that maps no CSV, `batch.malformed`, `batch.too_large`;
    of a record that breaks the quoting, when it is reached.
    """
    mapping = None if context.profile is None else context.profile.csv
    if context.profile is None or mapping is None:
        raise ReadingError("batch.media_unsupported", "the profile maps no CSV")
    if len(body) > CSV_BYTES:
        raise ReadingError("batch.too_large", "a CSV file has at most 4 MiB", limit=CSV_BYTES)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReadingError("batch.malformed", "the file is no UTF-8") from error
    if "\0" in text:
        raise ReadingError("batch.malformed", "the file holds a NUL")
    records = _records(text, mapping)
    columns = mapping.columns or tuple(next(records, ()))
    places = {name: at for at, name in enumerate(columns)}
    if not columns or len(places) != len(columns) or len(columns) > COLUMNS:
        raise ReadingError("batch.malformed", "a header names 1 to 1,000 columns, each once")
    absent = [field.column for field in _fields(mapping) if field.column not in places]
    if absent:
        raise ReadingError("batch.malformed", "a column of the profile is not in the header", column=absent[0][:64])
    return _rows(records, places, RecordReader(mapping, context.profile, context))


def _records(text: str, mapping: RecordMapping) -> Iterator[list[str]]:
    """Lists of cells; an empty line is none. Runs of the delimiter count once where it is a space."""
    reader = csv.reader(
        StringIO(text, newline=""), delimiter=mapping.delimiter, strict=True, skipinitialspace=mapping.delimiter == " "
    )  # fmt: skip
    try:
        for cells in reader:
            while mapping.delimiter == " " and cells and not cells[-1]:
                cells.pop()
            if cells:
                yield cells
    except csv.Error as error:
        raise ReadingError("batch.malformed", "a record breaks the rules of quoting", line=reader.line_num) from error


def _fields(mapping: RecordMapping) -> list[Field]:
    whose_and_when = [mapping.subject, None if mapping.time is None else mapping.time.field]
    return [field for field in whose_and_when if field is not None] + [each.field for each in mapping.values]


def _rows(records: Iterator[list[str]], places: dict[str, int], reader: RecordReader) -> Iterator[Row | Refusal]:
    for index, cells in enumerate(records):
        if len(cells) != len(places):
            yield Refusal("reading.malformed", "the record has another number of cells than the header", index, 1)
            continue
        yield from reader.rows(index, _looking(cells, places))


def _looking(cells: list[str], places: dict[str, int]) -> Look:
    def look(field: Field) -> object:
        return cells[places[field.column]]

    return look
