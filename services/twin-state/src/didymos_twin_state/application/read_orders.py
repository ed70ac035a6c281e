"""What a device is to do: the desired values and actions of its twins, by right of its enrolment. data-path.md 13."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Did, Enrolled, TwinId, matches

from didymos_twin_state.application.permits import feature
from didymos_twin_state.application.read_twin import Twins
from didymos_twin_state.domain.twin import Lifecycle, TwinState, Wish

ACTIONS: Final = "actions/"  # a desired value below it is an action: it ends when the device reports, or expires


Enrolments = Callable[[Did], Sequence[Enrolled]]
Paths = Mapping[TwinId, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Orders:
    """By twin and name. `desired` stays; an action is there until it ended."""

    desired: Mapping[TwinId, Mapping[str, Wish]]
    actions: Mapping[TwinId, Mapping[str, Wish]]


def enrolled_paths(device: Did, enrolments: Enrolments, now_us: int) -> Paths:
    """Of which twins a device may know what is desired. Raises PLATFORM_NOT_FOUND if of none, or if it is lost."""
    found = {
        each.twin: each.paths
        for each in enrolments(device)
        if each.not_before_us <= now_us < each.until_us and each.lost_since_us is None
    }
    if not found:
        raise PLATFORM_NOT_FOUND.problem(device=device)
    return found


async def read_states(paths: Paths, twins: Twins) -> dict[TwinId, TwinState]:
    """Raises READ_TOKEN_TIMEOUT while one of them is being recovered."""
    return {twin: await twins.state(twin) for twin in paths}


def orders_of(states: Mapping[TwinId, TwinState], paths: Paths, now_us: int) -> Orders:
    """Of twins that are active; what expired is left out."""
    desired: dict[TwinId, dict[str, Wish]] = {}
    actions: dict[TwinId, dict[str, Wish]] = {}
    for twin, state in states.items():
        if state.lifecycle != Lifecycle.ACTIVE:
            continue
        for name, wish in state.desired.items():
            covered = any(matches(pattern, feature(name)) for pattern in paths.get(twin, ()))
            if not covered or (wish.expires_at_us and wish.expires_at_us <= now_us):
                continue
            if not name.startswith(ACTIONS):
                desired.setdefault(twin, {})[name] = wish
            elif not _ended(state, name, wish):
                actions.setdefault(twin, {})[name.removeprefix(ACTIONS)] = wish
    return Orders(desired, actions)


def _ended(state: TwinState, name: str, wish: Wish) -> bool:
    """Whether the device reported on the action after it was asked for."""
    cell = state.cells.get(name)
    return cell is not None and cell.value is not None and cell.observed_at_us >= wish.set_at_us
