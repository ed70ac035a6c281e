"""docs/guides/add-a-model.md, done as it says; and names that two packages claim."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from didymos_learning import GLUCOSE_TASK, LearningError, model_spec
from didymos_learning.architectures import architecture
from didymos_learning.installed import _points

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/guides/add-a-model.md").read_text(encoding="utf-8").split("\n# Add a strategy\n")[0]
FILES = dict(re.findall(r"```(?:toml|python)\n# (\S+)\n(.*?)```", GUIDE, re.DOTALL))
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]
WRITTEN = [name for name in FILES if name.startswith("my-models/")]


@pytest.mark.slow
def test_a_newcomer_adds_an_architecture_in_under_30_lines(tmp_path: Path) -> None:
    lines = [line for name in WRITTEN for line in FILES[name].splitlines() if line.strip()]
    assert (len(WRITTEN), len(lines)) == (3, 24)
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    (tmp_path / "data").symlink_to(ROOT / "data")
    install, train = (shlex.split(line) for line in COMMANDS)
    aside = [*install[:3], "-q", "--target", "installed", "--python", sys.executable, *install[3:]]
    subprocess.run(aside, cwd=tmp_path, check=True, timeout=300)
    done = subprocess.run(
        train, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=300, env={"PYTHONPATH": "installed"}
    )
    assert f"It prints `{done.stdout.strip()}`" in GUIDE


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two packages that claim `twice`, one that claims `lstm`, and one whose `odd` is no architecture."""
    claims = {"first": "twice = json:dumps", "second": "twice = json:loads", "third": "lstm = json:dumps"}
    for name, claim in {**claims, "fourth": "odd = json:dumps\ngone = nowhere:x"}.items():
        folder = tmp_path / f"{name}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (folder / "entry_points.txt").write_text(f"[didymos.architectures]\n{claim}\n")
    monkeypatch.syspath_prepend(tmp_path)
    _points.cache_clear()
    yield
    _points.cache_clear()


@pytest.mark.usefixtures("packages")
def test_a_name_that_two_packages_claim_belongs_to_neither() -> None:
    with pytest.raises(LearningError, match="twice is claimed by first and second"):
        architecture("twice")
    with pytest.raises(LearningError, match="lstm is claimed by didymos-learning and third"):
        model_spec("lstm", {"units": 4, "skip": 0}, GLUCOSE_TASK)
    assert architecture("gru").version == 1


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", ["odd", "gone", "nobody"])
def test_what_is_no_architecture_is_refused(name: str) -> None:
    with pytest.raises(LearningError, match=r"training\.architecture_unknown"):
        architecture(name)
