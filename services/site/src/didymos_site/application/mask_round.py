"""One step of secure aggregation: ask the state machine, store what it says, then say it. privacy.md section 3."""

from typing import Final

from didymos_contracts.errors.privacy import (
    PRIVACY_LIST_INCONSISTENT,
    PRIVACY_STEP_OUT_OF_ORDER,
    PRIVACY_VECTOR_MISMATCHED,
)
from didymos_kit import log
from didymos_kit.faults import fault_point
from didymos_learning import RunSpec
from didymos_learning.error_histogram import BOUND
from didymos_privacy import (
    Advertised,
    Confirmed,
    Left,
    Order,
    Ready,
    Refuse,
    Scale,
    SetupBoxes,
    SiteState,
    Unmask,
    derived,
    list_of,
    mask,
    step,
)

from didymos_site.application.ports import Kept, Ports
from didymos_site.application.train_round import admit_now, not_allowed, spec_of
from didymos_site.domain.order import Confirmations, DataOrder, Digest, EvaluateOrder, MaskOrder

ROUNDING: Final = {"open": "didymos/site-rounding/v1", "evaluate": "didymos/site-evaluation-rounding/v1"}


async def mask_round(order: MaskOrder, digest: Digest, ports: Ports) -> bytes:
    """The signal that answers. Raises as `train_round`."""
    header, state = order.header, ports.store.state(order.header)
    opened = ports.store.opened(header)
    if state is None or opened is None:
        raise PRIVACY_STEP_OUT_OF_ORDER.problem(detail="this site has no part in the attempt")
    told = _told(order, state)
    reached, reply = step(state, told)
    if isinstance(told, SetupBoxes) and reply is None and isinstance(reached, Ready):
        return await _masked(order, opened, reached, digest, ports)
    if reply is None:
        raise PRIVACY_STEP_OUT_OF_ORDER.problem(detail="nothing to say")
    fault_point("site.stepped")
    signal = ports.voice.say(header, list_of(reached), reply)
    if isinstance(reply, Refuse):
        log.get().warning("site.refused", run=header.run, round=header.round, step=order.step, code=reply.code)
        ports.store.keep_state(header, reached)
        ports.store.refused(header, order.step, reply.code, ports.clock.now_us())
        return signal
    ports.store.keep(Kept(header, order.step, digest, signal, reached))
    return signal


def _told(order: MaskOrder, state: SiteState) -> Order:
    """The order as the state machine takes it. Raises PRIVACY_LIST_INCONSISTENT."""
    told = order.told
    if isinstance(state, Advertised | Left):
        if isinstance(told, Confirmations):
            raise PRIVACY_STEP_OUT_OF_ORDER.problem(detail="nothing was confirmed")
        return told
    if isinstance(told, SetupBoxes) and order.header.expected != state.cohort.expected_digest(told.expected):
        raise PRIVACY_LIST_INCONSISTENT.problem(detail="the order names another expected set")
    if not isinstance(told, Confirmations):
        return told
    if any(signed.list != state.cohort.digest for signed in told.signed):
        raise PRIVACY_LIST_INCONSISTENT.problem(detail="a survivor spoke of another list")
    places = sorted((state.cohort.place(signed.site), signed.confirm) for signed in told.signed)
    return Unmask(tuple(Confirmed(place, confirm) for place, confirm in places))


async def _masked(order: MaskOrder, opened: DataOrder, ready: Ready, digest: Digest, ports: Ports) -> bytes:
    """MASK: consent is asked again, the vector is made, kept with its state and its booking, delivered, then named."""
    header = order.header
    spec, trained = await spec_of(header, ports), ports.store.trained(header)
    if trained is None:
        raise PRIVACY_VECTOR_MISMATCHED.problem(detail="nothing was trained")
    admitted = await admit_now(opened, spec, ports)
    gone = [twin for twin in trained.twins if twin not in admitted.grants]
    if gone or ready.subjects < admitted.minima.subjects:
        reasons = [admitted.refused[twin] for twin in gone if twin in admitted.refused]
        raise not_allowed(reasons, "the cohort shrank")
    place = (header.spec, header.params, header.round.to_bytes(4, "big"))  # of what is trained: its name may differ
    seed = derived(ports.secret, ROUNDING[opened.step], *place)
    done = mask(ready, _scale(opened, spec, ready).encode(trained.total, trained.weight, seed))
    if isinstance(done, Refuse):
        raise PRIVACY_VECTOR_MISMATCHED.problem(detail=done.detail)
    sent, said, vector = done
    signal = ports.voice.say(header, list_of(sent), said)
    booked = tuple(admitted.grants[twin] for twin in trained.twins)
    fault_point("site.masked")
    ports.store.keep(Kept(header, order.step, digest, signal, sent, vector, booked))
    fault_point("site.kept")
    await ports.objects.deliver(vector)
    fault_point("site.delivered")
    return signal


def _scale(opened: DataOrder, spec: RunSpec, ready: Ready) -> Scale:
    """How the vector becomes integers. Raises PRIVACY_VECTOR_MISMATCHED."""
    if isinstance(opened, EvaluateOrder):
        return Scale(BOUND, 1.0, ready.subjects)
    if spec.local.clip is None:
        raise PRIVACY_VECTOR_MISMATCHED.problem(detail="updates have no bound")
    return Scale(spec.local.clip, spec.cohort.max_weight, ready.subjects)
