"""From masked vectors to their sum: integers modulo 2^32, so any order gives the same bits. privacy.md 2 and 3."""

import numpy as np
from didymos_learning import Total
from didymos_learning.error_histogram import BOUND, width
from didymos_privacy import Attempt, Done, Minima, Scale, subjects_of, vector_view

from didymos_training_orchestration.application.results import Order

EXPECTED, SURVIVING, SUBJECTS, HONEST = 5, 4, 10, 5  # privacy.md section 1: never fewer


def attempt_of(order: Order) -> Attempt:
    """What binds this attempt: it enters every mask."""
    spec = order.spec
    minima = Minima(max(EXPECTED, spec.cohort.surviving), max(SURVIVING, spec.cohort.surviving), SUBJECTS, HONEST)
    return Attempt(order.run, order.round, order.attempt, order.params, spec.digest, dimension(order), minima)


def dimension(order: Order) -> int:
    """Coordinates of a masked vector: the parameters or the bins, and one for the weight or the count."""
    return 1 + (width(order.spec.evaluation.edges) if order.evaluates else order.spec.model.layout.size)


def scale_of(order: Order, subjects: int) -> Scale:
    """How contributions of so many became integers. In an evaluation each subject weighs the same."""
    if order.evaluates:
        return Scale(BOUND, 1.0, subjects)
    if order.spec.local.clip is None:
        raise ValueError("a masked run has a clip: `create_run` holds that")
    return Scale(order.spec.local.clip, order.spec.cohort.max_weight, subjects)


def unmask(done: Done, vectors: list[bytes], order: Order) -> Total:
    """The sum of the survivors' contributions. Raises PrivacyError `privacy.vector_mismatched`."""
    total = np.zeros(dimension(order), dtype=np.uint32)
    for raw in vectors:
        total += vector_view(raw, total.size)
    done.opened.strip(total)
    subjects = sum(done.cohort.subjects([place for place, _ in done.masked]))
    summed, weight = scale_of(order, subjects_of(done)).decode(total)
    return Total(summed, weight, subjects)
