"""Owners register their twins, enrol their devices and sign their grants."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from didymos_did import DPV, Action, Budget, Did, Purpose, Signer, Task, Terms, bounds_terms, make_terms

from didymos_cli.demo.cast import Person
from didymos_cli.demo.stage import Stage, each
from didymos_cli.owner import Given, create_twin, enrol_device, give_grant, register_twin, window

PROFILE: Final = "glucose@1"
LEVEL: Final = "glucose/level"
ALARM: Final = "glucose/alarm"
PATHS: Final = ("features/glucose/**",)
RESEARCH: Final = Purpose(DPV + "ScientificResearch")
PERSONAL: Final = Purpose(DPV + "ServicePersonalisation")
HEALTH: Final = Purpose(DPV + "ImproveHealthcare")
TASK: Final = Task("forecast", "features/glucose/level", "PT30M")
ALARM_RANGE: Final = (60, 180)  # mg/dL within which a steward may set the alarm
READS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Grants:
    """What one owner signed: to the institute, to the steward (to see, to act), to the clinician."""

    train: Given
    see: Given
    act: Given
    care: Given


def training_terms(rounds: int, people: int, span: timedelta = timedelta(days=90)) -> Terms:
    """Train the 30-minute forecast for research, under masks, among at least two thirds of the people."""
    return make_terms(
        [Action.TRAIN], PATHS, [RESEARCH], window(span), task=TASK,
        constraints={"min-cohort": max(2, people * 2 // 3), "secure-aggregation": True},
        budget=Budget(rounds=rounds, exact_rounds=rounds),
    )  # fmt: skip


async def onboard(stage: Stage, terms: Terms) -> Mapping[str, Grants]:
    """All people; their grants by twin. `terms`: to train."""
    found = await each(stage.cast.people, lambda person: _onboard(stage, person, terms))
    await _settled(stage)
    stage.say(f"{len(found)} owners registered their twins, enrolled their devices and signed {4 * len(found)} grants")
    return {person.twin: grants for person, grants in zip(stage.cast.people, found, strict=True)}


async def _settled(stage: Stage) -> None:
    """Devices cannot try again as clients do: wait until nothing is on its way any more."""
    until = max(stage.client(person.owner).seen.unplaced_until for person in stage.cast.people)
    await asyncio.sleep(max(0.0, until - time.monotonic()))


async def _onboard(stage: Stage, person: Person, terms: Terms) -> Grants:
    client, steward = stage.client(person.owner), stage.card.services["steward"]
    twin = await register_twin(client, person.twin_key)
    await create_twin(client, twin, PROFILE)
    await enrol_device(client, person.device.did, twin, PATHS, PROFILE)
    see = make_terms([Action.READ, Action.DERIVE], PATHS, [PERSONAL], window(), task=TASK, budget=Budget(reads=READS))
    act = bounds_terms([f"features/{ALARM}"], ALARM_RANGE, 1, 10, PERSONAL, window())
    care = make_terms([Action.READ, Action.HISTORY], PATHS, [HEALTH], window(), budget=Budget(reads=READS))

    async def grant(label: str, grantee: Did, said: Terms) -> Given:
        name = stage.cast.grant_id(f"{person.name} {label}", time.time_ns() // 1_000_000)
        return await give_grant(client, name, grantee, twin, said)

    return Grants(
        await grant("train", stage.cast.institute.did, terms), await grant("see", steward, see),
        await grant("act", steward, act), await grant("care", stage.cast.clinician.did, care),
    )  # fmt: skip


def seen_by(stage: Stage, signer: Signer) -> None:
    """Somebody who acts on what all owners did waits for it: it learns how far their writes went."""
    mine = stage.client(signer).seen
    for person in stage.cast.people:
        mine.join(stage.client(person.owner).seen, "ic")
