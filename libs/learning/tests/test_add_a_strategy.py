"""The section on strategies of docs/guides/add-a-model.md, done as it says; and names that two packages claim."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from didymos_learning import LearningError, StrategySpec, strategies, strategy_of
from didymos_learning.installed import _points

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/guides/add-a-model.md").read_text(encoding="utf-8").partition("\n# Add a strategy\n")[2]
FILES = dict(re.findall(r"```(?:toml|python)\n# (\S+)\n(.*?)```", GUIDE, re.DOTALL))
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL) for line in block.splitlines()]


def test_a_newcomer_adds_a_strategy_in_14_lines(tmp_path: Path) -> None:
    written = [text for name, text in FILES.items() if name.startswith("my-strategies/")]
    assert len([line for text in written for line in text.splitlines() if line.strip()]) == 14
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


def test_a_name_claimed_twice_is_refused_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = {"first": "fedavg = json:dumps", "second": "odd = json:dumps"}
    for name, claim in claims.items():
        folder = tmp_path / f"{name}-1.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (folder / "entry_points.txt").write_text(f"[didymos.strategies]\n{claim}\n")
    monkeypatch.syspath_prepend(tmp_path)
    _points.cache_clear()
    try:
        with pytest.raises(LearningError, match="fedavg is claimed by didymos-learning and first"):
            strategy_of(StrategySpec("fedavg", {}), "none")
        with pytest.raises(LearningError, match=r"training\.strategy_unknown"):
            strategy_of(StrategySpec("odd", {}), "none")
        assert strategy_of(StrategySpec("median", {}), "none").name == "median"
        assert not {"fedavg", "odd"} & set(strategies())
    finally:
        _points.cache_clear()
