"""Reads, proofs, forecasts and the gate without a service around them: rules of the use cases alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from didymos_contracts.errors import Problem
from didymos_did import (
    Action,
    Facts,
    Freshness,
    Grant,
    GrantId,
    Ownership,
    TwinId,
    Usage,
    bounds_terms,
)
from didymos_testing.clock import FixedClock
from didymos_testing.did import (
    INSTITUTE,
    NOON,
    OWNER,
    PERSONAL,
    RESEARCH,
    STRANGER,
    TWIN,
    a_grant,
    a_grant_id,
    a_read_terms,
)
from didymos_testing.twin_past import MemoryPast
from didymos_testing.twin_state import MemoryHistory, MemoryHot, Mortality, PlainSeals
from didymos_twin_state.application.gate_proposal import Proposal, Refusal, Spent, gate_proposal
from didymos_twin_state.application.make_forecast import Forecasting, duration_text, make_forecast
from didymos_twin_state.application.permits import Permits, Reader
from didymos_twin_state.application.ports import Dirty, HotCommit, Marks, ParcelRow, StoredParcel
from didymos_twin_state.application.predictions import Assumed, Fitted, NoForecastError
from didymos_twin_state.application.prove_reading import prove_reading
from didymos_twin_state.application.read_aggregate import AggregateQuery, read_aggregate
from didymos_twin_state.application.read_history import Past, RangeQuery, read_range
from didymos_twin_state.application.read_twin import Places, Twins, part_of
from didymos_twin_state.domain.columns import Readings
from didymos_twin_state.domain.command import Command, PatchDesired
from didymos_twin_state.domain.forecast import Forecast, Made, Served, Strangeness
from didymos_twin_state.domain.reading import Column, OpenParcel
from didymos_twin_state.domain.twin import Cell, Model, TwinState, pack

TWIN_ID = TwinId(TWIN.did)
ME = Reader(OWNER.did, None, None)
THEM = Reader(INSTITUTE.did, None, RESEARCH)
CLOCK = FixedClock(NOON)
NAME = "glucose/level"


@dataclass
class World:
    """Facts, uses and stores that a test arranges; fills the ports `Consents` and `Uses`."""

    grants: tuple[Grant, ...] = ()
    freshness: Freshness = Freshness.FRESH
    owner: Any = OWNER.did
    counts: dict[GrantId, int] = field(default_factory=dict)
    hours: int = 0
    hot: MemoryHot = field(default_factory=lambda: MemoryHot(Mortality()))
    history: MemoryHistory = field(default_factory=lambda: MemoryHistory(Mortality()))
    parcels: dict[int, OpenParcel] = field(default_factory=dict)

    def facts(self, twin: TwinId, usage: Mapping[GrantId, Usage]) -> Facts:
        return Facts(Ownership(self.owner), self.grants, self.freshness, usage=usage)

    def usage(self, twin: TwinId) -> Mapping[GrantId, Usage]:
        return {grant: Usage(reads=count) for grant, count in self.counts.items()}

    def last_hour(self, grant: GrantId) -> int:
        return self.hours

    def read(self, grant: GrantId) -> None:
        self.counts[grant] = self.counts.get(grant, 0) + 1

    @property
    def permits(self) -> Permits:
        return Permits(self, self, CLOCK)

    @property
    def twins(self) -> Twins:
        return Twins(self.hot, self.history, PlainSeals(), 0.05)

    @property
    def past(self) -> Past:
        async def opened(stored: StoredParcel) -> OpenParcel | None:
            return self.parcels.get(stored.offset)

        return Past(self.history, MemoryPast(self.history), opened, PlainSeals(), 0.05)

    async def hold(self, times: Sequence[int], values: Any, state: TwinState | None = None) -> None:
        """One stored parcel a time, and the state that they leave."""
        part, rows = part_of(TWIN_ID), []
        for offset, at in enumerate(times):
            time, one = np.array([at], np.int64), np.array([90], np.uint8)
            column = Column(NAME, "mg/dL", time, values[offset : offset + 1], one, one * 0, np.arange(1))
            parcel = OpenParcel(TWIN_ID, "d", 1, offset + 1, offset.to_bytes(32, "big"), (column,), offset)
            self.parcels[offset] = parcel
            rows.append(ParcelRow(parcel, 0, 1, b"", b"", at, at))
        claimed = await self.history.claim(part, "test")
        reached = Marks(len(times), 0)
        await self.history.checkpoint(part, claimed.epoch, Marks(), reached, Dirty(parcels=rows))
        held = state or TwinState(lifecycle=2, owner=OWNER.did, position=len(times))
        await self.hot.claim(part, claimed.epoch)
        await self.hot.commit(HotCommit(part, claimed.epoch, None, reached, reached, {TWIN_ID: pack(held)}, {}))


def code(raised: pytest.ExceptionInfo[Problem]) -> str:
    return raised.value.row.code


async def test_a_page_never_tears_readings_of_one_time_apart() -> None:
    world = World()
    await world.hold([1, 2, 3], np.array([1.0, 2.0, 3.0]))
    twice = replace(world.parcels[2], device="e", columns=world.parcels[1].columns)
    world.parcels[2] = twice  # two devices speak of time 2
    first, more = await read_range(RangeQuery(TWIN_ID, NAME, 0, 9, 2), ME, world.permits, world.past)
    assert (first.times_us.tolist(), more) == ([1], 2)
    second, more = await read_range(RangeQuery(TWIN_ID, NAME, 2, 9, 1), ME, world.permits, world.past)
    assert (second.times_us.tolist(), more) == ([2, 2], None)


async def test_history_that_is_not_there_yet_is_said_to_be_so() -> None:
    world = World()
    await world.hold([1], np.array([1.0]))
    await world.past.wait(Places({part_of(TWIN_ID): Marks(1, 0)}))
    with pytest.raises(Problem) as raised:
        await world.past.wait(Places({part_of(TWIN_ID): Marks(2, 0)}))
    assert code(raised) == "read.token_timeout"


async def test_a_partition_that_is_recovered_makes_readers_wait() -> None:
    with pytest.raises(Problem) as raised:
        await World().twins.state(TWIN_ID)
    assert code(raised) == "read.token_timeout"


async def test_texts_are_counted_and_not_added_up() -> None:
    world = World()
    await world.hold([1, 2], ("low", "high"), TwinState(lifecycle=2, owner=OWNER.did))
    query = AggregateQuery(TWIN_ID, NAME, 0, 10, 10, "count")
    found = await read_aggregate(query, ME, world.permits, world.past)
    assert found.buckets.values == [2.0]
    with pytest.raises(Problem) as raised:
        await read_aggregate(replace(query, function="avg"), ME, world.permits, world.past)
    assert code(raised) == "platform.invalid_field"
    with pytest.raises(Problem) as raised:
        await read_aggregate(replace(query, to_us=10**9), ME, world.permits, world.past)
    assert code(raised) == "query.too_wide"


async def test_stale_consent_denies_grantees_and_not_the_owner() -> None:
    world = World((a_grant(terms=a_read_terms()),), Freshness.STALE)
    assert world.permits.visible(ME, Action.READ, TWIN_ID, [NAME]) == {NAME}
    with pytest.raises(Problem) as raised:
        world.permits.require(THEM, Action.READ, TWIN_ID, f"features/{NAME}")
    assert code(raised) == "consent.stale"
    with pytest.raises(Problem) as raised:
        world.permits.visible(THEM, Action.READ, TWIN_ID, [NAME])
    assert code(raised) == "consent.stale"


async def test_a_use_is_counted_once_for_each_request_and_grant() -> None:
    world = World((a_grant(terms=a_read_terms()),))
    assert world.permits.visible(THEM, Action.READ, TWIN_ID, [NAME, "glucose/target", "insulin/bolus"]) == {
        NAME, "glucose/target",
    }  # fmt: skip
    assert world.counts == {a_grant_id(): 1}
    world.permits.require(THEM, Action.HISTORY, TWIN_ID, f"features/{NAME}")
    assert world.counts == {a_grant_id(): 2}


async def test_proof_is_for_who_may_read_the_past() -> None:
    world = World()
    await world.hold([5], np.array([1.0]))

    @dataclass
    class Prover:
        history: MemoryHistory

        async def evidence(self, stored: StoredParcel, name: str, at_us: int) -> Sequence[Mapping[str, Any]]:
            return [{"offset": stored.offset}] if name == NAME else []

    prover = Prover(world.history)
    assert await prove_reading(TWIN_ID, NAME, 5, ME, world.permits, prover) == [{"offset": 0}]
    for reader, name in ((THEM, NAME), (ME, "insulin/bolus")):
        with pytest.raises(Problem) as raised:
            await prove_reading(TWIN_ID, name, 5, reader, world.permits, prover)
        assert code(raised) == "platform.not_found"


SHARED = Served(
    "m-shared", "run", "", "task", NAME, "mg/dL", 300_000_000, 12, 1_800_000_000, b"s", b"p", -9.0, 9.0, {}
)  # fmt: skip


@dataclass
class Registry:
    """Fills `Models`, `LastForecasts`, and `Predictor`: what each model says, and its half width."""

    known: dict[str, Served]
    says: dict[str, tuple[float, float | None] | str]
    made: Made | None = None

    def shared(self, name: str) -> Sequence[Served]:
        return [model for model in self.known.values() if not model.twin and model.name == name]

    def of(self, model_id: str) -> Served | None:
        return self.known.get(model_id)

    def has_own(self, twin: str) -> bool:
        return any(model.twin == twin for model in self.known.values())

    async def last(self, twin: str, name: str) -> Made | None:
        return self.made

    async def fit(self, model: Served, past: Readings) -> Fitted:
        said = self.says[model.model_id]
        if isinstance(said, str):
            raise NoForecastError(said)
        return Fitted(model, (0.0, 1.0, 1.0, 1.0), said[1])

    async def predict(self, asks: Sequence[tuple[Fitted, Readings]]) -> Sequence[float | NoForecastError]:
        said = [self.says[fitted.model.model_id] for fitted, _ in asks]
        return [NoForecastError(each) if isinstance(each, str) else each[0] for each in said]

    async def watch(self, fitted: Fitted, past: Readings) -> "Unwatched":
        return Unwatched()

    async def what_if(self, fitted: Fitted, past: Readings, values: Sequence[float]) -> Assumed:
        raise NoForecastError(fitted.model.model_id)

    async def earns(self, own: Fitted, shared: Fitted, past: Readings) -> bool:
        return True


@dataclass(frozen=True)
class Unwatched:
    """`Watching` of a past that is too short."""

    width: float | None = None
    strangeness: Strangeness | None = None

    def settle(self, error: float, width: float | None) -> None:
        """Nothing is kept."""


async def forecasting(
    world: World, known: Sequence[Served], says: dict[str, tuple[float, float | None] | str], made: Made | None = None
) -> Forecasting:
    registry = Registry({model.model_id: model for model in known}, says, made)
    return Forecasting(world.twins, world.past, registry, registry, registry, world.permits, CLOCK)


async def test_the_own_model_is_asked_first_and_what_cannot_speak_is_passed_over() -> None:
    world, own = World(), replace(SHARED, model_id="m-own", twin=TWIN_ID)
    cell = Cell(2.0, 2, "d", 1, 1, 0, 90, 0, "mg/dL")
    state = TwinState(
        lifecycle=2,
        owner=OWNER.did,
        position=2,
        cells={NAME: cell},
        models={"task": Model("m-own", "task", personal=True)},
    )
    await world.hold([1, 2], np.array([1.0, 2.0]), state)
    parts = await forecasting(world, [SHARED, own], {"m-own": (7.0, 3.0), "m-shared": (8.0, None)})
    first = await make_forecast(TWIN_ID, NAME, ME, parts)
    assert (first.model_id, first.low, first.mean, first.high, first.personal) == ("m-own", 4.0, 7.0, 10.0, True)
    parts = await forecasting(world, [SHARED, own], {"m-own": "gap", "m-shared": (8.0, None)})
    second = await make_forecast(TWIN_ID, NAME, ME, parts)
    assert (second.model_id, second.low, second.high, second.fallback) == ("m-shared", -1.0, 17.0, "")
    parts = await forecasting(world, [SHARED, own], {"m-own": "gap", "m-shared": "model_missing"})
    third = await make_forecast(TWIN_ID, NAME, ME, parts)
    assert (third.model_id, third.mean, third.fallback) == ("", 2.0, "model_missing")
    parts = await forecasting(world, [replace(SHARED, unit="mmol/L")], {})
    assert (await make_forecast(TWIN_ID, NAME, ME, parts)).fallback == "other_unit"
    stored = Made(TWIN_ID, NAME, Forecast(5.0, 4.0, 6.0, "mg/dL", 9, 9, "m-own", personal=True), 2, 2.0, watched=True)
    says: dict[str, tuple[float, float | None] | str] = {"m-own": (7.0, 3.0), "m-shared": (8.0, None)}
    for made, mean in ((stored, 5.0), (replace(stored, last=2.5), 7.0), (replace(stored, watched=False), 7.0)):
        parts = await forecasting(world, [SHARED, own], says, made)
        assert (await make_forecast(TWIN_ID, NAME, ME, parts)).mean == mean  # what was made as the reading came stands


async def test_without_readings_there_is_no_forecast() -> None:
    world = World()
    await world.hold([1], np.array([1.0]), TwinState(lifecycle=2, owner=OWNER.did))
    with pytest.raises(Problem) as raised:
        await make_forecast(TWIN_ID, NAME, ME, await forecasting(world, [], {}))
    assert code(raised) == "forecast.no_history"
    await world.hot.commit(
        HotCommit(part_of(TWIN_ID), 1, Marks(1, 0), Marks(2, 0), Marks(), {TWIN_ID: pack(TwinState())}, {})
    )
    with pytest.raises(Problem) as raised:
        await make_forecast(TWIN_ID, NAME, ME, await forecasting(world, [], {}))
    assert code(raised) == "platform.not_found"


@pytest.mark.parametrize(("seconds", "text"), [(1800, "PT30M"), (3600, "PT1H"), (86_400, "P1D"), (90, "PT90S")])
def test_a_horizon_is_said_in_the_largest_whole_unit(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text


BOUNDS = bounds_terms(
    ["features/glucose/target"], (80, 120), 3, 5, PERSONAL, (NOON - timedelta(days=1), NOON + timedelta(days=9))
)
PROPOSAL = Proposal(b"c" * 16, TWIN_ID, INSTITUTE.did, "glucose/target", 100.0, "mg/dL", a_grant_id(), 0, 4)


def gated(world: World, proposal: Proposal = PROPOSAL, spent: Spent = Spent(0, 0)) -> Command | Refusal:  # noqa: B008
    return gate_proposal(proposal, lambda twin: world.facts(twin, {}), spent, CLOCK, None)


def test_a_proposal_becomes_a_write_that_ends_with_its_grant() -> None:
    world = World((a_grant(terms=BOUNDS),))
    made = gated(world)
    assert isinstance(made, Command)
    assert isinstance(made.body, PatchDesired)
    ((value, unit, expires),) = made.body.entries.values()
    assert (value, unit, made.proposal, made.grant) == (100.0, "mg/dL", 4, a_grant_id())
    assert expires == int((NOON + timedelta(days=9)).timestamp() * 1e6)
    sooner = gated(world, replace(PROPOSAL, expires_at_us=expires - 1))
    assert isinstance(sooner, Command)
    assert isinstance(sooner.body, PatchDesired)
    assert sooner.body.entries["glucose/target"][2] == expires - 1


@pytest.mark.parametrize(
    ("world", "proposal", "spent", "said"),
    [
        (World((a_grant(terms=BOUNDS),)), PROPOSAL, Spent(5, 0), ("command.not_allowed", "budget_exhausted")),
        (World((a_grant(terms=BOUNDS),)), replace(PROPOSAL, value="high"), Spent(0, 0),
         ("command.not_allowed", "constraint_failed:value-range")),
        (World((a_grant(terms=BOUNDS),)), replace(PROPOSAL, actor=STRANGER.did), Spent(0, 0),
         ("command.not_allowed", "no_grant")),
        (World((a_grant(terms=a_read_terms()),)), PROPOSAL, Spent(0, 0),
         ("command.not_allowed", "action_not_granted")),
        (World(), PROPOSAL, Spent(0, 0), ("command.not_allowed", "no_grant")),
        (World(owner=None), PROPOSAL, Spent(0, 0), ("platform.not_found", "no such twin")),
        (World(), replace(PROPOSAL, expires_at_us=1), Spent(0, 0), ("command.expired", "the proposal expired")),
    ],
)  # fmt: skip
def test_a_proposal_outside_of_its_bounds_is_refused(
    world: World, proposal: Proposal, spent: Spent, said: tuple[str, str]
) -> None:
    found = gated(world, proposal, spent)
    assert isinstance(found, Refusal)
    assert (found.row.code, found.detail) == said


def test_nobody_is_judged_by_consent_that_is_stale() -> None:
    with pytest.raises(Problem) as raised:
        gated(World((a_grant(terms=BOUNDS),), Freshness.STALE))
    assert code(raised) == "consent.stale"
