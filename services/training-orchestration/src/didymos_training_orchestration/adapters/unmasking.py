"""From masked vectors to their sum: integers modulo 2^32, so any order gives the same bits. privacy.md 2 and 3."""

import numpy as np
from didymos_learning import RunSpec, Total
from didymos_privacy import Attempt, Done, Minima, Scale, subjects_of, vector_view

from didymos_training_orchestration.application.results import Order

EXPECTED, SURVIVING, SUBJECTS, HONEST = 5, 4, 10, 5  # privacy.md section 1: never fewer


def attempt_of(order: Order) -> Attempt:
    """What binds this attempt: it enters every mask."""
    spec = order.spec
    minima = Minima(max(EXPECTED, spec.cohort.surviving), max(SURVIVING, spec.cohort.surviving), SUBJECTS, HONEST)
    return Attempt(order.run, order.round, order.attempt, order.params, spec.digest, dimension(spec), minima)


def dimension(spec: RunSpec) -> int:
    """Coordinates of a masked vector: the parameters, and one for the weight."""
    return spec.model.layout.size + 1


def unmask(done: Done, vectors: list[bytes], spec: RunSpec) -> Total:
    """The sum of the survivors' contributions. Raises PrivacyError `privacy.vector_mismatched`."""
    if spec.local.clip is None:
        raise ValueError("a masked run has a clip: `create_run` holds that")
    total = np.zeros(dimension(spec), dtype=np.uint32)
    for raw in vectors:
        total += vector_view(raw, total.size)
    done.opened.strip(total)
    subjects = sum(done.cohort.subjects([place for place, _ in done.masked]))
    summed, weight = Scale(spec.local.clip, spec.cohort.max_weight, subjects_of(done)).decode(total)
    return Total(summed, weight, subjects)
