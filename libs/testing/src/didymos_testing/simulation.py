"""A source of series for simulated clients."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np


def people_in(path: Path, count: int = 6) -> Path:
    """A CSV of `count` people with 200 readings each, as waves of different length."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "time", "gl"])
        for person in range(count):
            for at in range(200):
                when = (begun + timedelta(minutes=5 * at)).strftime("%Y-%m-%d %H:%M:%S")
                rows.writerow([f"p{person}", when, round(120 + 40 * float(np.sin(at / (5 + person))), 1)])
    return path
