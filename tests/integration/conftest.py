"""Where the real servers are: `make servers`, or `DIDYMOS_<NAME>_URL`. Tests that need one carry the mark `servers`."""

import os

import pytest


def _url(name: str) -> str:
    variable = f"DIDYMOS_{name.upper()}_URL"
    found = os.environ.get(variable)
    if not found:
        pytest.fail(f"{variable} is not set; run `make test-integration`, or start servers with `make servers`")
    return found


@pytest.fixture(scope="session")
def kafka_url() -> str:
    return _url("kafka")


@pytest.fixture(scope="session")
def redis_url() -> str:
    return _url("redis")


@pytest.fixture(scope="session")
def postgres_url() -> str:
    return _url("postgres")
