"""What `decide` is asked, what it may know, and what it answers. identity.md section 7."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from didymos_did.grants import Grant
from didymos_did.keys import Did, GrantId, TwinId
from didymos_did.purposes import Purpose
from didymos_did.terms import Action, Task, Term


class Reason(Enum):
    """Why. A member's order is how far a grant came: of several denials the furthest is told."""

    PURPOSE_MISSING = "purpose_missing"
    UNKNOWN_PURPOSE = "unknown_purpose"
    BAD_PATH = "bad_path"
    TWIN_UNKNOWN = "twin_unknown"
    TWIN_ERASED = "twin_erased"
    SUBJECT_SUSPENDED = "subject_suspended"
    STALE_CONSENT = "stale_consent"
    NO_DELEGATION = "no_delegation"
    NO_GRANT = "no_grant"
    GRANT_SUSPENDED = "grant_suspended"
    GRANT_REVOKED = "grant_revoked"
    GRANT_EXPIRED = "grant_expired"
    GRANT_NOT_YET = "grant_not_yet"
    ISSUER_NO_AUTHORITY = "issuer_no_authority"
    ACTION_NOT_GRANTED = "action_not_granted"
    PURPOSE_MISMATCH = "purpose_mismatch"
    PATH_NOT_GRANTED = "path_not_granted"
    TASK_MISMATCH = "task_mismatch"
    CONSTRAINT_FAILED = "constraint_failed"
    CONSTRAINT_UNKNOWN = "constraint_unknown"
    DUTY_UNKNOWN = "duty_unknown"
    DUTY_OVERDUE = "duty_overdue"
    BUDGET_EXHAUSTED = "budget_exhausted"
    OWNER = "owner"
    GRANT = "grant"


class Effect(Enum):
    ALLOW = auto()
    DENY = auto()


class Freshness(Enum):
    """Whether the tails of consent and identity are within their limit of staleness."""

    FRESH = auto()
    STALE = auto()


class SubjectStatus(Enum):
    ACTIVE = auto()
    SUSPENDED = auto()


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the use itself. None is "not said", and fails a constraint that asks for it."""

    cohort: int | None = None
    secure_aggregation: bool | None = None
    model_family: str | None = None
    agreement: str | None = None
    place: str | None = None
    value: float | None = None  # of a command, in the unit of its property
    uses_last_hour: int | None = None  # under this grant, before this one


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """`actor` is who calls; `principal` is set when it acts for somebody else (`act` in its token)."""

    actor: Did
    action: Action
    twin: TwinId
    paths: tuple[str, ...]
    purpose: Purpose | None
    task: Task | None = None
    context: Context = Context()
    principal: Did | None = None


@dataclass(frozen=True, slots=True)
class Ownership:
    """Of the twin that is asked for. `owner` is None while nobody registered it."""

    owner: Did | None
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used up under a grant so far, and its duties that are overdue, by name."""

    rounds: int = 0
    exact_rounds: int = 0
    reads: int = 0
    commands: int = 0
    overdue: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known, all of it verified. Grants may be in any order, and of other twins and grantees, too."""

    ownership: Ownership
    grants: tuple[Grant, ...]
    freshness: Freshness
    subjects: Mapping[Did, SubjectStatus] = field(default_factory=dict)
    usage: Mapping[GrantId, Usage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """`grant`: under which, or which came furthest; `detail` names its constraint or duty that fails.

    `until`: when the grant that allows ends; a record that arrives may change the answer before.
    """

    effect: Effect
    reason: Reason
    grant: GrantId | None = None
    duties: tuple[Term, ...] = ()
    until: datetime | None = None
    detail: str = ""

    @property
    def allowed(self) -> bool:
        return self.effect is Effect.ALLOW
