"""`python -m tests.bench.task_choice [HALF]`: beats by patients of DS1 alone, on which the task's choices were made.

A run over each half of the patients, tested on minutes 8 to 30 of the other half. No patient of DS2 is read.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from didymos_learning.engine import Engine
from didymos_learning.inline import federate

from tests.bench.task_readers import patients
from tests.bench.task_runs import TASKS


def main(halves: Sequence[int]) -> int:
    torch.set_num_threads(1)
    spec, folder = TASKS["beats"].spec, Path(os.environ["DIDYMOS_DATA_SETS"])
    trains, meets = (patients(folder, spec.model.task, "DS1", whole=whole) for whole in (True, False))
    engine = Engine(spec.model)
    for half in halves:
        others = [one for at, one in enumerate(trains) if at % 2 != half]
        params = federate(spec, [others[site::8] for site in range(8)])
        missed, floor = list[float](), list[float]()
        for one in meets[half::2]:
            answers = engine.predict(params, one.test).argmax(axis=1)
            missed.append(100.0 * float(np.mean(answers != one.test.truth)))
            floor.append(100.0 * float(np.mean(one.test.last != one.test.truth)))
        print(f"half {half}: {len(missed)} patients, global {np.mean(missed):.2f} %, majority {np.mean(floor):.2f} %")
    return 0


if __name__ == "__main__":
    sys.exit(main([int(half) for half in sys.argv[1:]] or [0, 1]))
