"""REST for owners: what training made of their twin's data."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did, TwinId, parse_did
from didymos_kit.clock import Clock
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from didymos_provenance import event_id
from fastapi import APIRouter

from didymos_training_orchestration.application.ports import Units
from didymos_training_orchestration.application.report_erasure import ErasureReport, Trace, Use, report_erasure
from didymos_training_orchestration.domain.budget import Booking
from didymos_training_orchestration.domain.evaluation import training_of
from didymos_training_orchestration.domain.model import Model, ModelState, power_below, privacy_statement
from didymos_training_orchestration.domain.round import RoundState
from didymos_training_orchestration.entrypoints.shapes import Json, card_of

SECOND_US: Final = 1_000_000
OUTCOMES: Final = {Booking.SPENT: "used", Booking.RESERVED: "in flight", Booking.RELEASED: "asked, not used"}
LASTING: Final = (
    "Shared models, and what was made from them, keep what they learned: one twin's part cannot be taken out of a sum.",
    "Each of these rounds was exact, without differential privacy: nothing bounds what a model may tell of the twin.",
    "The ledger keeps entries of rounds; they name no person. Bundles that were handed out hold their records.",
    "Cohorts of rounds keep the DID of the twin beside its grant: they are what sites signed and what was charged.",
    "Readings at a site were never here: whoever runs the site erases them.",
)


def owned(
    units: Units, owner_of: Callable[[TwinId], Did | None], erased: Callable[[TwinId], bool], clock: Clock
) -> APIRouter:
    router = APIRouter(prefix="/v1/twins", tags=["twins"])

    @router.get("/{twin}/erasure-report", responses=problems(PLATFORM_NOT_FOUND))
    async def report(twin: str, caller: Caller) -> Json:
        """For the owner: which runs, rounds and models used the twin, what can be erased, and what cannot."""
        name = TwinId(parse_did(twin))
        found = await units(lambda work: report_erasure(name, caller.did, owner_of(name), work, erased=erased(name)))
        return shown(found, clock.now())

    return router


def shown(report: ErasureReport, now: datetime) -> Json:
    used = sum(use.booking is Booking.SPENT for trace in report.traces for use in trace.uses)
    lasting = [model.id for trace in report.traces if _used(trace) for model, _ in trace.shared]
    return {
        "twin": report.twin, "state": "erased" if report.erased else "live", "at": now.isoformat(),
        "rounds_used": used, "runs": [_trace(trace) for trace in report.traces],
        "erasable": {
            "models": [_own(model) for model in report.own], "reports": report.reported,
            "how": "erasing the twin destroys its keys, these parameters and cards, and what sites reported of it",
        },
        "lasting": {"models": lasting, "why": list(LASTING)},
        "budget": [
            {
                "grant": grant, "rounds_spent": account.spent, "rounds_reserved": account.reserved,
                "bundle": {"kind": "grant", "id": grant},
            }
            for grant, account in sorted(report.accounts.items())
        ],
    }  # fmt: skip


def _used(trace: Trace) -> bool:
    return any(use.booking is Booking.SPENT for use in trace.uses)


def _trace(trace: Trace) -> Json:
    run, task = trace.run, trace.run.spec.model.task
    return {
        "run": run.id, "agreement": run.terms.agreement, "buyer": run.terms.buyer, "purpose": str(run.terms.purpose),
        "state": run.state.value, "begun": run.created_at.isoformat(), "spec_digest": run.spec.digest.hex(),
        "task": {"kind": task.kind, "property": task.prop, "horizon_s": task.horizon * task.period_s},
        "model": run.spec.model.arch, "strategy": run.spec.strategy.name, "privacy": privacy_statement(run),
        "rounds": [_use(use) for use in trace.uses],
        "models": [
            {
                **_model(model), "made_from_it": children, "uses_the_twin": _used(trace), "erasable": False,
            }
            for model, children in trace.shared
        ],
    }  # fmt: skip


def _use(use: Use) -> Json:
    """The log has rounds of training only: an evaluation has no `event`."""
    round_, said = use.round, f"{use.round.run}/rounds/{use.round.number}"
    trains = round_.run == training_of(round_.run)
    aborted = round_.state is RoundState.ABORTED
    event = ("round.aborted", f"{said}/{round_.reason}") if aborted else ("round.closed", said)
    over = trains and round_.closed_us > 0
    at = round_.closed_us or round_.opened_us
    return {
        "round": round_.number, "kind": "training" if trains else "evaluation",
        "state": round_.state.value, "outcome": OUTCOMES[use.booking],
        "at": datetime.fromtimestamp(at / SECOND_US, UTC).isoformat(), "site": use.site, "grant": use.grant,
        "cohort": {"at_least": power_below(round_.cohort.size), "sites": len(round_.cohort.members)},
        "params_digest": round_.result.hex(), "event": event_id(*event).hex() if over else None,
    }  # fmt: skip


def _model(model: Model) -> dict[str, Any]:
    return {
        "model": model.id, "kind": model.kind.value, "state": model.state.value, "params_digest": model.params.hex(),
        "created_at": model.created_at.isoformat(), "event": event_id("model.published", model.id).hex(),
    }  # fmt: skip


def _own(model: Model) -> Json:
    gone = model.state is ModelState.ERASED
    return {**_model(model), "run": model.run, "erased_at": card_of(model)["at"] if gone else None}
