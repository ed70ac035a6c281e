"""Put the shared model and the accepted personal ones into the registry, with their lineage. learning.md section 11."""

from collections.abc import Sequence
from datetime import datetime

from didymos_training_orchestration.application.events import ModelRegistered
from didymos_training_orchestration.application.ports import Work
from didymos_training_orchestration.domain.cohort import Cohort
from didymos_training_orchestration.domain.contribution import SubjectReport
from didymos_training_orchestration.domain.model import (
    Model,
    ModelKind,
    Parent,
    global_card,
    model_id,
    personal_card,
    task_name,
)
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import Run


async def register_models(
    run: Run, reports: Sequence[SubjectReport], cohort: Cohort, rounds: Sequence[Round], work: Work, at: datetime
) -> tuple[Model, ...]:
    """One shared model; one for each subject whose site's gate accepted it and whose sealed parameters lie here."""
    card = global_card(run, reports, cohort, rounds, at)
    shared = Model(model_id(card), ModelKind.GLOBAL, run.id, None, task_name(run), run.params, card, at)
    made = [shared]
    await work.registry.add(shared, [Parent(shared.id, f"run-{run.id}", "aggregate")])
    for report in reports:
        if not (report.accepted and report.model):
            continue
        card = personal_card(run, report, shared.id, at)
        model = Model(model_id(card), ModelKind.PERSONAL, run.id, report.twin, task_name(run), report.model, card, at)
        await work.registry.add(model, [Parent(model.id, shared.id, "finetune")])
        made.append(model)
    for model in made:
        work.publish(ModelRegistered(model))
    return tuple(made)
