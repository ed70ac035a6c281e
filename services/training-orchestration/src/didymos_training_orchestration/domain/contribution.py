"""What each subject contributed, as its site attested it, and the names under which that is told. learning.md 11."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import Final

from didymos_did import Did, GrantId, TwinId
from didymos_provenance import thread_of

CAP: Final = 3.0  # times the median of the positive scores: one site cannot attest itself the whole price
METHOD: Final = "attested-dot"


@dataclass(frozen=True, slots=True)
class SubjectReport:
    """One line of a site's report: self-reported. Errors are on held-out time, in the unit of the target."""

    twin: TwinId
    site: Did
    accepted: bool
    reason: str
    candidate: str
    bound: float
    gate_windows: int
    test_windows: int
    rmse_last_value: float
    rmse_own: float
    rmse_global: float
    rmse_personal: float
    score: float
    interval_low: float
    interval_high: float
    model: bytes = b""  # digest of the sealed personal parameters, if the platform keeps them
    rmse_gate: float = 0.0  # of the global model on gate data, by which deciles are cut; 0: not told
    input_shift: float = 0.0  # population stability index of test inputs against fit inputs; above 0.25 they moved
    gain_low: float = 0.0  # 95 % interval of rmse_global - rmse_personal on test; both 0: not told
    gain_high: float = 0.0


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one subject contributed to a run. `thread` names its grant without the owner."""

    thread: bytes
    twin: TwinId
    score: float
    rounds: int
    method: str = METHOD


def capped(scores: Sequence[float]) -> tuple[float, ...]:
    """Scores, none above CAP times the median of the positive ones; what is not finite counts as 0."""
    finite = [score if isfinite(score) else 0.0 for score in scores]
    positive = [score for score in finite if score > 0.0]
    if not positive:
        return tuple(finite)
    most = CAP * median(positive)
    return tuple(min(score, most) for score in finite)


def contributions(
    reports: Iterable[SubjectReport], grants: Mapping[TwinId, GrantId], rounds: Mapping[TwinId, int]
) -> tuple[Contribution, ...]:
    """One for each report of a twin that took part in a committed round, by thread. Others are not heard."""
    heard = [report for report in reports if rounds.get(report.twin, 0) > 0 and report.twin in grants]
    scores = capped([report.score for report in heard])
    made = [
        Contribution(thread_of(grants[report.twin]), report.twin, score, rounds[report.twin])
        for report, score in zip(heard, scores, strict=True)
    ]
    return tuple(sorted(made, key=lambda one: one.thread))
