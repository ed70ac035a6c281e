"""What cards say of errors and data: intervals, tenths, and what fixes whose data were used. learning.md 10, 11."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from didymos_did import jcs
from didymos_learning import bootstrap
from didymos_learning.evaluation import Interval
from didymos_learning.subgroups import LEAST_PEOPLE, Errors, Group, by_gate, deciles, gap

from didymos_training_orchestration.domain.contribution import SubjectReport
from didymos_training_orchestration.domain.round import Round, RoundState

DECIMALS: Final = 6
SEED: Final = bytes(32)
LEAST_FOR_INTERVALS: Final = 5
NAMES: Final = ("last_value", "own", "global", "personal")


def number(value: float) -> float:
    """Six decimals: more than any such figure is good for, and the same text on every machine."""
    return round(float(value), DECIMALS)


def errors_of(report: SubjectReport) -> Errors:
    return Errors(
        report.rmse_last_value, report.rmse_own, report.rmse_global, report.rmse_personal, report.accepted,
        report.rmse_gate,
    )  # fmt: skip


def intervals(reports: Sequence[SubjectReport]) -> dict[str, Any]:
    """Each error, and what the gated personal model gains on it: mean and 95 % bootstrap over subjects."""
    if len(reports) < LEAST_FOR_INTERVALS:
        return {}
    found = {name: [float(getattr(report, f"rmse_{name}")) for report in reports] for name in NAMES}
    gains = {
        f"{name}_minus_personal": [one - own for one, own in zip(found[name], found["personal"], strict=True)]
        for name in NAMES[:3]
    }
    return {name: _told(bootstrap(values, SEED)) for name, values in {**found, **gains}.items()}


def decile_table(reports: Sequence[SubjectReport]) -> dict[str, Any]:
    """Tenths of the subjects, and how far the worst is from the best; or why there are none."""
    people = [errors_of(report) for report in reports]
    found = deciles(people)
    if not found:
        return {"rows": [], "reason": f"under {LEAST_PEOPLE} subjects a tenth is one person"}
    order = "the shared model's error on gate data" if by_gate(people) else "its error on test: sites told no other"
    return {
        "ordered_by": order, "rows": [_row(one) for one in found],
        "gap": {"global": number(gap(found, "shared") or 0.0), "personal": number(gap(found, "personal") or 0.0)},
    }  # fmt: skip


def commitment(rounds: Sequence[Round]) -> dict[str, Any]:
    """What fixes whose data were used: SHA-256 over number, cohort, transcript and result of each committed round, as
    `GET /v1/runs/{run}/rounds` shows them, in canonical JSON."""
    committed = [round_ for round_ in rounds if round_.state is RoundState.COMMITTED]
    lines = [[one.number, one.cohort.digest.hex(), one.transcript.hex(), one.result.hex()] for one in committed]
    return {"rounds": len(lines), "root": sha256(jcs(lines)).hexdigest()}


def _row(one: Group) -> dict[str, Any]:
    return {
        "last_value": number(one.last_value), "own": number(one.own), "global": number(one.shared),
        "personal": number(one.personal), "accepted": number(one.accepted), "harmed": number(one.harmed),
        "gain": _told(one.gain),
    }  # fmt: skip


def _told(interval: Interval) -> list[float]:
    return [number(interval.mean), number(interval.low), number(interval.high)]
