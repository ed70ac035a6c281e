"""A model of the registry: its card, the id that the card gives, and its parents. learning.md section 11."""

from base64 import b32encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from hashlib import sha256
from typing import Any, Final, Literal, NewType, TypeAlias

from didymos_did import TwinId, jcs

from didymos_training_orchestration.domain.cohort import Cohort
from didymos_training_orchestration.domain.contribution import SubjectReport
from didymos_training_orchestration.domain.figures import commitment, decile_table, intervals, number
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import Digest, Run, RunId

ModelId = NewType("ModelId", str)
Relation: TypeAlias = Literal["init", "aggregate", "finetune"]
SPLIT: Final = "time-ordered within each subject: fit 60, gate 20, test 20 %, with a purge gap; errors are on test"
NO_PRIVACY: Final = "no differential privacy"
LIMITS: Final = (
    "errors and scores are self-reported by the sites",
    "intervals are over subjects: they say nothing of other people, times or devices",
    "sums of single rounds are exact: what a model predicts may tell of its subjects",
)


class ModelKind(Enum):
    GLOBAL = "global"
    PERSONAL = "personal"


class ModelState(Enum):
    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Model:
    """`params`: digest of the parameters, sealed for a personal model. `twin` is None for a shared one."""

    id: ModelId
    kind: ModelKind
    run: RunId
    twin: TwinId | None
    task: str
    params: Digest
    card: bytes
    created_at: datetime
    state: ModelState = ModelState.ACTIVE


@dataclass(frozen=True, slots=True)
class Parent:
    """`child` was made from `parent` (a model, a run or a checkpoint `params-<hex>`)."""

    child: ModelId
    parent: str
    relation: Relation


def model_id(card: bytes) -> ModelId:
    """`m-` and the first 26 characters of the base32 SHA-256 of the card."""
    return ModelId("m-" + b32encode(sha256(card).digest()).decode().lower()[:26])


def task_name(run: Run) -> str:
    """Key of shared models in the log: kind, target and horizon."""
    task = run.spec.model.task
    return f"{task.kind}:{task.prop}:{task.horizon * task.period_s}s"


def privacy_statement(run: Run) -> dict[str, Any]:
    """What protects the subjects of this run, and what does not."""
    masked = run.spec.masking == "pairwise"
    return {
        "masking": "pairwise, suite didymos-sa-1" if masked else "none: the coordinator sees the sum of each site",
        "differential_privacy": NO_PRIVACY,
    }


def _common(run: Run, kind: ModelKind, at: datetime) -> dict[str, Any]:
    spec = run.spec
    return {
        "kind": kind.value,
        "run": str(run.id),
        "agreement": run.terms.agreement,
        "purpose": str(run.terms.purpose),
        "architecture": {"name": spec.model.arch, "version": spec.model.version, "args": dict(spec.model.args)},
        "task": {
            "kind": spec.model.task.kind, "property": spec.model.task.prop, "unit": spec.model.task.unit,
            "period_s": spec.model.task.period_s, "input": spec.model.task.input, "horizon": spec.model.task.horizon,
        },
        "layout": spec.model.layout.digest.hex(),
        "spec": spec.digest.hex(),
        "strategy": spec.strategy.name,
        "rounds": run.committed,
        "split": SPLIT,
        "privacy": privacy_statement(run),
        "bitwise": run.bitwise,
        "fingerprint": run.fingerprint,
        "limits": list(LIMITS),
        "at": at.isoformat(),
    }  # fmt: skip


def global_card(
    run: Run, reports: Sequence[SubjectReport], cohort: Cohort, rounds: Sequence[Round], at: datetime
) -> bytes:
    """The card of the shared model: everything but the weights, canonical JSON. Counts of people as powers of two."""
    card = _common(run, ModelKind.GLOBAL, at)
    begun = next((each.params.hex() for each in rounds), "")
    card |= {
        "params": run.params.hex(),
        "cohort": {"at_least": power_below(cohort.size), "sites": len(cohort.members)},
        "data": {**commitment(rounds), "clients": run.clients, "validation": run.spec.validation.hex()},
        "metrics": {**mean_metrics(reports), "intervals": intervals(reports)},
        "deciles": decile_table(reports),
        "lineage": {"relation": "aggregate", "run": str(run.id), "initial": begun, "seeded": True},
    }
    return jcs(card)


def personal_card(run: Run, report: SubjectReport, parent: ModelId, at: datetime) -> bytes:
    """The card of one subject's model: its gate, its errors on held-out time, its parent."""
    card = _common(run, ModelKind.PERSONAL, at)
    card |= {
        "params": report.model.hex(),
        "twin": str(report.twin),
        "parent": str(parent),
        "sealed": True,
        "lineage": {"relation": "finetune", "parent": str(parent), "run": str(run.id)},
        "gate": {"candidate": report.candidate, "bound": number(report.bound), "windows": report.gate_windows},
        "metrics": metrics_of(report),
        "interval": [number(report.interval_low), number(report.interval_high)],
    }
    return jcs(card)


def erased(model: Model, at: datetime) -> Model:
    """What stays of one twin's model: that it was, and when it went. Its card, which told of the twin, is no more."""
    card = {"model": str(model.id), "kind": model.kind.value, "state": ModelState.ERASED.value, "at": at.isoformat()}
    return replace(model, card=jcs(card), state=ModelState.ERASED)


def metrics_of(report: SubjectReport) -> dict[str, Any]:
    """The errors of one subject, self-reported."""
    return {
        "rmse_last_value": number(report.rmse_last_value),
        "rmse_own": number(report.rmse_own),
        "rmse_global": number(report.rmse_global),
        "rmse_personal": number(report.rmse_personal),
        "windows": report.test_windows,
    }


def mean_metrics(reports: Sequence[SubjectReport]) -> dict[str, Any]:
    """Means over subjects, each counted once."""
    if not reports:
        return {}
    names = ("rmse_last_value", "rmse_own", "rmse_global", "rmse_personal")
    means = {name: number(sum(getattr(report, name) for report in reports) / len(reports)) for name in names}
    return {**means, "subjects_at_least": power_below(len(reports)), "accepted": sum(r.accepted for r in reports)}


def power_below(count: int) -> int:
    """The largest power of two that is not above `count`; 0 for none."""
    return 1 << (count.bit_length() - 1) if count > 0 else 0
