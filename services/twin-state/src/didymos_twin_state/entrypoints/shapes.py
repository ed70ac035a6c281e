"""What REST says of twins, as JSON, and how queries write times, steps and tokens."""

from collections.abc import Mapping
from datetime import datetime
from math import isclose
from typing import Any, Final

from didymos.ingestion.v1.ingestion_types_pb2 import Assurance
from didymos.twin.v1 import twin_types_pb2 as types
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD, PLATFORM_MALFORMED
from didymos_did import DidError, duration_seconds
from didymos_kit.access import Principal
from didymos_kit.clock import to_us
from didymos_kit.house import parse_token
from didymos_readings import Profile

from didymos_twin_state.adapters.protobuf import desired_message, reported_message, value_of
from didymos_twin_state.application.apply_batch import NO_PROFILES
from didymos_twin_state.application.permits import Reader
from didymos_twin_state.application.ports import Marks
from didymos_twin_state.application.read_twin import PARTITIONS, Places, TwinView
from didymos_twin_state.domain.twin import Cell, Lifecycle, Scalar, Wish

REACHED: Final = 0.01  # a desired number counts as reached within one part in a hundred
EXACT: Final = 1 << 53  # beyond it JSON numbers are not whole numbers for everybody


def reader_of(principal: Principal) -> Reader:
    """Who asks, out of its token."""
    acts = principal.actor is not None
    return Reader(principal.caller, principal.did if acts else None, principal.purpose)


def places_of(token: str | None) -> Places:
    """Our parts of a consistency token. Raises PLATFORM_MALFORMED."""
    marks: dict[int, Marks] = {}
    for prefix, places in parse_token(token).items() if token else ():
        if prefix not in ("", "w"):
            continue
        for part, offset in places:
            if part >= PARTITIONS:
                raise PLATFORM_MALFORMED.problem(pointer="Consistency-Token:", detail="no such partition")
            known = marks.get(part, Marks())
            mine = Marks(offset + 1, 0) if prefix == "" else Marks(0, offset + 1)
            marks[part] = Marks(max(known.readings, mine.readings), max(known.writes, mine.writes))
    return Places(marks)


def instant_us(text: str, pointer: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time, or of a whole number that is just that."""
    if text.lstrip("-").isdecimal() and len(text) <= 18:
        return int(text)
    try:
        at = datetime.fromisoformat(text)
        if at.utcoffset() is not None:
            return to_us(at)
    except (ValueError, OverflowError) as error:
        raise PLATFORM_INVALID_FIELD.problem(pointer=pointer, detail="a time of RFC 3339, or microseconds") from error
    raise PLATFORM_INVALID_FIELD.problem(pointer=pointer, detail="a time needs its zone")


def step_us(text: str) -> int:
    """Microseconds of a step: `PT5M`, or a whole number of seconds. Raises PLATFORM_INVALID_FIELD."""
    try:
        seconds = int(text) if text.isdecimal() and len(text) <= 9 else duration_seconds(text)
    except DidError as error:
        raise PLATFORM_INVALID_FIELD.problem(pointer="?step", detail=error.detail) from error
    if seconds < 1:
        raise PLATFORM_INVALID_FIELD.problem(pointer="?step", detail="at least a second")
    return seconds * 1_000_000


def value_json(value: Scalar) -> Any:  # noqa: ANN401 - a JSON value
    """A place is [longitude, latitude, altitude]; a whole number beyond 2^53 is a string."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > EXACT:
        return str(value)
    return value


def reported_json(said: types.Reported) -> dict[str, Any]:
    return {
        "value": value_json(value_of(said.value)), "unit": said.unit, "observed_at_us": said.observed_at_us,
        "quality": said.quality, "flags": said.flags, "device": said.device, "sequence": str(said.sequence),
        "assurance": Assurance.Name(said.assurance).removeprefix("ASSURANCE_").lower(),
    }  # fmt: skip


def desired_json(said: types.Desired) -> dict[str, Any]:
    return {
        "value": value_json(value_of(said.value)), "unit": said.unit, "actor": said.actor, "grant": said.grant_id,
        "set_at_us": said.set_at_us, "expires_at_us": said.expires_at_us,
    }  # fmt: skip


def standing(wish: Wish, cell: Cell | None, now_us: int) -> str:
    """`pending`, `reached` or `expired`: derived when it is read."""
    if wish.expires_at_us and wish.expires_at_us <= now_us:
        return "expired"
    if cell is None or cell.value is None:
        return "pending"
    numbers = isinstance(cell.value, int | float) and isinstance(wish.value, int | float)
    same = isclose(cell.value, wish.value, rel_tol=REACHED) if numbers else cell.value == wish.value  # type: ignore[arg-type]
    return "reached" if same else "pending"


def wishes_json(view: TwinView, now_us: int) -> dict[str, Any]:
    return {
        name: desired_json(desired_message(name, wish)) | {"status": standing(wish, view.cells.get(name), now_us)}
        for name, wish in sorted(view.desired.items())
    }


def _fresh(cell: Cell, name: str, profile: Profile | None, now_us: int) -> dict[str, Any]:
    """How old a value is, and that as a share of the period that its profile expects; at the time of reading."""
    if not now_us:
        return {}
    rule = None if profile is None else profile.rule(name)
    age_us = now_us - cell.observed_at_us
    period = None if rule is None or rule.period_s is None else rule.period_s * 1e6
    return {"age_us": age_us, "freshness": None if period is None else round(age_us / period, 3)}


def view_json(view: TwinView, now_us: int = 0, profiles: Mapping[str, Profile] = NO_PROFILES) -> dict[str, Any]:
    """`now_us` 0: without freshness, for which the profiles are."""
    state = view.state
    profile = profiles.get(state.profile)
    return {
        "twin": view.twin, "owner": state.owner, "profile": state.profile,
        "lifecycle": Lifecycle(state.lifecycle).name.lower(), "revision": state.revision, "position": state.position,
        "reported": {
            name: reported_json(reported_message(name, cell)) | _fresh(cell, name, profile, now_us)
            for name, cell in sorted(view.cells.items())
        },
        "desired": wishes_json(view, now_us),
        "relations": [{"name": r.name, "target": r.target, "accepted": r.accepted} for r in view.relations],
        "keep_days": state.keep_days or None,
        "models": [
            {"model": m.model_id, "task": m.task, "personal": m.personal} for _, m in sorted(view.models.items())
        ],
    }  # fmt: skip
