"""`ConsentChanged` to a grant and back. What does not parse halts the tail, and stale means deny."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from didymos.identity.v1.identity_events_pb2 import ConsentChanged
from didymos.identity.v1.identity_types_pb2 import Budget as BudgetMessage
from didymos.identity.v1.identity_types_pb2 import GrantState as StateMessage
from didymos.identity.v1.identity_types_pb2 import GrantTerms
from didymos.identity.v1.identity_types_pb2 import Task as TaskMessage
from didymos.identity.v1.identity_types_pb2 import Term as TermMessage
from didymos_did import (
    Action,
    Budget,
    Did,
    Grant,
    GrantId,
    GrantState,
    Purpose,
    Task,
    Term,
    Terms,
    TwinId,
    read_term,
)

from didymos_kit.clock import from_us, to_us

_STATES: Final = {
    GrantState.ACTIVE: StateMessage.GRANT_STATE_ACTIVE,
    GrantState.SUSPENDED: StateMessage.GRANT_STATE_SUSPENDED,
    GrantState.REVOKED: StateMessage.GRANT_STATE_REVOKED,
    GrantState.EXPIRED: StateMessage.GRANT_STATE_EXPIRED,
}
_STATE_OF: Final = {number: state for state, number in _STATES.items()}


def consent_changed(grant: Grant, effective_at: datetime) -> ConsentChanged:
    """The event that says where `grant` stands."""
    event = ConsentChanged(
        grant_id=grant.id, twin=grant.twin, owner=grant.owner, grantee=grant.grantee, state=_STATES[grant.state],
        revision=grant.revision, terms=_terms_message(grant.terms), digest=grant.digest,
    )  # fmt: skip
    event.effective_at.FromDatetime(effective_at)
    return event


def grant_from_consent(value: bytes) -> Grant:
    """Raises DecodeError, DidError, KeyError or ValueError for bytes that are no ConsentChanged of ours."""
    said = ConsentChanged.FromString(value)
    return Grant(
        GrantId(said.grant_id), TwinId(Did(said.twin)), Did(said.owner), Did(said.grantee), _terms(said.terms),
        said.digest, _STATE_OF[said.state], said.revision,
    )  # fmt: skip


def _terms_message(terms: Terms) -> GrantTerms:
    budget = terms.budget
    task = terms.task
    return GrantTerms(
        actions=[action.value for action in terms.actions],
        paths=terms.paths,
        purposes=terms.purposes,
        task=None if task is None else TaskMessage(family=task.family, target=task.target, horizon=task.horizon),
        constraints=[TermMessage(name=term.name, value_json=term.value_json) for term in terms.constraints],
        budget=BudgetMessage(
            epsilon_micro=budget.epsilon_micro, delta_log10=budget.delta_log10, rounds=budget.rounds,
            exact_rounds=budget.exact_rounds, reads=budget.reads, commands=budget.commands,
        ),
        duties=[TermMessage(name=term.name, value_json=term.value_json) for term in terms.duties],
        valid_from_us=to_us(terms.valid_from),
        valid_until_us=to_us(terms.valid_until),
    )  # fmt: skip


def _terms(said: GrantTerms) -> Terms:
    task = Task(said.task.family, said.task.target, said.task.horizon) if said.HasField("task") else None
    budget = said.budget
    return Terms(
        tuple(Action(each) for each in said.actions),
        tuple(said.paths),
        tuple(Purpose(each) for each in said.purposes),
        from_us(said.valid_from_us),
        from_us(said.valid_until_us),
        task,
        _read(said.constraints),
        Budget(
            budget.epsilon_micro, budget.delta_log10, budget.rounds, budget.exact_rounds, budget.reads, budget.commands
        ),
        _read(said.duties),
    )


def _read(said: Iterable[TermMessage]) -> tuple[Term, ...]:
    return tuple(read_term(each.name, each.value_json) for each in said)
