"""The real service of a real house, over REST and gRPC."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from didymos_identity.bootstrap import bootstrap
from didymos_identity.settings import IdentitySettings
from didymos_kit.settings import load
from didymos_testing.house import World, a_house, served


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with (
        a_house(tmp_path) as house,
        bootstrap(load(IdentitySettings, {}), house) as service,
        served(house, service) as made,
    ):
        yield made
