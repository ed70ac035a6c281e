"""The example of docs/guides/train-from-a-notebook.md, against an embedded house; then the page of that run."""

import asyncio
import re
from io import StringIO
from pathlib import Path
from typing import Any

import onnx
import pytest
from didymos_cli.runs import page_of, watch
from didymos_cli.up import running_house
from didymos_client import Client
from didymos_contracts.errors import Problem
from didymos_kit.house import Where
from didymos_kit.keyring import KeyRing
from didymos_learning import CohortSpec, RunSpec, StrategySpec
from didymos_testing.did import OWNER, STRANGER
from didymos_testing.house import ROOT, free_port
from didymos_testing.simulation import people_in
from didymos_testing.training import a_spec
from rich.console import Console

GUIDE = Path(__file__).resolve().parents[2] / "docs/guides/train-from-a-notebook.md"
SPEC = a_spec(masking="none", cohort=CohortSpec(1, 1, 6, 100.0), strategy=StrategySpec("fedavgm", {}))


def example(house: str, spec: RunSpec) -> dict[str, Any]:
    """Everything that the guide's example named."""
    found = re.search(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {"house": house, "signer": OWNER, "spec": spec}
    exec(compile(found[1], str(GUIDE), "exec"), names)  # noqa: S102 - our own guide
    return names


def checked(house: str) -> None:
    said = example(house, SPEC)
    assert (said["ended"]["state"], said["ended"]["committed"]) == ("completed", 3)
    assert said["params"].shape == (SPEC.model.layout.size,)
    assert said["card"]["spec"] == SPEC.digest.hex()
    facts = {each.key: each.value for each in onnx.load_model_from_string(said["graph"]).metadata_props}
    assert (facts["model"], facts["run"]) == (said["model"].name, said["run"].name)
    told = StringIO()
    with Client(house, OWNER) as client:
        run = client.run(said["run"].name)
        assert watch(run, Console(file=told, width=100)) == 0
        page = page_of(run)
        again = [each.name for each in client.runs()]
    with Client(house, STRANGER) as client, pytest.raises(Problem, match="not_found"):
        list(client.run(run.name).follow())
    assert again == [run.name]
    assert "completed" in told.getvalue()
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert page.count("<svg") >= 1


async def test_the_example_of_the_guide_trains_and_its_run_can_be_watched(tmp_path: Path) -> None:
    where = Where(f"http://127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}")
    source = people_in(tmp_path / "people.csv")
    given = {"training-orchestration": {"simulation": {"source": source, "engine": "inline"}, "poll_seconds": 0.05}}
    names = ("identity", "training-orchestration")
    async with running_house(tmp_path / "house", where, keys=KeyRing(ROOT), given=given, names=names):
        await asyncio.to_thread(checked, where.origin)
