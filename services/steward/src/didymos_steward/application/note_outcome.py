"""What became of a proposal: the gate refused it, or the twin shows it."""

from dataclasses import replace

from didymos_did import TwinId

from didymos_steward.application.ports import Work
from didymos_steward.domain.choice import View
from didymos_steward.domain.steward import Act, ActState


async def note_refusal(command_id: bytes, code: str, work: Work) -> Act | None:
    """The act, refused; None for a command that was not ours or is decided already."""
    act = await work.acts.lock(command_id)
    if act is None or act.state is not ActState.PROPOSED:
        return None
    refused = replace(act, state=ActState.REFUSED, detail=code)
    await work.acts.save(refused)
    return refused


async def note_applied(twin: TwinId, view: View, work: Work) -> Act | None:
    """The newest open proposal of the twin, applied, if its value is what is desired now."""
    waiting = await work.acts.in_state(twin, ActState.PROPOSED)
    if not waiting or view.desired != waiting[0].value:
        return None
    applied = replace(waiting[0], state=ActState.APPLIED)
    await work.acts.save(applied)
    return applied
