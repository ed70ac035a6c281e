"""Who may see or do what with a twin, decided at each use from the grants in force now. identity.md section 7.

A property `glucose/level` is the path `features/glucose/level`, reported and desired alike. Whoever may not know gets
`platform.not_found`, as for a twin that is not there.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol

from didymos_contracts.errors.identity import CONSENT_STALE
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import (
    AccessRequest,
    Action,
    Context,
    Decision,
    Did,
    Facts,
    GrantId,
    Purpose,
    Reason,
    Task,
    TwinId,
    Usage,
    decide,
)
from didymos_kit.clock import Clock

COUNTED: Final = frozenset({Action.READ, Action.SUBSCRIBE, Action.HISTORY})  # what the budget `reads` is drawn by


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks: `actor` holds the key; `principal` is set when it acts for somebody else."""

    actor: Did
    principal: Did | None
    purpose: Purpose | None


class Consents(Protocol):
    def facts(self, twin: TwinId, usage: Mapping[GrantId, Usage]) -> Facts:
        """What is known of a twin and its grants now."""


class Uses(Protocol):
    """What was used up under grants."""

    def usage(self, twin: TwinId) -> Mapping[GrantId, Usage]: ...

    def last_hour(self, grant: GrantId) -> int: ...

    def read(self, grant: GrantId) -> None:
        """Count one use."""


def _untold(_decided: Decision) -> None:
    """Nobody counts."""


def feature(name: str) -> str:
    """The path of a property."""
    return f"features/{name}"


class Permits:
    """Decisions for one service. Each is made anew: nothing of a grant is kept here. `told` hears of each."""

    def __init__(
        self, consents: Consents, uses: Uses, clock: Clock, told: Callable[[Decision], None] = _untold
    ) -> None:
        self._consents, self._uses, self._clock, self._told = consents, uses, clock, told

    def decision(self, reader: Reader, action: Action, twin: TwinId, path: str, task: Task | None = None) -> Decision:
        made = self._made(reader, action, twin, path, task)
        self._told(made)
        return made

    def _made(self, reader: Reader, action: Action, twin: TwinId, path: str, task: Task | None) -> Decision:
        """Under each grant with the uses of that grant: the first that allows, else what came furthest."""
        facts = self._consents.facts(twin, self._uses.usage(twin))
        request = AccessRequest(reader.actor, action, twin, (path,), reader.purpose, task, Context(), reader.principal)
        now = self._clock.now()
        mine = [grant for grant in facts.grants if grant.grantee == reader.actor]
        for grant in sorted(mine, key=lambda each: each.id):
            if grant.terms.constraint("max-rate") is not None:
                context = Context(uses_last_hour=self._uses.last_hour(grant.id))
                found = decide(replace(request, context=context), replace(facts, grants=(grant,)), now)
                if found.allowed:
                    return found
        return decide(request, facts, now)

    def visible(self, reader: Reader, action: Action, twin: TwinId, names: Collection[str]) -> frozenset[str]:
        """The properties among `names` that may be seen; the use is counted once per grant. Raises CONSENT_STALE."""
        seen, used = set(), set()
        for name in names:
            found = self.decision(reader, action, twin, feature(name))
            if found.reason is Reason.STALE_CONSENT:
                raise CONSENT_STALE.problem(twin=twin)
            if found.allowed:
                seen.add(name)
                used.add(found.grant)
        self._count(action, used)
        return frozenset(seen)

    def require(
        self, reader: Reader, action: Action, twin: TwinId, path: str, task: Task | None = None
    ) -> GrantId | None:
        """The grant that allows it, None for the owner. Raises CONSENT_STALE; PLATFORM_NOT_FOUND for all denials."""
        found = self.decision(reader, action, twin, path, task)
        if found.reason is Reason.STALE_CONSENT:
            raise CONSENT_STALE.problem(twin=twin)
        if not found.allowed:
            raise PLATFORM_NOT_FOUND.problem(twin=twin)
        self._count(action, {found.grant})
        return found.grant

    def is_owner(self, reader: Reader, twin: TwinId) -> bool:
        """Whether the twin is the reader's own, and was not erased."""
        known = self._consents.facts(twin, {}).ownership
        return known.owner is not None and not known.erased and reader.actor == known.owner and reader.principal is None

    def is_grantee(self, reader: Reader, twin: TwinId) -> bool:
        """Whether the reader was ever granted something of the twin; it says nothing of what holds now."""
        return any(grant.grantee == reader.actor for grant in self._consents.facts(twin, {}).grants)

    def _count(self, action: Action, grants: Collection[GrantId | None]) -> None:
        if action in COUNTED:
            for grant in grants:
                if grant is not None:
                    self._uses.read(grant)
