"""CloudEvents 1.0.2 around readings: structured, batched and binary mode. Each event is a pack of its own."""

import json
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from didymos_readings.batch import BODY_BYTES
from didymos_readings.errors import ReadingError
from didymos_readings.instants import parse_instant
from didymos_readings.strict_json import parse_json

EVENTS: Final = 256
_CONTEXT: Final = b"didymos/cloudevent/v1\0"
_REQUIRED: Final = ("id", "source", "type")
_ATTRIBUTE: Final = re.compile(r"[a-z0-9]{1,64}", re.ASCII)
_ESCAPED_BYTES: Final = 2048


@dataclass(frozen=True, slots=True)
class Event:
    """What one event carries. `digest` follows from its source and id, which name it for good (section 3.1.1)."""

    media: str
    data: bytes
    digest: bytes
    about: str
    at_us: int | None


def parse_event(body: bytes) -> Event:
    """`application/cloudevents+json`. Raises ReadingError `batch.malformed`, `batch.too_large`."""
    return _event(_parsed(body))


def parse_events(body: bytes) -> list[Event]:
    """`application/cloudevents-batch+json`; a batch may be empty. Raises as `parse_event`."""
    said = _parsed(body)
    if not isinstance(said, list):
        raise ReadingError("batch.malformed", "a batch of events is an array")
    if len(said) > EVENTS:
        raise ReadingError("batch.too_large", "a batch has at most 256 events", limit=EVENTS)
    return [_event(each) for each in said]


def binary_event(headers: Mapping[str, str], body: bytes) -> Event:
    """Binary mode: attributes in headers `ce-...` (names in small letters), data as it is. HTTP binding 3.1."""
    said = {
        name.removeprefix("ce-"): _unescaped(value) for name, value in headers.items() if name.startswith("ce-")
    }  # fmt: skip
    media = headers.get("content-type", "")
    return _described(said, media, body)


def _parsed(body: bytes) -> Any:  # noqa: ANN401 - any JSON value
    if len(body) > BODY_BYTES:
        raise ReadingError("batch.too_large", "events have at most 1 MiB", limit=BODY_BYTES)
    return parse_json(body)


def _event(said: object) -> Event:
    if not isinstance(said, dict):
        raise ReadingError("batch.malformed", "an event is an object")
    if ("data" in said) == ("data_base64" in said):
        raise ReadingError("batch.malformed", "an event has either data or data_base64")
    media = said.get("datacontenttype", "application/json")
    if not isinstance(media, str):
        raise ReadingError("batch.malformed", "datacontenttype is a media type")
    attributes = {name: value for name, value in said.items() if name not in ("data", "data_base64")}
    return _described(attributes, media, _data(said, media))


def _data(said: dict[str, Any], media: str) -> bytes:
    """The bytes of the data. JSON format 3.1.1: JSON stands as it is, all else as text or base64."""
    if "data_base64" in said:
        text = said["data_base64"]
        try:
            return b64decode(text, validate=True) if isinstance(text, str) else b"\xff"
        except (Base64Error, ValueError) as error:
            raise ReadingError("batch.malformed", "data_base64 is no base64") from error
    if media_of(media).endswith(("/json", "+json")):
        return _utf8(json.dumps(said["data"], ensure_ascii=False))
    if not isinstance(said["data"], str):
        raise ReadingError("batch.malformed", "data that is no JSON is a text")
    return _utf8(said["data"])


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise ReadingError("batch.malformed", "data is no text in UTF-8") from error


def _described(said: dict[str, Any], media: str, data: bytes) -> Event:
    if said.get("specversion") != "1.0":
        raise ReadingError("batch.malformed", "specversion is 1.0")
    for name, value in said.items():
        if not _ATTRIBUTE.fullmatch(name) or not isinstance(value, str | int | bool):
            raise ReadingError("batch.malformed", "an attribute has a name of a-z and 0-9, and a simple value")
    for name in (*_REQUIRED, *({"subject", "time"} & said.keys())):
        value = said.get(name)
        if not isinstance(value, str) or not value or len(_utf8(value)) > BODY_BYTES:
            raise ReadingError("batch.malformed", f"{name} is a text that is not empty")
    at_us = parse_instant(said["time"]) if "time" in said else None
    if "time" in said and at_us is None:
        raise ReadingError("batch.malformed", "time is an RFC 3339 time with its zone")
    named = b"".join(
        len(part).to_bytes(8, "big") + part for part in (_utf8(said["source"]), _utf8(said["id"]))
    )  # fmt: skip
    return Event(media_of(media), data, sha256(_CONTEXT + named).digest(), said.get("subject", ""), at_us)


def media_of(text: str) -> str:
    """The media type of a Content-Type, without its parameters."""
    return text.partition(";")[0].strip().lower()


def _unescaped(value: str) -> str:
    """HTTP binding 3.1.3.2: percent-encoded UTF-8; quotes around a value belong to it not."""
    text = value[1:-1].replace('\\"', '"').replace("\\\\", "\\") if _quoted(value) else value
    if "%" not in text:
        return text
    if len(text) > _ESCAPED_BYTES:
        raise ReadingError("batch.malformed", "an escaped header has at most 2 KiB")
    try:
        raw = text.encode()
        return re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), raw).decode()
    except (UnicodeDecodeError, UnicodeEncodeError) as error:
        raise ReadingError("batch.malformed", "an attribute in a header is no UTF-8") from error


def _quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] == '"'
