"""What `decide` takes, for tests, each stating only what matters."""

from typing import Any

from didymos_did import AccessRequest, Action, Context, Facts, Freshness, Ownership, TwinId

from didymos_testing.did import GLUCOSE_TASK, INSTITUTE, OWNER, RESEARCH, TWIN, a_grant

LEVEL = "features/glucose/level"


def a_context(**changes: Any) -> Context:  # noqa: ANN401 - any member of the context
    """A round of ten twins under secure aggregation."""
    return Context(**{"cohort": 10, "secure_aggregation": True, **changes})


def a_request(**changes: Any) -> AccessRequest:  # noqa: ANN401 - any member of the request
    """The institute trains the glucose forecast on TWIN: what `a_grant` allows."""
    said: dict[str, Any] = {
        "actor": INSTITUTE.did, "action": Action.TRAIN, "twin": TwinId(TWIN.did), "paths": (LEVEL,),
        "purpose": RESEARCH, "task": GLUCOSE_TASK, "context": a_context(),
    }  # fmt: skip
    return AccessRequest(**{**said, **changes})


def a_read(**changes: Any) -> AccessRequest:  # noqa: ANN401 - any member of the request
    """The institute reads one property: what `a_grant(terms=a_read_terms())` allows."""
    return a_request(**{"action": Action.READ, "task": None, "context": Context(), **changes})


def some_facts(*grants: Any, **changes: Any) -> Facts:  # noqa: ANN401 - any member of the facts
    """TWIN belongs to OWNER, consent is fresh; one grant as `a_grant` makes it unless others are given."""
    said: dict[str, Any] = {
        "ownership": Ownership(OWNER.did), "grants": grants or (a_grant(),), "freshness": Freshness.FRESH,
    }  # fmt: skip
    return Facts(**{**said, **changes})
