from collections.abc import Iterator

import pytest
from didymos_kit import log


@pytest.fixture(autouse=True)
def strict_log() -> Iterator[None]:
    """Every test of the kit runs with logs that refuse what production would mask."""
    log.configure(strict=True)
    yield
    log.configure(strict=True)
