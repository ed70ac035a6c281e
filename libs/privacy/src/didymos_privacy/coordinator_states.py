"""States of the coordinator of one attempt, as types: what exists only after a step cannot be read before it."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

from didymos_privacy.messages import Advert, Agree, Answers, Boxes, Confirm, Masked, Places
from didymos_privacy.opening import Opened
from didymos_privacy.plan import Attempt, Cohort


@dataclass(frozen=True, slots=True)
class Advertising:
    """Waits for the adverts of the sites that were asked."""

    attempt: Attempt
    invited: tuple[str, ...]
    adverts: tuple[Advert, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreeing:
    """The list is fixed; waits for ciphertexts. From here on sites are places; `gone` will not answer any more."""

    attempt: Attempt
    cohort: Cohort
    said: tuple[tuple[int, Agree], ...] = ()
    gone: Places = ()


@dataclass(frozen=True, slots=True)
class Sharing:
    """Waits for the boxes of those that agreed."""

    attempt: Attempt
    cohort: Cohort
    agreed: tuple[tuple[int, Agree], ...]
    said: tuple[tuple[int, Boxes], ...] = ()
    gone: Places = ()


@dataclass(frozen=True, slots=True)
class Masking:
    """The expected set is fixed; waits for vectors that are complete."""

    attempt: Attempt
    cohort: Cohort
    shared: tuple[tuple[int, Boxes], ...]
    said: tuple[tuple[int, Masked], ...] = ()
    gone: Places = ()


@dataclass(frozen=True, slots=True)
class Confirming:
    """The survivor list is fixed and told once; waits for signatures on it."""

    attempt: Attempt
    cohort: Cohort
    shared: tuple[tuple[int, Boxes], ...]
    masked: tuple[tuple[int, Masked], ...]
    said: tuple[tuple[int, Confirm], ...] = ()
    gone: Places = ()


@dataclass(frozen=True, slots=True)
class Unmasking:
    """The point of no return: shares are asked for. Whatever follows, the round is charged."""

    attempt: Attempt
    cohort: Cohort
    shared: tuple[tuple[int, Boxes], ...]
    masked: tuple[tuple[int, Masked], ...]
    confirmed: tuple[tuple[int, Confirm], ...]
    said: tuple[tuple[int, Answers], ...] = ()
    gone: Places = ()


@dataclass(frozen=True, slots=True)
class Done:
    """Everything is opened that this attempt opens: `opened` turns the sum of masked vectors into the sum."""

    attempt: Attempt
    cohort: Cohort
    expected: Places
    masked: tuple[tuple[int, Masked], ...]
    opened: Opened


@dataclass(frozen=True, slots=True)
class Aborted:
    """The attempt ended without a sum. `charged`: shares may have been told, so budgets are spent."""

    attempt: Attempt
    code: str
    detail: str
    charged: bool


State: TypeAlias = Advertising | Agreeing | Sharing | Masking | Confirming | Unmasking | Done | Aborted
Open: TypeAlias = Agreeing | Sharing | Masking | Confirming | Unmasking


def stage(state: State) -> str:
    """ADVERTISE, AGREE, SHARE, MASK, CONFIRM, UNMASK or CLOSE: what is waited for."""
    return {
        Advertising: "ADVERTISE", Agreeing: "AGREE", Sharing: "SHARE", Masking: "MASK", Confirming: "CONFIRM",
        Unmasking: "UNMASK", Done: "CLOSE", Aborted: "CLOSE",
    }[type(state)]  # fmt: skip


def list_digest(state: State) -> bytes:
    """Of the fixed list; empty before there is one."""
    return b"" if isinstance(state, Advertising | Aborted) else state.cohort.digest


def expected_of(state: State) -> Places:
    """Who may mask; empty before that is fixed."""
    if isinstance(state, Masking | Confirming | Unmasking):
        return places(state.shared)
    return state.expected if isinstance(state, Done) else ()


def expected_digest(state: State) -> bytes:
    """What `OrderBody.expected` carries; empty before the expected set is fixed."""
    expected = expected_of(state)
    return state.cohort.expected_digest(expected) if expected and not isinstance(state, Advertising | Aborted) else b""


def subjects_of(state: State) -> int:
    """Of all expected sites: what the grid was made for. 0 before the expected set is fixed."""
    if isinstance(state, Advertising | Aborted):
        return 0
    return sum(state.cohort.subjects(expected_of(state)))


def survivors_of(state: State) -> tuple[tuple[str, bytes], ...]:
    """(site, digest of its masked vector) of each survivor, by place; empty before the survivor list is fixed."""
    if not isinstance(state, Confirming | Unmasking | Done):
        return ()
    return tuple((state.cohort.adverts[place].site, masked.vector) for place, masked in state.masked)


def places(said: Collection[tuple[int, object]]) -> Places:
    return tuple(place for place, _ in said)


def waiting(state: Open) -> set[int]:
    """Places that this stage still waits for."""
    match state:
        case Agreeing():
            asked = set(range(state.cohort.size))
        case Sharing():
            asked = set(places(state.agreed))
        case Masking():
            asked = set(places(state.shared))
        case Confirming():
            asked = set(places(state.masked))
        case Unmasking():
            asked = set(places(state.confirmed))
    return asked - set(places(state.said)) - set(state.gone)
