"""The error catalogue is total and each row can be answered over REST and gRPC."""

import grpc
import pytest
from didymos_contracts.errors import CATALOGUE, Row, catalogue_row
from didymos_contracts.errors.platform import PLATFORM_INTERNAL, PLATFORM_STALE


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=lambda row: row.code)
def test_a_row_names_a_room_and_a_status_of_both_worlds(row: Row) -> None:
    room, _, rest = row.code.partition(".")
    assert room.islower()
    assert rest
    assert 400 <= row.http <= 599
    assert row.grpc in grpc.StatusCode.__members__
    assert row.title
    assert not row.title.endswith(".")


@pytest.mark.parametrize("row", [row for row in CATALOGUE.values() if row.retry == "never"], ids=lambda row: row.code)
def test_what_never_succeeds_is_not_said_to_be_away(row: Row) -> None:
    assert row.grpc not in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def test_an_unknown_code_is_our_mistake() -> None:
    assert catalogue_row("nobody.knows") is PLATFORM_INTERNAL


def test_a_problem_says_what_and_with_which_values() -> None:
    said = str(PLATFORM_STALE.problem(expected=3, actual=5))
    assert said == "platform.stale: The resource changed since it was read (expected=3, actual=5)"
