"""Train on the readings of consenting subjects, then advertise fresh keys (masked) or deliver the sum (clear)."""

from collections.abc import Iterable
from hashlib import sha256
from secrets import token_bytes

from didymos_contracts.errors import Problem
from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.privacy import PRIVACY_NOT_GRANTED, PRIVACY_SECOND_VECTOR_REFUSED
from didymos_contracts.errors.training import TRAINING_LAYOUT_MISMATCHED, TRAINING_SITE_RESTING, TRAINING_SPEC_MALFORMED
from didymos_did import Reason
from didymos_kit.faults import fault_point
from didymos_learning import Flat, RunSpec, check_model, flat_bytes, flat_view
from didymos_privacy import Attempt, start

from didymos_site.application.ports import Clear, Kept, Ports, Trained
from didymos_site.domain.admission import Admitted, Use, admit
from didymos_site.domain.order import DataOrder, Digest, Header, TrainOrder


async def train_round(order: TrainOrder, digest: Digest, ports: Ports) -> bytes:
    """The signal that answers. Raises what makes the site refuse: `training.*`, `privacy.*`, `consent.stale`."""
    header, masked = order.header, order.masking == "pairwise"
    earlier = ports.store.vector(header.run, header.round)
    if earlier is not None and masked:
        raise PRIVACY_SECOND_VECTOR_REFUSED.problem(detail=f"attempt {earlier[0]} of this round masked a vector")
    spec = await spec_of(header, ports)
    if order.masking != spec.masking:
        raise TRAINING_SPEC_MALFORMED.problem(detail="the order masks otherwise than the specification says")
    admitted = await admit_now(order, spec, ports)
    if not admitted.twins:
        raise not_allowed(admitted.refused.values(), "no such twins here")
    trained = await _trained(order, spec, admitted, ports)
    fault_point("site.trained")
    if masked:
        return advertise(order, digest, spec.model.layout.size, trained, admitted, ports)
    vector = flat_bytes(trained.total)
    said = Clear(sha256(vector).digest(), trained.weight, len(trained.twins))
    signal = ports.voice.say(header, b"", said)
    booked = tuple(admitted.grants[twin] for twin in trained.twins)
    ports.store.keep(Kept(header, order.step, digest, signal, vector=vector, booked=booked))
    fault_point("site.kept")
    await ports.objects.deliver(vector)
    fault_point("site.delivered")
    return signal


def advertise(
    order: DataOrder, digest: Digest, size: int, trained: Trained, admitted: Admitted, ports: Ports
) -> bytes:  # fmt: skip
    """The signal with fresh keys, for a vector of `size` and one coordinate more: the weight, or the count."""
    header = order.header
    attempt = Attempt(
        header.run, header.round, header.attempt, header.params, header.spec, size + 1, admitted.minima
    )  # fmt: skip
    state, advert = start(attempt, ports.voice.site, len(trained.twins), token_bytes(32))
    signal = ports.voice.say(header, b"", advert)
    ports.store.keep(Kept(header, order.step, digest, signal, state))
    fault_point("site.advertised")
    return signal


def not_allowed(reasons: Iterable[Reason], else_: str) -> Problem:
    """Why subjects may not be used: of silence alone, nothing is known that lasts."""
    said = sorted({reason.value for reason in reasons})
    if said == [Reason.STALE_CONSENT.value]:
        return CONSENT_STALE.problem()
    return PRIVACY_NOT_GRANTED.problem(detail=", ".join(said) or else_)


async def admit_now(order: DataOrder, spec: RunSpec, ports: Ports) -> Admitted:
    """Which of the order's twins may be used, as things stand once silence has ended, or has lasted too long."""
    await ports.consent.settle()
    use = Use(
        order.grantee, order.purpose, order.header.agreement, order.cohort, order.masking == "pairwise", spec
    )  # fmt: skip
    booked = ports.store.booked(order.header.run, order.header.round)
    here = [twin for twin in order.twins if twin in ports.subjects]
    return admit(here, use, lambda twin: ports.consent.facts(twin, booked), ports.clock.now())


async def spec_of(header: Header, ports: Ports) -> RunSpec:
    """The specification that the order names. Raises LearningError, TRAINING_LAYOUT_MISMATCHED."""
    spec = RunSpec.from_json(await ports.objects.fetch(header.spec))
    check_model(spec.model)
    if spec.digest != header.spec or spec.model.layout.digest != header.layout:
        raise TRAINING_LAYOUT_MISMATCHED.problem(detail="specification, layout and order do not agree")
    return spec


async def params_of(digest: Digest, spec: RunSpec, ports: Ports) -> Flat:
    """A vector (d,) by its digest. Raises LearningError `training.layout_mismatched`."""
    return flat_view(await ports.objects.fetch(digest), spec.model.layout.size)


async def _trained(order: TrainOrder, spec: RunSpec, admitted: Admitted, ports: Ports) -> Trained:
    """From the store, if this was trained before from the same parameters on the same subjects."""
    header = order.header
    kept = ports.store.trained(header)
    if kept is not None and kept.twins == admitted.twins:
        return kept
    now = ports.clock.now()
    day = ports.limits.day(now)
    resting = ports.limits.refuses(now, ports.store.trained_on(day, header.run, header.round))
    if resting:
        raise TRAINING_SITE_RESTING.problem(detail=resting)
    params = await params_of(header.params, spec, ports)
    gradient = await params_of(order.gradient, spec, ports) if order.gradient else None
    subjects = [ports.subjects[twin] for twin in admitted.twins]
    trained = await ports.learner.train(spec, params, header.round, subjects, gradient)
    ports.store.keep_trained(order, trained, day)
    return trained
