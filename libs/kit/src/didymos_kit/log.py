"""Structured logs: one JSON object a line on stderr, an event with fields, never a sentence. platform.md 8."""

import json
import logging
import math
import re
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, TextIO

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.typing import FilteringBoundLogger, Processor

from didymos_kit.telemetry import tracing

DENIED: Final = frozenset({"token", "proof", "key", "value", "payload", "seed", "secret", "password", "authorization"})
MASK: Final = "***"
QUIET_SECONDS: Final = 10.0  # between two of the same lines of a library
LINES: Final = 1_000  # that are told apart
_EVENT: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")


class LogFieldError(ValueError):
    """A log line that may not be written: a denied name, or an event that is no event. Raised in strict mode only."""


def get() -> FilteringBoundLogger:
    """The logger. `get().info("identity.grant_revoked", grant=grant.id, revision=3)`."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


@contextmanager
def fields(**named: str) -> Iterator[None]:
    """Fields that every line of the block carries, also across awaits: `service`, `role`."""
    with bound_contextvars(**named):
        yield


def configure(*, strict: bool = False, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Set up logging of this process. `strict` (tests) raises LogFieldError where production masks."""
    threshold = logging.getLevelNamesMapping()[level]
    processors: list[Processor] = [
        merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _add_trace,
        _refuse_denied if strict else _mask_denied,
        _render,
    ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=not strict,
    )
    root = logging.getLogger()
    root.handlers = [_Libraries()]
    root.setLevel(max(threshold, logging.WARNING))  # what libraries say matters from warnings on


def is_denied(name: str) -> bool:
    """Whether a field of this name may hold what no log may hold: `token`, `access_token`, `wallet_seed`."""
    return name.lower().rpartition("_")[2] in DENIED


class _Lines:
    """Writes to the given stream, else to what stderr is at that moment."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        stream = self._stream or sys.stderr
        stream.write(line + "\n")
        stream.flush()

    log = debug = info = warn = warning = error = critical = exception = fatal = msg


class _Libraries(logging.Handler):
    """What libraries log by the standard module, in our form; the same again only after a while, with the number of
    lines that were left out: a client whose server is away would write hundreds a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[
            tuple[str, str], tuple[float, int]
        ] = {}  # when a line was written, and how many were not since

    def emit(self, record: logging.LogRecord) -> None:
        line, now = (record.name, str(record.msg)), time.monotonic()
        at, left_out = self._said.get(line, (-math.inf, 0))
        if now - at < QUIET_SECONDS:
            self._said[line] = (at, left_out + 1)
            return
        if len(self._said) >= LINES:
            self._said.clear()
        self._said[line] = (now, 0)
        cause = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        said = {"source": record.name, "message": record.getMessage()[:500], "cause": cause, "left_out": left_out}
        get().log(record.levelno, "library.logged", **{name: found for name, found in said.items() if found})


def _add_trace(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    found = tracing.trace_id()
    if found:
        event["trace_id"] = found
    return event


def _refuse_denied(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if not _EVENT.fullmatch(str(event["event"])):
        raise LogFieldError(f"{event['event']!r} is no event; name it `room.what_happened`")
    for name in _names(event):
        if is_denied(name):
            raise LogFieldError(f"field {name!r} may not be logged")
    return event


def _names(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _names(inner)


def _mask_denied(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: MASK if is_denied(name) else _masked(value) for name, value in event.items()}


def _masked(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): MASK if is_denied(str(name)) else _masked(inner) for name, inner in value.items()}
    return [_masked(inner) for inner in value] if isinstance(value, list | tuple) else value


def _render(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    first = {"event": event.pop("event"), "level": event.pop("level"), "at": event.pop("at")}
    return json.dumps({**first, **event}, default=_text, separators=(",", ":"))


def _text(value: object) -> str:
    return MASK if isinstance(value, bytes | bytearray | memoryview) else str(value)
