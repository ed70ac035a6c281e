"""Decisions name what holds them, and what they name is there. The same for every page that points into the tree."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACE = re.compile(r"\b((?:libs|services|tests|cli|tools|docs|protos|data|telemetry)/[\w./-]*\w)")
TEST = re.compile(r"\btest_\w+\b(?!\.py|/)")
PARTS = ("**Context.**", "**Decision.**", "**Consequences.**", "**Held by.**")
MADE = ("services/car-park",)  # what a command of a guide makes


def pages() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    return [Path(name) for name in listed.stdout.splitlines() if not name.startswith("data/")]


@cache
def all_tests() -> str:
    return "\n".join(path.read_text() for path in ROOT.glob("**/test_*.py") if ".venv" not in path.parts) + "\n".join(
        path.read_text() for path in (ROOT / "libs/testing").rglob("*.py")
    )


@pytest.mark.parametrize("page", sorted((ROOT / "docs/adr").glob("0*.md")), ids=lambda page: page.name)
def test_a_decision_has_its_parts_and_a_test_that_is_there(page: Path) -> None:
    text = page.read_text()
    assert re.match(rf"# {int(page.name[:4])}\. ", text), "the title begins with the number"
    assert [part for part in PARTS if part not in text] == []
    held = text.partition("**Held by.**")[2]
    for name in TEST.findall(held):
        assert f"def {name}" in all_tests() or f"{name}.py" in held, name


@pytest.mark.parametrize("page", pages(), ids=str)
def test_a_page_points_at_what_is_there(page: Path) -> None:
    missing = [
        place
        for place in PLACE.findall((ROOT / page).read_text())
        if not place.startswith(MADE)
        and "..." not in place
        and not (ROOT / place).exists()
        and not within_a_service(place)
    ]
    assert missing == []


def within_a_service(place: str) -> bool:
    """Pages of a service say `tests/...` of its own."""
    return place.startswith("tests/") and any((ROOT / "services").glob(f"*/{place}"))


def test_numbers_of_decisions_are_given_once() -> None:
    numbers = [page.name[:4] for page in (ROOT / "docs/adr").glob("0*.md")]
    assert len(numbers) == len(set(numbers))
