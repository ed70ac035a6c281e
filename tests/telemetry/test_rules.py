"""Alerts: each is tested by promtool, firing and silent, and has a page in the runbooks; no page is left over."""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.telemetry.promql import RULES, rules, unknown
from tools.servers import program

ROOT: Final = Path(__file__).resolve().parents[2]
TESTS: Final = tuple(sorted((ROOT / "telemetry/alerts").glob("*.yaml")))
PAGES: Final = tuple(sorted(path for path in (ROOT / "docs/runbooks").glob("*.md") if path.stem != "README"))
ALERTS: Final = {str(rule["alert"]): rule for rule in rules() if "alert" in rule}


@pytest.fixture(scope="module")
def promtool() -> str:
    return program("promtool", "prometheus")


def test_every_area_has_rules_tests_and_a_page() -> None:
    assert [path.stem for path in TESTS] == [path.stem for path in RULES] == [path.stem for path in PAGES]


@pytest.mark.servers
def test_the_rules_are_well_formed(promtool: str) -> None:
    checked = subprocess.run([promtool, "check", "rules", *RULES], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.servers
def test_every_alert_does_what_its_cases_say(promtool: str) -> None:
    tested = subprocess.run([promtool, "test", "rules", *TESTS], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.servers
def test_a_case_that_is_wrong_is_seen(promtool: str, tmp_path: Path) -> None:
    """What holds the test above: with the threshold moved, a case fails."""
    for folder in ("telemetry/alerts", "charts/didymos/rules"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    moved = tmp_path / "charts/didymos/rules/identity.yaml"
    moved.write_text(moved.read_text().replace("_seconds) > 5", "_seconds) > 3"))
    tested = subprocess.run(
        [promtool, "test", "rules", tmp_path / "telemetry/alerts/identity.yaml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert tested.returncode != 0
    assert "ConsentDenies" in tested.stdout + tested.stderr


def test_every_alert_has_a_firing_and_a_silent_case() -> None:
    cases: dict[str, set[bool]] = defaultdict(set)
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                cases[case["alertname"]].add(bool(case["exp_alerts"]))
    assert {name: {True, False} for name in ALERTS} == dict(cases)


def test_every_alert_says_how_bad_it_is_and_where_to_read_on() -> None:
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in {"page", "ticket"}, name
        assert rule["annotations"]["summary"], name
        assert rule["annotations"]["runbook"] == f"docs/runbooks/{rule['area']}.md#{name.lower()}"


def test_every_alert_has_its_heading_and_every_heading_its_alert() -> None:
    for page in PAGES:
        headings = re.findall(r"^## (\w+)$", page.read_text(), flags=re.MULTILINE)
        assert headings == [name for name, rule in ALERTS.items() if rule["area"] == page.stem], page.name


def test_every_metric_of_a_rule_is_in_the_registry() -> None:
    for rule in rules():
        assert not unknown(str(rule["expr"])), rule
