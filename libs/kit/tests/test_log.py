import json
import logging
from io import StringIO
from typing import Any

import pytest
from didymos_kit import log
from didymos_kit.log import LogFieldError
from didymos_kit.telemetry import tracing


def written(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize("name", ["token", "access_token", "proof", "private_key", "payload", "wallet_seed", "Secret"])
def test_a_denied_field_raises_in_tests(name: str) -> None:
    with pytest.raises(LogFieldError, match=name):
        log.get().info("platform.seen", **{name: "x"})


def test_a_denied_field_is_masked_in_production_wherever_it_stands() -> None:
    stream = StringIO()
    log.configure(stream=stream)
    log.get().info("platform.seen", token="t0", inner={"seed": "s0", "many": [{"value": 5.5}]}, raw=b"r0", count=3)
    line = written(stream)[0]
    assert line == {
        "event": "platform.seen", "level": "info", "at": line["at"], "token": "***",
        "inner": {"seed": "***", "many": [{"value": "***"}]}, "raw": "***", "count": 3,
    }  # fmt: skip


def test_a_nested_denied_field_raises_too() -> None:
    with pytest.raises(LogFieldError):
        log.get().info("platform.seen", batch=[{"value": 1}])


def test_a_sentence_is_no_event() -> None:
    with pytest.raises(LogFieldError, match="no event"):
        log.get().info("It happened")


def test_a_line_names_its_trace_and_the_fields_around_it() -> None:
    stream = StringIO()
    log.configure(strict=True, stream=stream)
    with tracing.span("a.b"), log.fields(service="identity", role="api"):
        log.get().warning("identity.slow", ms=3)
        trace = tracing.trace_id()
    log.get().info("identity.after")
    inside, after = written(stream)
    assert (inside["trace_id"], inside["service"], inside["role"]) == (trace, "identity", "api")
    assert "service" not in after


def test_what_libraries_log_takes_our_form_from_warnings_on() -> None:
    stream = StringIO()
    log.configure(stream=stream)
    logging.getLogger("somebody").info("nothing")
    logging.getLogger("somebody").warning("disk %s", "full")
    lines = written(stream)
    assert [(line["event"], line["source"], line["message"]) for line in lines] == [
        ("library.logged", "somebody", "disk full")
    ]


def test_a_library_that_repeats_itself_is_heard_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, now = StringIO(), [100.0]
    monkeypatch.setattr("didymos_kit.log.time.monotonic", lambda: now[0])
    log.configure(stream=stream)
    for node in range(50):
        logging.getLogger("client").error("no answer of node %d", node)
    logging.getLogger("client").error("something else")
    now[0] += log.QUIET_SECONDS
    logging.getLogger("client").error("no answer of node %d", 7)
    said = [(line["message"], line.get("left_out", 0)) for line in written(stream)]
    assert said == [("no answer of node 0", 0), ("something else", 0), ("no answer of node 7", 49)]


def test_below_the_level_nothing_is_written() -> None:
    stream = StringIO()
    log.configure(level="WARNING", stream=stream)
    log.get().info("platform.seen")
    assert stream.getvalue() == ""
