"""`make new-service`: what comes out passes its own tests and is entered where services are listed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tools import new_service

LISTS = (
    ".importlinter", "pyproject.toml", "telemetry/metrics.yaml",
    *map(str, (new_service.UP, new_service.VALUES, new_service.SKAFFOLD)),
)  # fmt: skip
SOURCES = ("src", "tests", "pyproject.toml", "README.md")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The part of the tree that the generator reads and writes."""
    for name in LISTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(new_service.ROOT / name, tmp_path / name)
    template = Path("services") / new_service.TEMPLATE
    shutil.copytree(new_service.ROOT / template, tmp_path / template, ignore=new_service.SKIPPED)
    return tmp_path


def run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(tree / "services/car-park/src")}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tree,
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.slow
def test_a_new_service_starts_and_passes_its_tests(tree: Path) -> None:
    new_service.make(tree, "car-park")
    tested = run(tree, "pytest", "-n0", "services/car-park")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "6 passed" in tested.stdout
    linted = run(tree, "ruff", "check", "--no-cache", "services/car-park")
    assert linted.returncode == 0, linted.stdout


def test_it_is_entered_where_services_are_listed_and_nothing_of_the_template_is_left(tree: Path) -> None:
    before = {name: (tree / name).read_text() for name in LISTS}
    new_service.make(tree, "car-park")
    for name, text in before.items():
        grown = (tree / name).read_text()
        assert grown.count("car-park") + grown.count("didymos_car_park") > 0, name
        assert grown.replace(", car-park", "").count("template") == text.count("template"), name
    texts = [path.read_text() for path in (tree / "services/car-park").rglob("*") if path.is_file()]
    names = [path.name for path in (tree / "services/car-park").rglob("*")]
    assert not [text for text in [*texts, *names] if "emplate" in text]


def test_the_chart_has_it_as_it_has_the_others(tree: Path) -> None:
    """What a block of values renders to is tested with the chart."""
    before = yaml.safe_load((tree / new_service.VALUES).read_text())
    new_service.make(tree, "car-park")
    after = yaml.safe_load((tree / new_service.VALUES).read_text())
    assert after["services"].pop("car-park") == {"calls": ["identity"], "roles": {"all": {}}}
    assert after == before
    (rules,) = [
        each["sync"]["manual"]
        for each in yaml.safe_load((tree / new_service.SKAFFOLD).read_text())["build"]["artifacts"]
        if "sync" in each
    ]
    assert "services/car-park/src/" in [rule["strip"] for rule in rules]


@pytest.mark.parametrize(
    "name", ["", "Car", "car_park", "2x", "ledger", "did", "template-service", "twin-state", "a--b"]
)
def test_a_bad_or_taken_name_changes_nothing(tree: Path, name: str) -> None:
    (tree / "services/ledger").mkdir()
    (tree / "services/twin-state").mkdir()
    (tree / "libs/did").mkdir(parents=True)
    before = sorted(tree.rglob("*"))
    with pytest.raises(new_service.RefusedError):
        new_service.make(tree, name)
    assert sorted(tree.rglob("*")) == before
