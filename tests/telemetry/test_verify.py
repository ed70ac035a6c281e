"""`make dashboards-verify` fails where it should: a real Prometheus is asked what it cannot answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from telemetry.dashboards.panels import lines
from tools import dashboards_verify as verify
from tools.servers import program

PANEL: Final = lines("A panel", "Asked of an empty Prometheus.", "short", ("up", ""))


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[verify.Ports]:
    program("prometheus", "prometheus")
    before, verify.FOLDER = verify.FOLDER, tmp_path_factory.mktemp("dashboards")
    found = verify.Ports(*verify.free_ports(4))
    with verify.prometheus(found):
        yield found
    verify.FOLDER = before


@pytest.mark.servers
@pytest.mark.parametrize(
    ("expr", "series", "said"),
    [
        ("vector(1)", 1, ""),
        ("didymos_nothing_at_all", 0, "0 series"),
        ("vector(0) / vector(0)", 0, "without a value"),
        ("sum by (", 0, "400"),
    ],
)
def test_an_empty_answer_and_an_error_are_told_from_data(
    ports: verify.Ports, expr: str, series: int, said: str
) -> None:
    answer = verify.asked(ports, "overview", PANEL, expr, 30)
    assert answer.series == series
    assert said in answer.said


def test_one_empty_panel_fails_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "FOLDER", tmp_path)
    full, empty = (verify.Answer("overview", name, "up", count) for name, count in (("one", 3), ("two", 0)))
    assert verify.report([full], [], 0, servers=True, seconds=1) == 0
    assert verify.report([full, empty], [], 0, servers=True, seconds=1) == 1
    assert verify.report([full], ["SloBurn: err"], 0, servers=True, seconds=1) == 1
    assert verify.report([full], [], 3, servers=True, seconds=1) == 1
