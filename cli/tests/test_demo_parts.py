"""Parts of the demo that need no house: who plays, what is sent, memory, and the figures."""

import os
from pathlib import Path

import numpy as np
import pytest
from didymos_cli.client import Seen
from didymos_cli.demo import memory
from didymos_cli.demo.cast import SITE_SIZE, make_cast
from didymos_cli.demo.live import _curve as curve_of
from didymos_cli.demo.onboarding import training_terms
from didymos_cli.demo.outcome import differences
from didymos_cli.demo.sites import write_site
from didymos_cli.demo.story import DATA
from didymos_cli.demo.table import show
from didymos_cli.owner import Given
from didymos_cli.report import Person
from didymos_did import GrantId
from didymos_site.adapters.folder import Folder

READINGS = DATA / "readings.csv.gz"


def test_the_same_seed_has_the_same_keys_and_another_seed_has_others() -> None:
    first, again, other = (make_cast(seed, READINGS) for seed in (7, 7, 8))
    assert [person.twin for person in first.people] == [person.twin for person in again.people]
    assert {person.twin for person in first.people}.isdisjoint(person.twin for person in other.people)
    assert first.house.organisation.did == again.house.organisation.did != other.house.organisation.did


def test_everybody_is_at_one_site_of_two_or_three() -> None:
    cast = make_cast(7, READINGS)
    assert [person.name for site in cast.sites for person in site.people] == [person.name for person in cast.people]
    assert {len(site.people) for site in cast.sites} <= {SITE_SIZE - 1, SITE_SIZE}
    assert (len(cast.people), sum(len(person.times_us) for person in cast.people)) == (19, 34_890)
    assert all((np.diff(person.times_us) > 0).all() for person in cast.people)


def test_a_site_reads_the_folder_that_the_demo_writes(tmp_path: Path) -> None:
    cast = make_cast(7, READINGS)
    site = cast.sites[0]
    grants: dict[str, Given] = {person.twin: Given(GrantId("g"), b"", {"id": person.name}) for person in site.people}
    write_site(tmp_path, site, cast.house.organisation, grants)
    folder = Folder(tmp_path)
    assert folder.signer().did == site.signer.did
    assert set(folder.subjects()) == {person.twin for person in site.people}
    assert folder.enrolment()
    assert (tmp_path / "site.key").stat().st_mode & 0o777 == 0o600


def test_terms_ask_for_a_cohort_that_the_people_can_fill() -> None:
    terms = training_terms(rounds=24, people=19)
    assert terms.constraint("min-cohort") == 12
    assert terms.budget.rounds == terms.budget.exact_rounds == 24


def test_a_consistency_token_keeps_the_furthest_place_of_each_part() -> None:
    seen = Seen()
    for token in ("3:91,i3:88", "3:90", "c3:7", "", None, "nonsense"):
        seen.remember(token)
    assert seen.token() == "3:91,c3:7,i3:88"
    assert seen.token("ic") == "c3:7,i3:88"


def test_memory_counts_this_process_and_its_children() -> None:
    assert memory.pss_bytes() > 10_000_000
    parents = {1: 0, 20: 1, 30: 20, os.getpid(): 30}
    assert memory._descends(os.getpid(), 20, parents)
    assert not memory._descends(20, os.getpid(), parents)


def test_a_curve_shows_a_forecast_beside_what_came() -> None:
    person = make_cast(7, READINGS).people[0]
    at = int(person.times_us[-1])
    said: list[dict[str, float]] = [
        {"at_us": at, "mean": 100.0, "low": 90.0, "high": 110.0},
        {"at_us": at + 10**12, "mean": 1, "low": 0, "high": 2},
    ]
    curve = curve_of(person, said)
    assert (curve.minutes, curve.truth, curve.forecast) == ((0.0,), (float(person.levels[-1]),), (100.0,))
    assert curve_of(person, []).minutes == ()


def test_differences_are_means_over_people_with_their_interval() -> None:
    people = [
        Person(f"P{n}", "s", 9, 14.0 + n, 13.0, 12.0, 11.5, True, "", 0.0, 0) for n in range(5)
    ]  # fmt: skip
    found = {(gap.ours, gap.other): gap for gap in differences(people, b"s" * 32)}
    gap = found["personal", "global"]
    assert (gap.mean, gap.low, gap.high) == (-0.5, -0.5, -0.5)
    wide = found["personal", "last_value"]
    assert wide.low < wide.mean == -4.5 < wide.high


def test_the_table_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    person = Person("1636-70-1005", "site-7", 298, 23.03, 19.21, 18.39, 18.08, True, "accepted", 0.1, 11_944)
    said = {
        "differences": [{"ours": "personal", "other": "last_value", "mean": -2.0, "low": -2.9, "high": -1.2}],
        "readings": {"sent": 34890, "accepted": 34890, "applied": 34890, "refused": 0},
        "rmse": {"last_value": 14.27, "own": 13.37, "global": 12.33, "personal": 12.27},
        "money": {"funded": 100_000, "fee": 2_500}, "proofs": {"grant": "valid"},
        "refused": {"changed_byte": "invalid"},
        "seconds": 99.5, "peak_rss_mb": 3311,
    }  # fmt: skip
    show(said, [person], Path("build/demo/report.html"))
    printed = capsys.readouterr().out
    assert "1636-70-1005" in printed
    assert max(map(len, printed.splitlines())) <= 80
