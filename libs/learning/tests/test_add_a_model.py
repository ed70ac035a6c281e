"""docs/guides/add-a-model.md, done as it says; and names that two packages claim."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from didymos_learning import GLUCOSE_TASK, LearningError, model_spec
from didymos_learning.architectures import architecture
from didymos_learning.installed import _points
from didymos_testing.package_guide import PackageGuide, claim_names

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/guides/add-a-model.md").read_text(encoding="utf-8")
GUIDE = PackageGuide.parse(PAGE.partition("\n# Add a strategy\n")[0])


@pytest.mark.slow
def test_a_newcomer_adds_an_architecture_in_under_30_lines(tmp_path: Path) -> None:
    assert GUIDE.lines("my-models") == 24
    assert f"It prints `{GUIDE.follow(ROOT, tmp_path)}`" in GUIDE.text


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two packages that claim `twice`, one that claims `lstm`, and one whose `odd` is no architecture."""
    claims = {"first": "twice = json:dumps", "second": "twice = json:loads", "third": "lstm = json:dumps"}
    odd = "odd = json:dumps\ngone = nowhere:x"
    claim_names(tmp_path, "didymos.architectures", {**claims, "fourth": odd}.items())
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
