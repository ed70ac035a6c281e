"""The headers of an event: CloudEvents 1.0, Kafka protocol binding 3.2, binary mode.

The value of the record is the bare protobuf message; its envelope is in the headers, so routing, dedupe and tracing
need not parse it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

SPEC_VERSION: Final = b"1.0"
CONTENT_TYPE: Final = "application/protobuf"
_CONTENT_TYPE: Final = CONTENT_TYPE.encode()
_REQUIRED: Final = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type")


class EnvelopeError(ValueError):
    """Headers that are no envelope of ours: sending the record again will not help."""

    code: Final = "platform.malformed"

    def __init__(self, header: str, detail: str) -> None:
        super().__init__(f"{header}: {detail}")
        self.values: dict[str, Any] = {"pointer": f"/headers/{header}", "detail": detail}


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the headers say. `id` is unique within `source`: repeats of a record carry the same pair."""

    id: str
    source: str  # didymos://<org>/<service>
    type: str  # full name of the protobuf message
    time: datetime
    subject: str = ""
    traceparent: str | None = None
    content_type: str = CONTENT_TYPE


def build(envelope: Envelope) -> dict[str, bytes]:
    """The headers. Raises EnvelopeError for an empty id, source or type, and for a time without a zone."""
    for name in ("id", "source", "type"):
        if not getattr(envelope, name):
            raise EnvelopeError(f"ce_{name}", "is empty")
    if envelope.time.utcoffset() is None:
        raise EnvelopeError("ce_time", "has no zone")
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": envelope.id.encode(),
        "ce_source": envelope.source.encode(),
        "ce_type": envelope.type.encode(),
        "ce_time": envelope.time.astimezone(UTC).isoformat().replace("+00:00", "Z").encode(),
        "content-type": _CONTENT_TYPE if envelope.content_type == CONTENT_TYPE else envelope.content_type.encode(),
    }
    if envelope.subject:
        headers["ce_subject"] = envelope.subject.encode()
    if envelope.traceparent is not None:
        headers["traceparent"] = envelope.traceparent.encode()
    return headers


def parse(headers: Mapping[str, bytes]) -> Envelope:
    """The envelope. Raises EnvelopeError for one that is incomplete, not UTF-8, or of another CloudEvents version."""
    said = {name: _text(headers, name) for name in _REQUIRED}
    if said["ce_specversion"] != "1.0":
        raise EnvelopeError("ce_specversion", "is not 1.0")
    traceparent = headers.get("traceparent")
    return Envelope(
        id=said["ce_id"],
        source=said["ce_source"],
        type=said["ce_type"],
        time=_time(said["ce_time"]),
        subject=_text(headers, "ce_subject") if "ce_subject" in headers else "",
        traceparent=None if traceparent is None else _text(headers, "traceparent"),
        content_type=said["content-type"],
    )


def event_type(headers: Mapping[str, bytes]) -> str:
    """`ce_type` alone, for dispatch. Raises EnvelopeError when it is missing."""
    return _text(headers, "ce_type")


def event_id(headers: Mapping[str, bytes]) -> tuple[str, str]:
    """(`ce_source`, `ce_id`): what consumers drop repeats by. Raises EnvelopeError when one is missing."""
    return _text(headers, "ce_source"), _text(headers, "ce_id")


def _text(headers: Mapping[str, bytes], name: str) -> str:
    found = headers.get(name)
    if not found:
        raise EnvelopeError(name, "is missing")
    try:
        return found.decode()
    except UnicodeDecodeError as error:
        raise EnvelopeError(name, "is not UTF-8") from error


def _time(text: str) -> datetime:
    """RFC 3339: a zone is required."""
    try:
        time = datetime.fromisoformat(text)
        if time.utcoffset() is not None:
            return time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise EnvelopeError("ce_time", "is no RFC 3339 time") from error
    raise EnvelopeError("ce_time", "has no zone")
