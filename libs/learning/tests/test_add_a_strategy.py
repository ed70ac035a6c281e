"""The section on strategies of docs/guides/add-a-model.md, done as it says; and names that two packages claim."""

from pathlib import Path

import pytest
from didymos_learning import LearningError, StrategySpec, strategies, strategy_of
from didymos_learning.installed import _points
from didymos_testing.package_guide import PackageGuide, claim_names

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/guides/add-a-model.md").read_text(encoding="utf-8")
GUIDE = PackageGuide.parse(PAGE.partition("\n# Add a strategy\n")[2])


@pytest.mark.slow
def test_a_newcomer_adds_a_strategy_in_14_lines(tmp_path: Path) -> None:
    assert GUIDE.lines("my-strategies") == 14
    assert f"It prints `{GUIDE.follow(ROOT, tmp_path)}`" in GUIDE.text


def test_a_name_claimed_twice_is_refused_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = {"first": "fedavg = json:dumps", "second": "odd = json:dumps"}
    claim_names(tmp_path, "didymos.strategies", claims.items())
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
