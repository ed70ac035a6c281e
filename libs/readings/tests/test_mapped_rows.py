"""CSV files and JSON documents read by the mapping of a profile."""

import json
from typing import Any

import pytest
from didymos_readings import DecodeContext, ReadingError, Refusal, Row, parse_profile
from didymos_readings.csv_rows import CSV_BYTES, decode_csv
from didymos_readings.instants import parse_instant
from didymos_readings.json_path import parse_json_path
from didymos_readings.json_rows import decode_json
from didymos_testing.readings import NOON_US, TWIN

PROPERTIES = [
    {"name": "power", "unit": "kW"}, {"name": "open", "kind": "bool"}, {"name": "note", "kind": "text"},
]  # fmt: skip
VALUES = [{"field": "power_kw", "property": "power", "unit": "kW"}]
CSV: dict[str, Any] = {
    "subject": {"field": "turbine", "prefix": "Turbine/"},
    "time": {"field": "time"},
    "values": VALUES,
}
JSON: dict[str, Any] = {
    "records": "$.data[*]",
    "subject": {"field": "$.who"},
    "time": {"field": "$.at", "as": "unix_ms"},
    "values": [{"field": "$.m['k W'][0]", "property": "power", "unit": "kW"}, {"field": "$.open", "property": "open"}],
}


def a_profile(**mappings: Any) -> Any:
    said = {"id": "wind@1", "title": "Wind", "properties": PROPERTIES, **mappings}
    return parse_profile(json.dumps(said).encode())


def a_context(**mappings: Any) -> DecodeContext:
    return DecodeContext(NOON_US, lambda _: None, {"Turbine/R1": TWIN, "R1": TWIN, "": TWIN}.get, a_profile(**mappings))


def from_csv(text: str | bytes, **changes: Any) -> list[Row | Refusal]:
    mapping = {name: value for name, value in {**CSV, **changes}.items() if value is not None}
    return list(decode_csv(text if isinstance(text, bytes) else text.encode(), a_context(csv=mapping)))


def from_json(said: Any, **changes: Any) -> list[Row | Refusal]:
    mapping = {name: value for name, value in {**JSON, **changes}.items() if value is not None}
    return list(decode_json(json.dumps(said).encode(), a_context(json=mapping)))


def codes(found: list[Row | Refusal]) -> list[tuple[int, str]]:
    return [(each.index, each.code if isinstance(each, Refusal) else "") for each in found]


HEAD = "turbine,time,power_kw\r\n"


def test_a_file_is_read_by_its_header() -> None:
    text = HEAD + "R1,2026-01-01T12:00:00Z,5.5\r\nR1,2026-01-01T13:00:00.25+01:00,\r\nR1,2026-01-01T12:10:00z,-1e2\r\n"
    assert from_csv(text) == [
        Row(0, TWIN, "power", "kW", NOON_US, 5.5),
        Row(2, TWIN, "power", "kW", NOON_US + 600_000_000, -100.0),
    ]


def test_quotes_line_ends_and_marks_are_as_the_rfc_says() -> None:
    values = [*VALUES, {"field": "a, note", "property": "note"}]
    text = '\ufeffturbine,time,power_kw,"a, note"\nR1,2026-01-01T12:00:00Z,1,"said ""x"",\r\nthen left"\n\n'
    found = from_csv(text, values=values)
    assert [row.value for row in found if isinstance(row, Row)] == [1.0, 'said "x",\r\nthen left']


def test_other_delimiters_and_files_without_a_header() -> None:
    assert codes(from_csv("R1;2026-01-01T12:00:00Z;1", delimiter=";", columns=["turbine", "time", "power_kw"])) == [
        (0, "")
    ]
    counted = {"field": "cycle", "as": "count", "origin": "2026-01-01T00:00:00Z", "step_s": 3600}
    found = from_csv("1 12 5.5  \n1 13 6\n", delimiter=" ", columns=["turbine", "cycle", "power_kw"], time=counted,
                     subject=None)  # fmt: skip
    assert [(row.observed_at_us - NOON_US, row.value) for row in found if isinstance(row, Row)] == [
        (0, 5.5), (3_600_000_000, 6.0),
    ]  # fmt: skip


BERLIN = {"field": "time", "as": "local", "zone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-01 13:00:00", "2026-01-01T12:00:00Z"),
        ("2026-07-01 14:00", "2026-07-01T12:00:00Z"),
        ("2026-10-25 02:30:00+01:00", "2026-10-25T01:30:00Z"),  # an offset tells the two apart
        ("2026-10-25 03:00:00", "2026-10-25T02:00:00Z"),
    ],
)
def test_local_times_are_moments_of_their_zone(text: str, utc: str) -> None:
    (row,) = from_csv(HEAD + f"R1,{text},1", time=BERLIN)
    assert isinstance(row, Row)
    assert row.observed_at_us == parse_instant(utc)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-10-25 02:30:00", "reading.time_ambiguous"),
        ("2026-10-25 02:00:00", "reading.time_ambiguous"),
        ("2026-03-29 02:30:00", "reading.time_invalid"),  # clocks went over it
        ("yesterday", "reading.time_invalid"),
        ("", "reading.time_invalid"),
    ],
)
def test_local_times_that_are_no_one_moment(text: str, code: str) -> None:
    assert codes(from_csv(HEAD + f"R1,{text},1", time=BERLIN)) == [(0, code)]


def test_mixed_dates_are_read_by_the_first_pattern_that_fits() -> None:
    time = {"field": "time", "as": "local", "zone": "UTC", "patterns": ["%d-%b-%y", "%m/%d/%Y", "%m/%d/%y"]}
    text = HEAD + "R1,2-Jun-06,1\r\nR1,11/13/2009,1\r\nR1,3/1/12,1\r\nR1,Date Not Captured,1\r\n"
    found = from_csv(text, time=time)
    assert codes(found) == [(0, ""), (1, ""), (2, ""), (3, "reading.time_invalid")]
    days = ["2006-06-02", "2009-11-13", "2012-03-01"]
    assert [row.observed_at_us for row in found if isinstance(row, Row)] == [
        parse_instant(f"{day}T00:00:00Z") for day in days
    ]


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ("R1,2026-01-01T12:00:00,1", "reading.time_invalid"),  # no zone
        ("R2,2026-01-01T12:00:00Z,1", "reading.subject_unknown"),
        (",2026-01-01T12:00:00Z,1", "reading.subject_unknown"),
        ("R1,2026-01-01T12:00:00Z", "reading.malformed"),
        ("R1,2026-01-01T12:00:00Z,1,2", "reading.malformed"),
        ("R1,2026-01-01T12:00:00Z,See ASN-1", "reading.kind_mismatch"),
        ("R1,2026-01-01T12:00:00Z,1_0", "reading.kind_mismatch"),
        ("R1,2026-01-01T12:00:00Z,NaN", "reading.not_finite"),
        ("R1,2026-01-01T12:00:00Z,-inf", "reading.not_finite"),
        ("R1,2026-01-01T12:00:00Z,1e999", "reading.kind_mismatch"),
    ],
)
def test_records_that_are_refused(cells: str, code: str) -> None:
    assert codes(from_csv(HEAD + cells)) == [(0, code)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "batch.malformed"), (b"a,b\n", "batch.malformed"), (b"turbine,time,time,power_kw\n", "batch.malformed"),
        (b"\xff", "batch.malformed"), (b"a\0", "batch.malformed"), (HEAD.encode() + b'R1,"x', "batch.malformed"),
        (HEAD.encode() + b'"R1"x,y,z', "batch.malformed"), (b"x" * (CSV_BYTES + 1), "batch.too_large"),
        (HEAD.encode() + b"x" * 200_000, "batch.malformed"),
    ],
)  # fmt: skip
def test_files_that_are_refused_whole(body: bytes, code: str) -> None:
    with pytest.raises(ReadingError) as raised:
        from_csv(body)
    assert raised.value.code == code


def test_a_profile_without_a_mapping_reads_neither() -> None:
    for decode in (decode_csv, decode_json):
        with pytest.raises(ReadingError) as raised:
            decode(b"{}", a_context())
        assert raised.value.code == "batch.media_unsupported"


def test_documents_are_read_by_paths() -> None:
    at = NOON_US // 1000
    records = [{"who": "R1", "at": at, "m": {"k W": [5.5]}, "open": True}, {"who": "R1", "at": at + 1, "open": None}]
    assert from_json({"data": records}) == [
        Row(0, TWIN, "power", "kW", NOON_US, 5.5),
        Row(0, TWIN, "open", "", NOON_US, True),
    ]
    alone = from_json({"who": "R1", "at": at, "open": False}, records="$")
    assert [row.value for row in alone if isinstance(row, Row)] == [False]


def test_a_document_without_a_time_has_that_of_its_arrival() -> None:
    (row,) = from_json({"data": {"x": {"who": "R1", "open": True}}}, time=None)
    assert isinstance(row, Row)
    assert (row.timed, row.observed_at_us) == (False, NOON_US)


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"at": 1, "open": True}, "reading.subject_unknown"),
        ({"who": True, "at": 1, "open": True}, "reading.subject_unknown"),
        ({"who": "R1", "open": True}, "reading.time_invalid"),
        ({"who": "R1", "at": "x", "open": True}, "reading.time_invalid"),
        ({"who": "R1", "at": 1e300, "open": True}, "reading.time_invalid"),
        ({"who": "R1", "at": 1, "open": "maybe"}, "reading.kind_mismatch"),
        ({"who": "R1", "at": 1, "m": {"k W": [True]}}, "reading.kind_mismatch"),
        ({"who": "R1", "at": 1, "m": {"k W": [[1]]}}, "reading.kind_mismatch"),
    ],
)
def test_records_of_documents_that_are_refused(record: dict[str, Any], code: str) -> None:
    assert codes(from_json({"data": [record]})) == [(0, code)]


def test_documents_have_limits() -> None:
    for body, code in ((b" " * ((1 << 20) + 1), "batch.too_large"), (b"{", "batch.malformed")):
        with pytest.raises(ReadingError) as raised:
            decode_json(body, a_context(json=JSON))
        assert raised.value.code == code
    with pytest.raises(ReadingError):
        from_json({"data": [1] * 10_001})


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()), ("$.a.b_1", ("a", "b_1")), ("$['a b'][\"c\"]", ("a b", "c")), ("$[0][-1]", (0, -1)),
        ("$['it\\'s']", ("it's",)), ("$.\u00e9t\u00e9", ("\u00e9t\u00e9",)), ("$['\\n']", ("\n",)),
    ],
)  # fmt: skip
def test_singular_paths(path: str, steps: tuple[Any, ...]) -> None:
    found = parse_json_path(path)
    assert found is not None
    assert found.steps == steps


@pytest.mark.parametrize(
    "path",
    ["", "a", "$.", "$a", "$..a", "$[01]", "$[-0]", "$[1:2]", "$[?@.a]", "$['a','b']", "$.*", "$[*]", "$.a b", "$['a]",
     "$" + ".a" * 17, "$" + "a" * 300, "$[9999999999]", "$.1"],
)  # fmt: skip
def test_other_paths_are_none(path: str) -> None:
    assert parse_json_path(path) is None


def test_one_wildcard_is_taken_where_records_lie() -> None:
    path = parse_json_path("$.a[*].b", wildcard=True)
    assert path is not None
    assert list(path.find({"a": [{"b": 1}, {}, {"b": None}]})) == [1, None]
    assert list(path.find({"a": {"x": {"b": 2}}})) == [2]
    assert list(path.find({"a": 5})) == []
    assert parse_json_path("$[*][*]", wildcard=True) is None


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("/csv", {"csv": 1}),
    ("/csv", {"csv": {**CSV, "more": 1}}),
    ("/csv/values", {"csv": {**CSV, "values": []}}),
    ("/csv/values/0/property", {"csv": {**CSV, "values": [{"field": "x", "property": "nothing"}]}}),
    ("/csv/values/0/property", {"csv": {**CSV, "values": [{"field": "x", "property": []}]}}),
    ("/csv/values/0/field", {"csv": {**CSV, "values": [{"property": "power"}]}}),
    ("/csv/values/0/unit", {"csv": {**CSV, "values": [{"field": "x", "property": "power", "unit": 1}]}}),
    ("/csv/time", {"csv": {"values": VALUES}}),
    ("/csv/time/zone", {"csv": {**CSV, "time": {"field": "t", "as": "local"}}}),
    ("/csv/time/zone", {"csv": {**CSV, "time": {"field": "t", "as": "local", "zone": "Middle/Earth"}}}),
    ("/csv/time/zone", {"csv": {**CSV, "time": {"field": "t", "as": "local", "zone": "../../etc/passwd"}}}),
    ("/csv/time/as", {"csv": {**CSV, "time": {"field": "t", "as": "stardate"}}}),
    ("/csv/time/patterns", {"csv": {**CSV, "time": {**BERLIN, "patterns": ["%Q"]}}}),
    ("/csv/time/step_s", {"csv": {**CSV, "time": {"field": "t", "as": "count", "step_s": 0}}}),
    ("/csv/time/origin", {"csv": {**CSV, "time": {"field": "t", "as": "count", "origin": "now"}}}),
    ("/csv/delimiter", {"csv": {**CSV, "delimiter": "x"}}),
    ("/csv/columns", {"csv": {**CSV, "columns": ["a", "a"]}}),
    ("/csv/subject", {"csv": {**CSV, "subject": "x"}}),
    ("/csv/missing", {"csv": {**CSV, "missing": [1]}}),
    ("/json/records", {"json": {**JSON, "records": "$..a"}}),
    ("/json/values/0/field", {"json": {**JSON, "values": [{"field": "$[*]", "property": "power"}]}}),
    ("/json/time/field", {"json": {**JSON, "time": {"field": "at"}}}),
]


@pytest.mark.parametrize(("pointer", "mappings"), WRONG)
def test_a_mapping_that_breaks_a_rule_names_the_member(pointer: str, mappings: dict[str, Any]) -> None:
    with pytest.raises(ReadingError) as raised:
        a_profile(**mappings)
    assert (raised.value.code, raised.value.values["pointer"]) == ("profile.malformed", pointer)
