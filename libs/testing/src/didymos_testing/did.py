"""Owners, twins, grants and tokens for tests, each stating only what matters."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from didymos_did import DPV, Action, Budget, Did, Ed25519Signer, Grant, GrantId, Purpose, Task, Terms, TwinId
from didymos_did.grants import sign_grant
from didymos_did.terms import make_terms

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RESEARCH = Purpose(DPV + "ScientificResearch")
PERSONAL = Purpose(DPV + "ServicePersonalisation")
GLUCOSE_TASK = Task("forecast", "features/glucose/level", "PT30M")


def a_signer(name: str) -> Ed25519Signer:
    """The same key for the same name, in every test."""
    return Ed25519Signer(sha256(f"test key {name}".encode()).digest())


OWNER, TWIN, INSTITUTE, STRANGER = (a_signer(name) for name in ("owner", "twin", "institute", "stranger"))


def a_grant_id(number: int = 1) -> GrantId:
    return GrantId(f"urn:uuid:01930000-0000-7000-8000-{number:012x}")


def a_terms(**changes: Any) -> Terms:  # noqa: ANN401 - any member of the terms
    """Training on glucose for research, 30 exact rounds in a cohort of ten, for a month."""
    said: dict[str, Any] = {
        "actions": [Action.TRAIN], "paths": ["features/glucose/**"], "purposes": [RESEARCH],
        "window": (NOON - timedelta(days=1), NOON + timedelta(days=30)), "task": GLUCOSE_TASK,
        "constraints": {"min-cohort": 10, "secure-aggregation": True}, "budget": Budget(rounds=30, exact_rounds=30),
    }  # fmt: skip
    return make_terms(**{**said, **changes})


def a_read_terms(**changes: Any) -> Terms:  # noqa: ANN401 - any member of the terms
    said: dict[str, Any] = {
        "actions": [Action.READ, Action.SUBSCRIBE, Action.HISTORY], "task": None, "constraints": {},
        "budget": Budget(reads=1000),
    }  # fmt: skip
    return a_terms(**{**said, **changes})


def a_grant(**changes: Any) -> Grant:  # noqa: ANN401 - any member of the grant
    said: dict[str, Any] = {
        "id": a_grant_id(), "twin": TwinId(TWIN.did), "owner": OWNER.did, "grantee": INSTITUTE.did, "terms": a_terms(),
        "digest": b"\x12\x20" + b"d" * 32,
    }  # fmt: skip
    return Grant(**{**said, **changes})


def a_credential(terms: Terms | None = None, grantee: Did | None = None, number: int = 1) -> dict[str, Any]:
    """A signed grant of OWNER for TWIN."""
    return sign_grant(a_grant_id(number), grantee or INSTITUTE.did, TwinId(TWIN.did), terms or a_terms(), OWNER, NOON)
