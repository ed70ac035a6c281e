"""Who may send what, when."""

from collections.abc import Callable

import pytest
from didymos_did import TwinId
from didymos_ingestion.domain.admission import Admission, Enrolment, admission, place_of
from didymos_testing.did import a_signer
from didymos_testing.ingestion import DAY_US, TWIN, AnEnrolment
from didymos_testing.readings import GLUCOSE, NOON_US

OTHER = TwinId(a_signer("other twin").did)


def open_to_all(_twin: TwinId) -> str | None:
    return None


def at_noon(
    *enrolments: Enrolment, profile: str = "glucose@1", closed: Callable[[TwinId], str | None] = open_to_all
) -> Admission:
    return admission(enrolments, profile, NOON_US, closed)


def test_an_enrolled_device_sends_the_paths_of_its_enrolment() -> None:
    may = at_noon(AnEnrolment())
    assert may(TWIN, GLUCOSE) is None
    assert may(TWIN, "insulin/bolus") == "reading.not_enrolled"
    assert may(OTHER, GLUCOSE) == "reading.not_enrolled"


@pytest.mark.parametrize(
    "enrolment",
    [AnEnrolment(until_us=NOON_US), AnEnrolment(not_before_us=NOON_US + 1), AnEnrolment(paths=("features/heart/*",))],
)
def test_a_window_is_half_open_by_the_clock_here(enrolment: AnEnrolment) -> None:
    assert at_noon(enrolment)(TWIN, GLUCOSE) == "reading.not_enrolled"


def test_a_closed_twin_refuses_before_anything_else_is_looked_at() -> None:
    may = at_noon(AnEnrolment(lost_since_us=1), closed=lambda _: "twin.suspended")
    assert may(TWIN, GLUCOSE) == "twin.suspended"


def test_a_lost_device_is_refused_whatever_times_it_writes() -> None:
    assert at_noon(AnEnrolment(lost_since_us=NOON_US + DAY_US))(TWIN, GLUCOSE) == "batch.device_lost"


def test_a_device_cannot_choose_the_profile_that_judges_it() -> None:
    assert at_noon(AnEnrolment(), profile="generic@1")(TWIN, GLUCOSE) == "profile.unknown"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("Patient/17/glucose/level", (TWIN, GLUCOSE)),
        ("Patient/17:glucose/level", (TWIN, GLUCOSE)),
        (f"{TWIN}/glucose/level", (TWIN, GLUCOSE)),
        ("Patient/17", None),
        ("Patient/17/", None),
        ("Patient/171/glucose/level", None),
        (f"{OTHER}/glucose/level", (OTHER, GLUCOSE)),
        ("glucose/level", None),
    ],
)
def test_a_name_leads_to_a_twin_by_alias_or_did(name: str, place: tuple[str, str] | None) -> None:
    assert place_of([AnEnrolment(aliases=("Patient/17",)), AnEnrolment(twin=OTHER)])(name) == place


def test_a_device_of_one_twin_may_send_bare_properties() -> None:
    place = place_of([AnEnrolment()])
    assert place("glucose/level") == (TWIN, GLUCOSE)
    assert place(f"{OTHER}/glucose/level") is None  # another twin's DID is no property
