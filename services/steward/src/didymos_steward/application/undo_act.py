"""An owner takes an act back: the desired value becomes what it was before."""

from dataclasses import replace

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.steward import STEWARD_NOT_UNDOABLE
from didymos_did import Did
from didymos_kit.clock import Clock
from didymos_kit.ids import Ids

from didymos_steward.application.consider_change import COMMAND_LIFE
from didymos_steward.application.ports import Command, Owners, Work
from didymos_steward.domain.steward import Act, ActState


async def undo_act(act_id: bytes, asker: Did, owners: Owners, work: Work, clock: Clock, ids: Ids) -> Act:
    """Idempotent. Raises PLATFORM_NOT_FOUND for unknown and foreign acts, STEWARD_NOT_UNDOABLE for refused ones."""
    act = await work.acts.lock(act_id)
    if act is None or owners.owner_of(act.twin) != asker:
        raise PLATFORM_NOT_FOUND.problem(act=act_id.hex())
    if act.state is ActState.UNDONE:
        return act
    if act.state is ActState.REFUSED:
        raise STEWARD_NOT_UNDOABLE.problem(code=act.detail)
    command_id = ids.uuid7().bytes
    undone = replace(act, state=ActState.UNDONE, undone_by=command_id)
    await work.acts.save(undone)
    until = clock.now() + COMMAND_LIFE
    work.propose(Command(command_id, act.twin, act.property, act.before, act.unit, act.grant, until, undoes=act.id))
    return undone
