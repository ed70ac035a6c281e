"""What no panel may do without, read from the JSON that the chart mounts."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.telemetry.promql import FOREIGN, KINDS, bare_counters, metric_of, named, rules, unknown

ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = tuple(sorted((ROOT / "charts/didymos/dashboards").glob("*.json")))
AREAS: Final = {"overview", "data_path", "learning", "identity", "market_ledger", "kafka"}
UNITS: Final = {"short", "s", "bytes", "rps", "reqps", "percentunit"}


def said(path: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(path.read_text())
    return found


def panels(path: Path) -> list[Mapping[str, Any]]:
    return [panel for panel in said(path)["panels"] if panel["type"] != "row"]


def queries(path: Path) -> list[str]:
    return [target["expr"] for panel in panels(path) for target in panel["targets"]]


def test_every_area_has_its_dashboard() -> None:
    assert {path.stem for path in FILES} == AREAS


def test_the_files_are_what_the_modules_say() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "telemetry.dashboards", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestDashboard:
    def test_its_datasource_is_chosen_by_who_looks(self, path: Path) -> None:
        kinds = {variable["name"]: variable["type"] for variable in said(path)["templating"]["list"]}
        assert kinds == {"datasource": "datasource", "namespace": "query"}
        for panel in panels(path):
            sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
            assert {source["uid"] for source in sources} == {"${datasource}"}, panel["title"]

    def test_each_panel_says_what_it_shows_and_in_which_unit(self, path: Path) -> None:
        for panel in panels(path):
            assert panel["title"]
            assert len(panel["description"]) > 10, panel["title"]
            assert panel["description"].endswith("."), panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]

    def test_no_title_stands_twice(self, path: Path) -> None:
        titles = [panel["title"] for panel in panels(path)]
        assert len(titles) == len(set(titles))

    def test_counters_stand_under_a_rate(self, path: Path) -> None:
        for expr in queries(path):
            assert not bare_counters(expr), expr
            assert set(re.findall(r"rate\([^[]*\[([^]]*)\]", expr)) <= {"$__rate_interval"}, expr
            assert set(re.findall(r"increase\([^[]*\[([^]]*)\]", expr)) <= {"$__range"}, expr

    def test_every_metric_is_in_the_registry(self, path: Path) -> None:
        for expr in queries(path):
            assert named(expr), expr
            assert not unknown(expr), expr

    def test_every_series_is_of_the_namespaces_chosen(self, path: Path) -> None:
        for expr in queries(path):
            if "didymos_slo_" not in expr:  # objectives are the same in all of them
                assert len(re.findall(r'namespace=~"\$namespace"', expr)) >= len(named(expr)), expr

    def test_the_grid_has_no_holes(self, path: Path) -> None:
        places = [(panel["gridPos"]["x"], panel["gridPos"]["w"]) for panel in panels(path)]
        assert all(x + width <= 24 for x, width in places)
        assert sum(width for _, width in places) % 24 == 0


def test_every_metric_of_the_registry_is_looked_at() -> None:
    asked = [expr for path in FILES for expr in queries(path)] + [str(rule["expr"]) for rule in rules()]
    shown = {metric_of(name) for expr in asked for name in named(expr)}
    assert set(KINDS) - shown == set()
    assert shown >= FOREIGN


def test_the_lint_sees_a_counter_outside_of_a_rate() -> None:
    assert bare_counters("sum(didymos_ledger_entries_total)") == {"didymos_ledger_entries_total"}
    assert bare_counters("sum(rate(didymos_ledger_entries_total{a='b'}[5m]))") == set()
    assert bare_counters("rate(didymos_ledger_entries_total[5m]) / didymos_ledger_entries_total") != set()
    assert unknown("didymos_made_up_total") == {"didymos_made_up_total"}
