"""A role is a part of the service: what it serves, and what it leaves to others."""

from pathlib import Path
from typing import Any

import pytest
from didymos_kit.settings import load, names
from didymos_testing.house import a_house
from didymos_training_orchestration.bootstrap import bootstrap
from didymos_training_orchestration.settings import TrainingSettings


@pytest.mark.parametrize(("role", "rest", "grpc", "loops"), [("all", 6, 2, 5), ("api", 6, 1, 2), ("worker", 0, 2, 5)])
async def test_a_role_selects_routes_servicers_and_loops(
    role: Any, rest: int, grpc: int, loops: int, tmp_path: Path
) -> None:
    async with a_house(tmp_path) as house, bootstrap(TrainingSettings(role=role), house) as service:
        assert (len(service.routers), len(service.servicers), len(service.loops)) == (rest, grpc, loops)


def test_settings_are_read_from_the_environment_by_their_names() -> None:
    prefix = "DIDYMOS_TRAINING_ORCHESTRATION__"
    settings = load(TrainingSettings, {f"{prefix}ROLE": "worker", f"{prefix}PACE__MASK_SECONDS": "7"})
    assert (settings.role, settings.pace.mask_seconds) == ("worker", 7.0)
    assert f"{prefix}SIMULATION__SOURCE" in set(names(TrainingSettings))
