"""`--kills N`: how often the chaos tests kill a process (`make chaos ARGS="--kills 6"`)."""

import pytest

KILLS = 20
KILLS_OF_SERVERS = 8  # each of these takes as long as a server or a service needs to come back


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=0, help="how often a process is killed in mid-work")


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--kills")
    return found or KILLS


@pytest.fixture
def kills_of_servers(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--kills")
    return found or KILLS_OF_SERVERS
