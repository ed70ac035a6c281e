"""What REST takes and answers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from didymos_did import Did, parse_strict
from didymos_kit.http.body import Strict
from didymos_learning.error_histogram import Estimate, Spread, spreads
from pydantic import Field

from didymos_training_orchestration.application.read_runs import Together
from didymos_training_orchestration.domain.contribution import SubjectReport
from didymos_training_orchestration.domain.figures import decile_table, intervals, number
from didymos_training_orchestration.domain.judgement import Judgement
from didymos_training_orchestration.domain.model import SPLIT, Model, Parent, mean_metrics, metrics_of, power_below
from didymos_training_orchestration.domain.round import Round
from didymos_training_orchestration.domain.run import Run

Json = dict[str, Any]
SPEC_BYTES = 256 * 1024
ERROR_UNIT = "root mean square change over the horizon, of each subject's own fit part"


class NewRun(Strict):
    """`spec`: a RunSpec. `purpose`: which one, when the agreement admits several."""

    agreement: str = Field(default="", max_length=256)
    spec: dict[str, Any]
    purpose: str = Field(default="", max_length=256)
    clients: Literal["sites", "simulated"] = "sites"


def shown_run(run: Run) -> Json:
    task = run.spec.model.task
    return {
        "run": run.id, "agreement": run.terms.agreement, "buyer": run.terms.buyer, "provider": run.terms.provider,
        "purpose": str(run.terms.purpose), "state": run.state.value, "reason": run.reason, "round": run.round,
        "rounds": run.spec.rounds, "committed": run.committed, "masking": run.spec.masking, "clients": run.clients,
        "spec_digest": run.spec.digest.hex(), "params_digest": run.params.hex(), "bitwise": run.bitwise,
        "fingerprint": run.fingerprint, "revision": run.revision, "created_at": run.created_at.isoformat(),
        "differential_privacy": "none", "architecture": run.spec.model.arch,
        "task": {
            "kind": task.kind, "property": task.prop, "unit": task.unit, "horizon_s": task.horizon * task.period_s,
        },
    }  # fmt: skip


def shown_round(round_: Round, outcomes: Mapping[tuple[int, Did], str], together: Together) -> Json:
    """`evaluation`: of its result by all sites together, in short; null where there was none."""
    return {
        "round": round_.number, "attempt": round_.attempt, "state": round_.state.value, "reason": round_.reason,
        "expected": len(round_.cohort.members), "accepted": len(round_.accepted), "charged": round_.charged,
        "cohort_digest": round_.cohort.digest.hex(), "params_digest": round_.params.hex(),
        "total_digest": round_.total.hex(), "result_digest": round_.result.hex(),
        "transcript": round_.transcript.hex(),
        "members": [
            {"member": name, "attempt": attempt, "outcome": said} for (attempt, name), said in outcomes.items()
        ],
        "evaluation": shown_together(round_.number, together, brief=True),
    }  # fmt: skip


def shown_together(after: int, together: Together, *, brief: bool = False) -> Json | None:
    """One evaluation: its state and reason; of a committed one the errors of the model and of the naive answer, each
    estimate with the bin it lies in; `brief`: without the histograms. None where there was none."""
    round_, tally = together.rounds.get(after), together.tallies.get(after)
    if round_ is None:
        return None
    said: Json = {"round": after, "state": round_.state.value, "reason": round_.reason, "charged": round_.charged}
    if tally is None:
        return said
    model, naive = spreads(np.array(tally.sums), tally.subjects, together.edges)
    found = {
        "sites": tally.sites, "subjects_at_least": power_below(tally.subjects), "unit": ERROR_UNIT,
        "model": _spread(model), "naive": _spread(naive),
    }  # fmt: skip
    if brief:
        return {**said, **found}
    shares = {name: [number(share) for share in half.shares] for name, half in (("model", model), ("naive", naive))}
    return {**said, **found, "histogram": {"edges": list(together.edges), **shares}}


def _spread(spread: Spread) -> Json:
    return {
        "mean": _estimate(spread.mean), "median": _estimate(spread.median), "p90": _estimate(spread.p90),
        "over": number(spread.over),
    }  # fmt: skip


def _estimate(estimate: Estimate) -> Json:
    high = None if estimate.high is None else number(estimate.high)
    return {"value": number(estimate.value), "low": number(estimate.low), "high": high}


def shown_evaluation(reports: Sequence[SubjectReport], judgement: Judgement | None, together: Together) -> Json:
    """`losses` is null until an ended run was judged. `together`: evaluations under masks, by round."""
    return {
        "self_reported": True,
        "split": SPLIT,
        "mean": mean_metrics(reports),
        "intervals": intervals(reports),
        "deciles": decile_table(reports),
        "losses": None if judgement is None else asdict(judgement),
        "together": [shown_together(after, together) for after in sorted(together.rounds)],
        "subjects": [
            {
                "twin": report.twin, "site": report.site, "accepted": report.accepted, "reason": report.reason,
                "candidate": report.candidate, "bound": report.bound, "gate_windows": report.gate_windows,
                "rmse_gate": number(report.rmse_gate), "input_shift": number(report.input_shift),
                "gain": [number(report.gain_low), number(report.gain_high)],
                "score": report.score, "interval": [report.interval_low, report.interval_high], **metrics_of(report),
            }
            for report in reports
        ],
    }  # fmt: skip


def shown_model(model: Model) -> Json:
    return {
        "model": model.id, "kind": model.kind.value, "run": model.run, "twin": model.twin, "task": model.task,
        "params_digest": model.params.hex(), "state": model.state.value, "created_at": model.created_at.isoformat(),
    }  # fmt: skip


def shown_lineage(model: Model, parents: Sequence[Parent], children: Sequence[Parent]) -> Json:
    return {
        "model": model.id,
        "parents": [{"parent": each.parent, "relation": each.relation} for each in parents],
        "children": [{"child": each.child, "relation": each.relation} for each in children],
    }


def card_of(model: Model) -> Json:
    card: Json = parse_strict(model.card, limit=1 << 20, floats=True)
    return card
