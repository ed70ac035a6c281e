import json
from io import StringIO
from typing import Any

import pytest
from didymos_contracts.errors import CATALOGUE, Problem, Row
from didymos_contracts.errors.platform import (
    PLATFORM_DEADLINE,
    PLATFORM_INTERNAL,
    PLATFORM_INVALID_FIELD,
    PLATFORM_OVERLOADED,
    PLATFORM_STALE,
    PLATFORM_UNAVAILABLE,
    PLATFORM_UNKNOWN_SETTING,
)
from didymos_did import DidError
from didymos_kit import log
from didymos_kit.errors import exit_code, field_errors, from_json, problem_of, retry_after, to_json
from didymos_kit.rpc.status import MAX_BYTES, from_status, to_status, trace_of
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12).filter(
    lambda name: name not in {"type", "title", "status", "code", "retry", "trace_id", "instance", "errors", "pointer"}
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=40) | st.floats(
    allow_nan=False, allow_infinity=False
)  # fmt: skip
VALUES = st.dictionaries(NAMES, SCALARS | st.lists(SCALARS, max_size=3), max_size=5)
ROWS = st.sampled_from([row for row in CATALOGUE.values() if row is not PLATFORM_INTERNAL])


@given(ROWS, VALUES)
def test_a_problem_to_grpc_and_back_is_the_same(row: Row, values: dict[str, Any]) -> None:
    status = Status.FromString(to_status(row.problem(**values), TRACE).SerializeToString())
    back = from_status(status)
    assert (back.row, back.values) == (row, values)
    assert trace_of(status) == TRACE


@given(ROWS, VALUES)
def test_a_problem_to_json_and_back_is_the_same(row: Row, values: dict[str, Any]) -> None:
    back = from_json(json.loads(json.dumps(to_json(row.problem(**values), TRACE))))
    assert (back.row, back.values) == (row, values)


def test_several_field_errors_survive_both_ways() -> None:
    errors = [{"pointer": f"/a/{n}", "code": "platform.invalid_field", "detail": "too small"} for n in range(3)]
    problem = PLATFORM_INVALID_FIELD.problem(errors=errors)
    assert from_status(to_status(problem, TRACE)).values == {"errors": errors}
    assert from_json(to_json(problem, TRACE)).values == {"errors": errors}
    assert to_json(problem, TRACE)["errors"] == errors


def test_the_json_is_that_of_rfc_9457() -> None:
    assert to_json(PLATFORM_STALE.problem(expected=3, pointer="/revision", detail="is 5"), TRACE) == {
        "type": "urn:didymos:problem:platform.stale",
        "title": "The resource changed since it was read",
        "status": 412,
        "code": "platform.stale",
        "retry": "refresh",
        "trace_id": TRACE,
        "errors": [{"pointer": "/revision", "code": "platform.stale", "detail": "is 5"}],
        "expected": 3,
        "pointer": "/revision",
        "detail": "is 5",
    }


def test_values_never_overwrite_what_the_rfc_names() -> None:
    said = to_json(PLATFORM_STALE.problem(status=200, title="fine", code="x", type="y"), TRACE)
    assert (said["status"], said["title"], said["code"]) == (412, PLATFORM_STALE.title, "platform.stale")


def test_a_library_error_becomes_its_row() -> None:
    problem = problem_of(DidError("platform.malformed", "not UTF-8", offset=3))
    assert (problem.row.code, problem.values) == ("platform.malformed", {"detail": "not UTF-8", "offset": 3})


@pytest.mark.parametrize(
    ("error", "row"), [(TimeoutError(), PLATFORM_DEADLINE), (ConnectionRefusedError(), PLATFORM_UNAVAILABLE)]
)
def test_time_and_absent_dependencies_have_rows(error: Exception, row: Row) -> None:
    assert problem_of(error).row is row


def test_our_mistake_tells_the_caller_a_trace_id_and_the_log_the_rest() -> None:
    stream = StringIO()
    log.configure(stream=stream)
    try:
        dict[str, str]()["secret-name"]
    except KeyError as error:
        problem = problem_of(error)
    said = to_json(Problem(problem.row, {"detail": "secret-name"}), TRACE)
    assert problem.row is PLATFORM_INTERNAL
    assert "secret-name" not in json.dumps(said)
    assert said["trace_id"] == TRACE
    line = json.loads(stream.getvalue())
    assert (line["event"], line["error"]) == ("platform.mistake", "KeyError")
    assert "test_errors.py" in line["frames"][-1]


def test_an_unknown_code_of_a_library_is_our_mistake() -> None:
    assert problem_of(DidError("nobody.knows", "x")).row is PLATFORM_INTERNAL


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (PLATFORM_UNKNOWN_SETTING.problem(), 2),
        (PLATFORM_UNAVAILABLE.problem(), 4),
        (PLATFORM_INTERNAL.problem(), 1),
        (PLATFORM_STALE.problem(), 3),
    ],
)
def test_exit_codes_tell_usage_dependency_failure_and_refusal_apart(problem: Problem, code: int) -> None:
    assert exit_code(problem) == code


def test_only_what_passes_by_itself_says_when_to_come_back() -> None:
    assert retry_after(PLATFORM_OVERLOADED.problem(retry_after_seconds=2.2)) == 3
    assert retry_after(PLATFORM_OVERLOADED.problem()) == 1
    assert retry_after(PLATFORM_STALE.problem()) is None


def test_a_problem_always_fits_into_the_trailers() -> None:
    values = {f"name{n}": "é" * 5000 for n in range(40)}
    status = to_status(PLATFORM_OVERLOADED.problem(**values), TRACE)
    assert status.ByteSize() <= MAX_BYTES
    assert from_status(status).row is PLATFORM_OVERLOADED
    assert trace_of(status) == TRACE


def test_values_that_json_cannot_say_are_said_as_text() -> None:
    problem = PLATFORM_INVALID_FIELD.problem(pointer="/v", actual=float("nan"), raw=b"\xff", large=2**60)
    said = to_json(problem, TRACE)
    assert (said["actual"], said["raw"], said["large"]) == ("nan", "_w", str(2**60))
    assert field_errors(problem)[0]["pointer"] == "/v"
