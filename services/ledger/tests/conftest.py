"""Logs and witnesses over real folders."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from didymos_ledger.adapters.file_log import FileLog, open_file_log
from didymos_ledger.adapters.witness_db import WitnessDb
from didymos_testing.provenance import NOON, ORG, a_log_signer


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[FileLog]:
    async with open_file_log(tmp_path / "log", ORG, a_log_signer(), lambda: NOON) as opened:
        yield opened


@pytest.fixture
async def states(tmp_path: Path) -> AsyncIterator[WitnessDb]:
    with ThreadPoolExecutor(1) as thread:
        opened = WitnessDb(tmp_path / "witness.db", thread)
        yield opened
        await opened.close()
