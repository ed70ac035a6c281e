"""What a grant admits, as values: closed sets, integers, and comparison. identity.md section 6.

`Terms` is the shape of a grant and of an offer alike, so that "an offer never exceeds grants" is one function.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final, TypeAlias

from didymos_did.errors import DidError
from didymos_did.jcs import Json
from didymos_did.paths import parse_path, parse_pattern
from didymos_did.purposes import Purpose, parse_purpose

Value: TypeAlias = int | bool | str | tuple[str, ...] | tuple[int, int]


class Action(Enum):
    READ = "read"
    SUBSCRIBE = "subscribe"
    HISTORY = "history"
    DERIVE = "derive"
    TRAIN = "train"
    SHARE = "share"
    COMMAND = "command"
    ADMINISTER = "administer"


CONSTRAINTS: Final = frozenset({
    "min-cohort", "max-rate", "place", "hours", "secure-aggregation", "max-epsilon-per-round", "model-family",
    "agreement", "value-range",
})  # fmt: skip
DUTIES: Final = frozenset({"delete-after", "report-use", "compensate", "notify-on-use", "return-model"})
BUDGET: Final = ("epsilon_micro", "delta_log10", "rounds", "exact_rounds", "reads", "commands")
_DURATION: Final = re.compile(r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?")


@dataclass(frozen=True, slots=True, order=True)
class Task:
    """What may be learned: a family, its target path, and the horizon as an ISO 8601 duration."""

    family: str
    target: str
    horizon: str


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """A named constraint or duty. Value: whole number, yes or no, text, texts, or a pair low, high."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be used up; 0 is nothing."""

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


def duration_seconds(text: str) -> int:
    """Seconds of an ISO 8601 duration of days and smaller. Raises DidError `grant.term_malformed`."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise DidError("grant.term_malformed", "a duration is written P30D or PT30M")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def texts(said: Json, pointer: str, limit: int) -> tuple[str, ...]:
    """1 to `limit` different texts, sorted. Raises DidError `platform.malformed`."""
    if not isinstance(said, list) or not 1 <= len(said) <= limit or not all(isinstance(each, str) for each in said):
        raise DidError("platform.malformed", f"a list of 1 to {limit} texts is expected", pointer=pointer)
    found = tuple(sorted(set(said)))
    if len(found) != len(said):
        raise DidError("platform.malformed", "a text stands twice", pointer=pointer)
    return found


def parse_actions(said: Json, pointer: str) -> tuple[Action, ...]:
    found = []
    for name in texts(said, pointer, len(Action)):
        try:
            found.append(Action(name))
        except ValueError as error:
            raise DidError("grant.action_unknown", f"no such action: {name[:64]!r}", pointer=pointer) from error
    return tuple(found)


def parse_paths(said: Json, pointer: str) -> tuple[str, ...]:
    return tuple(parse_pattern(each) for each in texts(said, pointer, 32))


def parse_purposes(said: Json, pointer: str) -> tuple[Purpose, ...]:
    return tuple(parse_purpose(each) for each in texts(said, pointer, 16))


def parse_task(said: Json, pointer: str) -> Task:
    members = ("family", "target", "horizon")
    if not isinstance(said, dict) or set(said) != set(members) or not all(isinstance(said[m], str) for m in members):
        raise DidError("platform.malformed", "a task has family, target and horizon", pointer=pointer)
    duration_seconds(said["horizon"])
    if not re.fullmatch(r"[a-z0-9-]{1,32}", said["family"]):
        raise DidError("grant.term_malformed", "a family is a short name", pointer=f"{pointer}/family")
    return Task(said["family"], parse_path(said["target"]), said["horizon"])


def parse_terms(said: Json, known: frozenset[str], pointer: str) -> tuple[Term, ...]:
    """Constraints or duties, sorted by name, each at most once. Raises DidError `grant.term_{unknown,malformed}`."""
    if not isinstance(said, list) or len(said) > len(known):
        raise DidError("platform.malformed", "a list of terms is expected", pointer=pointer)
    found: dict[str, Term] = {}
    for at, each in enumerate(said):
        if not isinstance(each, dict) or set(each) != {"name", "value"}:
            raise DidError("platform.malformed", "a term has name and value", pointer=f"{pointer}/{at}")
        name = each["name"]
        if name not in known or name in found:
            raise DidError("grant.term_unknown", "unknown, or there twice", pointer=f"{pointer}/{at}/name")
        found[name] = Term(name, _value(each["value"], f"{pointer}/{at}/value"))
    return tuple(found[name] for name in sorted(found))


def _value(said: Json, pointer: str) -> Value:
    if isinstance(said, bool | int):
        return said
    if isinstance(said, str) and 1 <= len(said) <= 256:
        return said
    if isinstance(said, list) and len(said) == 2 and all(type(each) is int for each in said):
        return (said[0], said[1])
    if isinstance(said, list) and said and all(isinstance(each, str) for each in said) and len(said) <= 32:
        return tuple(sorted(said))
    raise DidError("grant.term_malformed", "a number, yes or no, text, texts, or [low, high]", pointer=pointer)


def parse_budget(said: Json, pointer: str) -> Budget:
    if not isinstance(said, dict) or set(said) - set(BUDGET) or not all(type(each) is int for each in said.values()):
        raise DidError("platform.malformed", f"whole numbers under {', '.join(BUDGET)}", pointer=pointer)
    if any(value < 0 for name, value in said.items() if name != "delta_log10"):
        raise DidError("grant.term_malformed", "a budget is not negative", pointer=pointer)
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


def _term_json(term: Term) -> Mapping[str, Json]:
    return {"name": term.name, "value": list(term.value) if isinstance(term.value, tuple) else term.value}


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
    """Terms with their sets in order, as a parser would have made them."""
    return Terms(
        tuple(sorted(set(actions), key=lambda each: each.value)),
        tuple(sorted(set(paths))),
        tuple(sorted(set(purposes))),
        *window,
        task,
        tuple(Term(name, value) for name, value in sorted((constraints or {}).items())),
        budget or Budget(),
        tuple(Term(name, value) for name, value in sorted((duties or {}).items())),
    )
