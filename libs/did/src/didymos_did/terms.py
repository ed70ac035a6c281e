"""What a grant admits, as values: closed sets and integers. identity.md section 6.

`Terms` is the shape of a grant and of an offer alike, so that "an offer never exceeds grants" is one function.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from didymos_did.conditions import Shape, Value, duration_seconds, well_formed
from didymos_did.errors import DidError, pointing
from didymos_did.jcs import Json, jcs, parse_strict
from didymos_did.paths import parse_path, parse_pattern
from didymos_did.purposes import Purpose, parse_purpose


class Action(Enum):
    READ = "read"
    SUBSCRIBE = "subscribe"
    HISTORY = "history"
    DERIVE = "derive"
    TRAIN = "train"
    SHARE = "share"
    COMMAND = "command"
    ADMINISTER = "administer"


LEARNING: Final = frozenset({Action.TRAIN, Action.DERIVE})
BUDGET: Final = ("epsilon_micro", "delta_log10", "rounds", "exact_rounds", "reads", "commands")
_FAMILY: Final = re.compile(r"[a-z0-9-]{1,32}")
_LARGEST: Final = 2**53 - 1


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """What may be learned: a family, its target path, and the horizon as an ISO 8601 duration."""

    family: str
    target: str
    horizon: str


@dataclass(frozen=True, slots=True)
class Term:
    """A named constraint or duty."""

    name: str
    value: Value

    @property
    def value_json(self) -> str:
        """The value as canonical JSON, as events carry it."""
        return jcs(self.value).decode()


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be used up; 0 is nothing. `delta_log10` is a bound beside epsilon: 0 or less."""

    epsilon_micro: int = 0
    delta_log10: int = 0
    rounds: int = 0
    exact_rounds: int = 0
    reads: int = 0
    commands: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """Sets are sorted tuples. `task` is there when train or derive is."""

    actions: tuple[Action, ...]
    paths: tuple[str, ...]
    purposes: tuple[Purpose, ...]
    valid_from: datetime
    valid_until: datetime
    task: Task | None = None
    constraints: tuple[Term, ...] = ()
    budget: Budget = Budget()
    duties: tuple[Term, ...] = ()

    def constraint(self, name: str) -> Value | None:
        return next((term.value for term in self.constraints if term.name == name), None)


def parse_texts(said: Json, pointer: str, limit: int) -> tuple[str, ...]:
    """1 to `limit` different texts, sorted. Raises DidError `platform.malformed`."""
    if not isinstance(said, list) or not 1 <= len(said) <= limit or not all(isinstance(each, str) for each in said):
        raise DidError("platform.malformed", f"a list of 1 to {limit} texts is expected", pointer=pointer)
    found = tuple(sorted(set(said)))
    if len(found) != len(said):
        raise DidError("platform.malformed", "a text stands twice", pointer=pointer)
    return found


def parse_actions(said: Json, pointer: str) -> tuple[Action, ...]:
    """Raises DidError `grant.action_unknown`, `platform.malformed`."""
    found = []
    for name in parse_texts(said, pointer, len(Action)):
        try:
            found.append(Action(name))
        except ValueError as error:
            raise DidError("grant.action_unknown", f"no such action: {name[:64]!r}", pointer=pointer) from error
    return tuple(found)


def parse_paths(said: Json, pointer: str) -> tuple[str, ...]:
    """Raises DidError `grant.path_malformed`, `platform.malformed`."""
    with pointing(pointer):
        return tuple(parse_pattern(each) for each in parse_texts(said, pointer, 32))


def parse_purposes(said: Json, pointer: str) -> tuple[Purpose, ...]:
    """Raises DidError `grant.purpose_unknown`, `platform.malformed`."""
    with pointing(pointer):
        return tuple(parse_purpose(each) for each in parse_texts(said, pointer, 16))


def parse_task(said: Json, pointer: str) -> Task:
    """Raises DidError `platform.malformed`, `grant.term_malformed`, `grant.path_malformed`."""
    members = ("family", "target", "horizon")
    if not isinstance(said, dict) or set(said) != set(members) or not all(isinstance(said[m], str) for m in members):
        raise DidError("platform.malformed", "a task has family, target and horizon", pointer=pointer)
    if not _FAMILY.fullmatch(said["family"]):
        raise DidError("grant.term_malformed", "a family is a short name", pointer=f"{pointer}/family")
    with pointing(f"{pointer}/horizon"):
        duration_seconds(said["horizon"])
    with pointing(f"{pointer}/target"):
        return Task(said["family"], parse_path(said["target"]), said["horizon"])


def parse_terms(said: Json, known: Mapping[str, Shape], pointer: str) -> tuple[Term, ...]:
    """Constraints or duties, sorted by name, each at most once. Raises DidError `grant.term_{unknown,malformed}`."""
    if not isinstance(said, list) or len(said) > len(known):
        raise DidError("platform.malformed", f"a list of at most {len(known)} terms is expected", pointer=pointer)
    found: dict[str, Term] = {}
    for at, each in enumerate(said):
        if not isinstance(each, dict) or set(each) != {"name", "value"}:
            raise DidError("platform.malformed", "a term has name and value", pointer=f"{pointer}/{at}")
        name = each["name"]
        if not isinstance(name, str) or name not in known or name in found:
            raise DidError("grant.term_unknown", "unknown, or there twice", pointer=f"{pointer}/{at}/name")
        term = Term(name, _value(each["value"], f"{pointer}/{at}/value"))
        if not well_formed(known[name], term.value):
            raise DidError("grant.term_malformed", f"{name} takes another value", pointer=f"{pointer}/{at}/value")
        found[name] = term
    return tuple(found[name] for name in sorted(found))


def read_term(name: str, value_json: str) -> Term:
    """A term out of an event. A name that is not known here stays: `decide` denies for it. Raises DidError."""
    return Term(name, _value(parse_strict(value_json.encode()), "/value"))


def _value(said: Json, pointer: str) -> Value:
    if isinstance(said, bool) or (isinstance(said, int) and abs(said) <= _LARGEST):
        return said
    if isinstance(said, str) and 1 <= len(said) <= 256:
        return said
    if isinstance(said, list) and 1 <= len(said) <= 32:
        if len(said) == 2 and all(type(each) is int and abs(each) <= _LARGEST for each in said):
            return (said[0], said[1])
        if all(isinstance(each, str) and 1 <= len(each) <= 256 for each in said):
            return tuple(sorted(set(said)))
    raise DidError("grant.term_malformed", "a number, yes or no, text, texts, or [low, high]", pointer=pointer)


def parse_budget(said: Json, pointer: str) -> Budget:
    """Raises DidError `platform.malformed`, `grant.term_malformed`."""
    if not isinstance(said, dict) or set(said) - set(BUDGET) or not all(type(each) is int for each in said.values()):
        raise DidError("platform.malformed", f"whole numbers under {', '.join(BUDGET)}", pointer=pointer)
    for name, value in said.items():
        if not (-400 <= value <= 0 if name == "delta_log10" else 0 <= value <= _LARGEST):
            raise DidError("grant.term_malformed", "out of range", pointer=f"{pointer}/{name}")
    return Budget(**said)


def terms_json(terms: Terms) -> dict[str, Json]:
    """The members of a credential subject, without the window."""
    said: dict[str, Json] = {
        "actions": [action.value for action in terms.actions],
        "paths": list(terms.paths),
        "purposes": list(terms.purposes),
        "constraints": [_term_json(term) for term in terms.constraints],
        "budget": {name: getattr(terms.budget, name) for name in BUDGET if getattr(terms.budget, name)},
        "duties": [_term_json(term) for term in terms.duties],
    }
    if terms.task is not None:
        said["task"] = {"family": terms.task.family, "target": terms.task.target, "horizon": terms.task.horizon}
    return said


def _term_json(term: Term) -> dict[str, Json]:
    return {"name": term.name, "value": list(term.value) if isinstance(term.value, tuple) else term.value}


def _in_order(conditions: Mapping[str, Value] | None) -> tuple[Term, ...]:
    return tuple(Term(name, _value(_term_json(Term(name, value))["value"], f"/{name}"))
                 for name, value in sorted((conditions or {}).items()))  # fmt: skip


def make_terms(  # noqa: PLR0913 - the members of a grant, by name
    actions: Sequence[Action],
    paths: Sequence[str],
    purposes: Sequence[Purpose],
    window: tuple[datetime, datetime],
    *,
    task: Task | None = None,
    constraints: Mapping[str, Value] | None = None,
    budget: Budget | None = None,
    duties: Mapping[str, Value] | None = None,
) -> Terms:
    """Terms with their sets in order, as a parser would have made them. Raises DidError `grant.term_malformed`."""
    return Terms(
        tuple(sorted(set(actions), key=lambda each: each.value)),
        tuple(sorted(set(paths))),
        tuple(sorted(set(purposes))),
        *window,
        task,
        _in_order(constraints),
        budget or Budget(),
        _in_order(duties),
    )
