"""The registry is no wish list: code sets each row, and a process cannot export more than a scraper takes."""

import re
from math import prod
from pathlib import Path
from typing import Final

from didymos_contracts.metrics import METRICS

ROOT: Final = Path(__file__).resolve().parents[2]
SERIES: Final = 3_000  # of one process


def test_every_row_is_set_by_some_code() -> None:
    sources = [*ROOT.glob("libs/kit/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")]
    text = "\n".join(path.read_text() for path in sources)
    used = set(re.findall(r"\b[A-Z][A-Z_]+\b", text))
    assert [row.name for row in METRICS if row.name.removeprefix("didymos_").upper() not in used] == []


def test_a_process_exports_a_bounded_number_of_series() -> None:
    """The worst case: every label takes every value of its list."""
    counted = sum(
        prod(len(values) for _, values in row.labels) * (len(row.buckets) + 3 if row.kind == "histogram" else 1)
        for row in METRICS
    )
    assert counted <= SERIES
