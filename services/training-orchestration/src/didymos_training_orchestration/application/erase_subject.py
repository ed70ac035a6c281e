"""A twin's keys are destroyed: what is kept of it here and can be parted from others goes too. docs/adr/0136."""

from didymos_did import TwinId
from didymos_kit.clock import Clock

from didymos_training_orchestration.application.ports import Objects, Units, Work
from didymos_training_orchestration.domain.model import Model, ModelState, erased


async def erase_subject(twin: TwinId, units: Units, objects: Objects, clock: Clock) -> tuple[Model, ...]:
    """Sealed parameters, cards and reports of this twin, destroyed; the models that went. Safe to repeat.

    Parameters first: a crash in between leaves a card of what is gone, which the next look clears.
    """

    async def kept(work: Work) -> tuple[list[Model], list[bytes]]:
        models = [one for one in await work.registry.of_twin(twin) if one.state is not ModelState.ERASED]
        reports = await work.registry.reports_of(twin)
        return models, [model.params for model in models] + [report.model for report in reports]

    models, digests = await units(kept)
    if not digests:
        return ()
    for digest in filter(None, digests):
        await objects.drop(digest)
    gone = tuple(erased(model, clock.now()) for model in models)

    async def forget(work: Work) -> None:
        await work.registry.erase(gone, twin)

    await units(forget)
    return gone
