"""Any order: a repeat gets the stored answer, a new one is carried out, what cannot be done is refused with a code."""

from typing import Final

from didymos_kit import log
from didymos_kit.errors import problem_of
from didymos_privacy import Refuse

from didymos_site.application.evaluate_round import evaluate_round
from didymos_site.application.mask_round import mask_round
from didymos_site.application.personalise_run import personalise_run
from didymos_site.application.ports import Away, Ports, StoreFailed
from didymos_site.application.train_round import train_round
from didymos_site.domain.order import (
    CloseOrder,
    DataOrder,
    Digest,
    EvaluateOrder,
    MaskOrder,
    PersonaliseOrder,
    SiteOrder,
    TrainOrder,
)

DELIVERING: Final = frozenset({"open", "SetupBoxes"})


async def answer_order(order: SiteOrder, digest: Digest, ports: Ports) -> bytes | None:
    """The signal to send; None for an order that asks for none. `digest`: of the order without its deadline.

    Raises Away, StoreFailed.
    """
    header, store = order.header, ports.store
    if isinstance(order, CloseOrder):
        store.close(header, committed=order.outcome == "committed")
        log.get().info("site.round_closed", run=header.run, round=header.round, outcome=order.outcome)
        return None
    earlier = store.answered(header, order.step)
    if earlier is not None and earlier.order == digest:
        return await _again(order, earlier.signal, ports)
    if earlier is not None and not isinstance(order, MaskOrder):
        return refusal(order, "privacy.list_inconsistent", "the order differs from the one answered", ports)
    try:
        return await _carried_out(order, digest, ports)
    except (Away, StoreFailed):
        raise
    except Exception as error:
        problem = problem_of(error)
        return refusal(order, problem.row.code, str(problem.values.get("detail", problem.row.title)), ports)


async def _carried_out(order: DataOrder | MaskOrder | PersonaliseOrder, digest: Digest, ports: Ports) -> bytes:
    match order:
        case TrainOrder():
            return await train_round(order, digest, ports)
        case EvaluateOrder():
            return await evaluate_round(order, digest, ports)
        case MaskOrder():
            return await mask_round(order, digest, ports)
        case PersonaliseOrder():
            return await personalise_run(order, digest, ports)


async def _again(order: SiteOrder, signal: bytes, ports: Ports) -> bytes:
    """The same bytes; what they name is delivered again where it is not complete."""
    vector = ports.store.vector(order.header.run, order.header.round)
    if vector is not None and vector[0] == order.header.attempt and vector[1] and order.step in DELIVERING:
        await ports.objects.deliver(vector[1])
    return signal


def refusal(order: SiteOrder, code: str, detail: str, ports: Ports) -> bytes:
    """Not kept: the state of the attempt stays, and so does what was answered before."""
    header = order.header
    log.get().warning("site.refused", run=header.run, round=header.round, step=order.step, code=code)
    ports.store.refused(header, order.step, code, ports.clock.now_us())
    return ports.voice.say(header, b"", Refuse(code, detail[:256]))
