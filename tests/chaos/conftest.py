"""`--kills N`: how often the chaos tests kill a process (`make chaos ARGS="--kills 6"`)."""

import pytest

KILLS = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=KILLS, help="how often a process is killed in mid-work")


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--kills")
    return found
