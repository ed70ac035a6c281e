"""What came out, as one JSON object and as the facts of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, Final

from didymos_learning import bootstrap
from didymos_provenance import b64url, thread_of

from didymos_cli.demo.cast import Cast
from didymos_cli.demo.live import Lived, steward_lines
from didymos_cli.demo.onboarding import Grants
from didymos_cli.demo.proofs import Settled
from didymos_cli.demo.training import Ran
from didymos_cli.device import Sent
from didymos_cli.report import Difference, Person, Report

MODELS: Final = {
    "last_value": "rmse_last_value",
    "own": "rmse_own",
    "global": "rmse_global",
    "personal": "rmse_personal",
}
SPLIT: Final = (
    "Each person's readings in order of time, by rows: the first 60 % fit, the next 20 % gate, the last 20 % test, "
    "with a purge gap between. Errors are the sites' own reports over the test part."
)


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that the figures are made of."""

    cast: Cast
    grants: Mapping[str, Grants]
    sent: Sent
    applied: int
    ran: Ran
    settlement: Settled
    lived: Lived
    proofs: Mapping[str, str]
    refused: Mapping[str, str]
    seconds: float
    peak_mb: float


def people_of(told: Told) -> tuple[Person, ...]:
    """A line per person: errors as the site reported them, and what was paid."""
    sites = {site.signer.did: site.name for site in told.cast.sites}
    lines = {line["thread"]: line for line in told.settlement.record["lines"]}
    found = []
    for one in told.ran.evaluation["subjects"]:
        person = told.cast.by_twin[one["twin"]]
        line = lines.get(b64url(thread_of(told.grants[person.twin].train.id)), {"minor": 0})
        last_value, own, global_, personal = (float(one[name]) for name in MODELS.values())
        found.append(
            Person(
                name=person.name, site=sites[one["site"]], windows=one["windows"], last_value=last_value, own=own,
                global_=global_, personal=personal, accepted=one["accepted"], reason=one["reason"],
                score=one["score"], payout_minor=line["minor"],
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda one: one.name))


def differences(people: Sequence[Person], seed: bytes) -> tuple[Difference, ...]:
    """Means over people of personal and global against the others, with bootstrap intervals over people."""
    pairs = [("global", "last_value"), ("personal", "last_value"), ("personal", "own"), ("personal", "global")]
    found = []
    for ours, other in pairs:
        gaps = [_error(person, ours) - _error(person, other) for person in people]
        interval = bootstrap(gaps, seed)
        found.append(Difference(ours, other, interval.mean, interval.low, interval.high))
    return tuple(found)


def _error(person: Person, model: str) -> float:
    return float(getattr(person, "global_" if model == "global" else model))


def figures(told: Told, people: Sequence[Person], gaps: Sequence[Difference]) -> dict[str, Any]:
    """The object of `--json`. All but `seconds`, `peak_rss_mb` and ids are the same for the same seed."""
    record, shown = told.settlement.record, told.ran.shown
    return {
        "seed": told.cast.seed,
        "seconds": round(told.seconds, 1),
        "people": len(people),
        "sites": len(told.cast.sites),
        "readings": {
            "sent": told.sent.sent, "accepted": told.sent.accepted, "applied": told.applied,
            "refused": told.sent.refused,
        },
        "rounds": shown["committed"],
        "masking": shown["masking"],
        "differential_privacy": shown["differential_privacy"],
        "rmse": {name: round(mean(_error(person, name) for person in people), 3) for name in MODELS},
        "differences": [
            {"ours": gap.ours, "other": gap.other, "mean": round(gap.mean, 3), "low": round(gap.low, 3),
             "high": round(gap.high, 3)} for gap in gaps
        ],
        "personal": {
            "accepted": sum(person.accepted for person in people), "total": len(people),
            "worse_than_global": sum(person.accepted and person.personal > 1.01 * person.global_ for person in people),
        },
        "payouts": [{"person": one.name, "minor": one.payout_minor} for one in people],
        "money": {name: record[name] for name in ("asset", "funded", "earned", "fee", "refund")},
        "steward": {"acts": len(told.lived.acts), "undone": told.lived.undone == "undone"},
        "proofs": dict(told.proofs),
        "refused": dict(told.refused),
        "params_digest": shown["params_digest"],
        "peak_rss_mb": round(told.peak_mb),
    }  # fmt: skip


def report_of(told: Told, people: tuple[Person, ...], gaps: tuple[Difference, ...]) -> Report:
    said, record = figures(told, people, gaps), told.settlement.record
    return Report(
        seed=told.cast.seed, seconds=told.seconds, readings=said["readings"], rounds=said["rounds"],
        sites=said["sites"], masking=f"{said['masking']}; no differential privacy", split=SPLIT, people=people,
        differences=gaps, curve=told.lived.curve, hops=told.lived.hops, asset=record["asset"],
        price_minor=record["funded"], fee_minor=record["fee"], refund_minor=record["refund"],
        steward=steward_lines(told.lived), proofs=dict(told.proofs), refusals=dict(told.refused),
        peak_rss_mb=told.peak_mb, losses=(),
    )  # fmt: skip
