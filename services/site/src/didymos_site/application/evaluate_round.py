"""Find how far off the shared model is here, then advertise: the histogram leaves in a masked sum only. ADR 138."""

from didymos_contracts.errors.privacy import PRIVACY_SECOND_VECTOR_REFUSED
from didymos_contracts.errors.training import (
    TRAINING_COHORT_TOO_SMALL,
    TRAINING_SERIES_SHORT,
    TRAINING_SITE_RESTING,
    TRAINING_SPEC_MALFORMED,
)
from didymos_kit.faults import fault_point
from didymos_learning import RunSpec
from didymos_learning.error_histogram import LEAST_SUBJECTS, width

from didymos_site.application.ports import Ports, Trained
from didymos_site.application.train_round import admit_now, advertise, not_allowed, params_of, spec_of
from didymos_site.domain.admission import Admitted
from didymos_site.domain.order import Digest, EvaluateOrder


async def evaluate_round(order: EvaluateOrder, digest: Digest, ports: Ports) -> bytes:
    """The advert. What is told is of the part held out for the gate, never of test, and of ten subjects or of nobody.

    Raises what makes the site refuse: `training.*`, `privacy.*`, `consent.stale`.
    """
    header = order.header
    earlier = ports.store.vector(header.run, header.round)
    if earlier is not None:
        raise PRIVACY_SECOND_VECTOR_REFUSED.problem(detail=f"attempt {earlier[0]} of this round masked a vector")
    if order.cohort < LEAST_SUBJECTS:
        raise TRAINING_COHORT_TOO_SMALL.problem(
            subjects=order.cohort, subjects_needed=LEAST_SUBJECTS, detail=f"under {LEAST_SUBJECTS} no errors are told"
        )
    spec = await spec_of(header, ports)
    if spec.masking != "pairwise" or not spec.evaluation.due(header.round, spec.rounds):
        raise TRAINING_SPEC_MALFORMED.problem(detail="the specification has no evaluation under masks after this round")
    admitted = await admit_now(order, spec, ports)
    if not admitted.twins:
        raise not_allowed(admitted.refused.values(), "no such twins here")
    found = await _evaluated(order, spec, admitted, ports)
    if not found.twins:
        raise TRAINING_SERIES_SHORT.problem(detail="nobody here has a window that is held out")
    ports.store.keep_trained(order, found, "")
    fault_point("site.evaluated")
    return advertise(order, digest, width(spec.evaluation.edges), found, admitted, ports)


async def _evaluated(order: EvaluateOrder, spec: RunSpec, admitted: Admitted, ports: Ports) -> Trained:
    """Within the hours of this site; it is no round of the day's."""
    resting = ports.limits.refuses(ports.clock.now(), 0)
    if resting:
        raise TRAINING_SITE_RESTING.problem(detail=resting)
    params = await params_of(order.header.params, spec, ports)
    return await ports.learner.evaluate(spec, params, [ports.subjects[twin] for twin in admitted.twins])
