"""A milling machine without a clock: it counts from its boot, and the house knows what time that was.

python machine.py                               # prints the DID for the owner to enrol
python machine.py --twin did:key:z6Mk... --boot 7
"""

import argparse
import time
from pathlib import Path

import numpy as np
from didymos_device import Column, Device, open_key, read_house

PROFILE = "generic@1"
SECOND_US = 1_000_000
RATE = 10  # readings a second
COLUMNS = {"spindle/speed": ("/min", 8000.0, 40.0), "spindle/temperature": ("Cel", 41.0, 0.2), "feed": ("mm/s", 25, 1)}


def uptime_us() -> int:
    return time.monotonic_ns() // 1000


def sampled(twin: str, begun_us: int, count: int) -> list[Column]:
    """`count` readings of each sensor, at times since the boot."""
    times = begun_us + np.arange(count, dtype=np.int64) * (SECOND_US // RATE)
    noise = np.random.default_rng(begun_us)
    return [
        Column(twin, name, unit, times, np.round(noise.normal(mean, spread, count), 3))
        for name, (unit, mean, spread) in COLUMNS.items()
    ]


def main() -> None:
    said = argparse.ArgumentParser()
    said.add_argument("--twin", default="")
    said.add_argument("--boot", type=int, default=1, help="how often it was switched on: it has no clock to say more")
    said.add_argument("--house", type=Path, default=Path(".didymos/house.json"))
    said.add_argument("--folder", type=Path, default=Path("machine"))
    asked = said.parse_args()
    key = open_key(asked.folder / "key")
    if not asked.twin:
        print(key.did)
        return
    with Device(key, read_house(asked.house), asked.folder, PROFILE, boot=asked.boot) as device:
        begun_us = uptime_us() - 5 * SECOND_US
        for second in range(5):
            columns = sampled(asked.twin, begun_us + second * SECOND_US, RATE)
            device.keep_by_uptime(*columns, uptime_us=uptime_us())
        sent = device.send(patience_seconds=60)
    print(f"{sent.accepted} readings taken, {len(sent.refused)} refused, {sent.waiting} batches wait; {sent.token}")


main()
