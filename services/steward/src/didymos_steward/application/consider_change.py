"""A twin changed: decide, and where the bounds allow propose a command and note the act, in one transaction."""

from datetime import timedelta
from typing import Final

from didymos_kit.clock import Clock

from didymos_steward.application.ports import Command, Grants, Work
from didymos_steward.domain.choice import Proposal, Quiet, View, choose
from didymos_steward.domain.steward import Act, Steward

COMMAND_LIFE: Final = timedelta(hours=1)


async def consider_change(
    command_id: bytes, steward: Steward, view: View, grants: Grants, work: Work, clock: Clock
) -> Act | Quiet:
    """Safe to repeat: a command id is used once. `command_id`: 16 bytes that follow from the signal."""
    now = clock.now()
    bounds = grants.bounds(steward.twin, steward.grant, now)
    choice = choose(steward, view, bounds, await work.acts.past(steward.grant, now), now)
    if not isinstance(choice, Proposal):
        return choice
    act = Act(
        command_id, steward.twin, steward.command, choice.value, view.unit, view.desired, choice.reason, steward.grant,
        now,
    )  # fmt: skip
    if not await work.acts.add(act):
        return Quiet.ALREADY_SET
    until = now + COMMAND_LIFE
    work.propose(Command(act.id, act.twin, act.property, act.value, act.unit, act.grant, until))
    return act
