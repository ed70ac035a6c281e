"""CloudEvents hand over what they carry, and are known by source and id."""

import json
from base64 import b64encode
from typing import Any

import pytest
from didymos_readings import ReadingError, binary_event, media_of, parse_event, parse_events
from didymos_testing.readings import NOON_US

EVENT = {
    "specversion": "1.0", "id": "A234-1234", "source": "/mycontext", "type": "com.example.readings",
    "datacontenttype": "application/senml+json", "data": [{"n": "glucose/level", "v": 1}],
}  # fmt: skip


def parsed(**changes: Any) -> Any:
    said = {**EVENT, **changes}
    return parse_event(json.dumps({name: value for name, value in said.items() if value is not None}).encode())


def test_structured_mode_with_json_text_and_bytes() -> None:
    event = parsed(subject="Patient/17", time="2026-01-01T12:00:00Z", comexampleextension=5)
    assert (event.media, json.loads(event.data)) == ("application/senml+json", EVENT["data"])
    assert (event.about, event.at_us) == ("Patient/17", NOON_US)
    assert parsed(datacontenttype="text/csv; charset=utf-8", data="a,b\n1,2").data == b"a,b\n1,2"
    raw = parsed(datacontenttype="application/senml+cbor", data=None, data_base64=b64encode(b"\x81\xa0").decode())
    assert (raw.media, raw.data) == ("application/senml+cbor", b"\x81\xa0")
    assert parsed(datacontenttype=None, data={"a": 1}).media == "application/json"


def test_source_and_id_name_an_event_whatever_it_carries() -> None:
    assert parsed().digest == parsed(data=[], time="2026-01-01T12:00:00Z").digest
    assert len({parsed().digest, parsed(id="b").digest, parsed(source="/other").digest}) == 3
    assert parsed(source="ab", id="c").digest != parsed(source="a", id="bc").digest


def test_binary_mode_is_the_same_event() -> None:
    headers = {
        "content-type": "application/senml+json; charset=utf-8", "ce-specversion": "1.0", "ce-id": "A234-1234",
        "ce-source": "/mycontext", "ce-type": "com.example.readings", "ce-subject": "Euro%20%E2%82%AC", "host": "x",
    }  # fmt: skip
    event = binary_event(headers, b"[]")
    assert (event.digest, event.media, event.data) == (parsed().digest, "application/senml+json", b"[]")
    assert event.about == "Euro \N{EURO SIGN}"
    assert binary_event({**headers, "ce-subject": '"quoted"'}, b"").about == "quoted"


def test_a_batch_is_a_list_of_events() -> None:
    found = parse_events(json.dumps([EVENT, {**EVENT, "id": "2"}]).encode())
    assert [event.media for event in found] == ["application/senml+json"] * 2
    assert parse_events(b"[]") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": "0.3"}, {"specversion": None}, {"id": None}, {"id": ""}, {"source": 5}, {"type": None},
        {"subject": ""}, {"time": "today"}, {"time": "2026-01-01T12:00:00"}, {"data": None},
        {"data_base64": "AA=="}, {"data": None, "data_base64": "!"}, {"data": None, "data_base64": "A"},
        {"datacontenttype": 5}, {"datacontenttype": "text/csv"}, {"UPPER": "x"}, {"ext": {"a": 1}}, {"ext": 1.5},
        {"id": "\ud800"}, {"data": None, "data_base64": "\N{EURO SIGN}"},
    ],
)  # fmt: skip
def test_what_is_no_event_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ReadingError) as raised:
        parsed(**changes)
    assert raised.value.code == "batch.malformed"


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"{}", "batch.malformed"), (b"[1]", "batch.malformed"), (b"[", "batch.malformed"),
     (b"[" + b"{}," * 256 + b"{}]", "batch.too_large"), (b" " * ((1 << 20) + 1), "batch.too_large")],
)  # fmt: skip
def test_what_is_no_batch_of_events_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(ReadingError) as raised:
        parse_events(body)
    assert raised.value.code == code


@pytest.mark.parametrize(
    "headers",
    [{}, {"ce-specversion": "1.0"}, {"ce-specversion": "1.0", "ce-id": "%ff", "ce-source": "a", "ce-type": "b"}],
)
def test_what_is_no_event_in_headers_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ReadingError):
        binary_event(headers, b"")


def test_a_media_type_has_no_parameters_here() -> None:
    assert media_of(" Text/CSV ; charset=utf-8") == "text/csv"
