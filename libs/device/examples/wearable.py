"""A glucose sensor on an arm: a reading each five minutes, a phone that brings them home when it has a network.

python wearable.py                              # prints the DID for the owner to enrol
python wearable.py --twin did:key:z6Mk...       # measures, and sends what waits
"""

import argparse
import time
from pathlib import Path

import numpy as np
from didymos_device import Column, Device, open_key, read_house

PROFILE, LEVEL = "glucose@1", "glucose/level"
PERIOD_US = 300_000_000


def measured(hours: int) -> tuple[np.ndarray, np.ndarray]:
    """What the sensor held while the phone was away: times (us UTC) and mg/dL."""
    now_us = time.time_ns() // 1000
    times = now_us - np.arange(hours * 12, dtype=np.int64)[::-1] * PERIOD_US
    return times, np.round(110 + 25 * np.sin(times / 1.2e10))


def main() -> None:
    said = argparse.ArgumentParser()
    said.add_argument("--twin", default="")
    said.add_argument("--house", type=Path, default=Path(".didymos/house.json"))
    said.add_argument("--folder", type=Path, default=Path("wearable"))
    asked = said.parse_args()
    key = open_key(asked.folder / "key")
    if not asked.twin:
        print(key.did)
        return
    with Device(key, read_house(asked.house), asked.folder, PROFILE) as device:
        device.keep(Column(asked.twin, LEVEL, "mg/dL", *measured(hours=8)), backfill=True)
        sent = device.send(patience_seconds=60)
    print(f"{sent.accepted} readings taken, {len(sent.refused)} refused, {sent.waiting} batches wait; {sent.token}")


main()
