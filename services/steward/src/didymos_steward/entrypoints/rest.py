"""REST of owners: their stewards, what those did, and taking it back."""

from datetime import datetime
from typing import Annotated, Any

from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_contracts.errors.steward import STEWARD_BAND_EMPTY, STEWARD_BOUNDS_UNUSABLE, STEWARD_NOT_UNDOABLE
from didymos_did import DPV, Did, GrantId, TwinId, parse_did, parse_purpose
from didymos_kit.clock import Clock
from didymos_kit.dispatch import Dispatcher, answer
from didymos_kit.http.body import Strict, accepts
from didymos_kit.http.principal import Caller
from didymos_kit.http.problems import problems
from didymos_kit.ids import Ids
from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, Field

from didymos_steward.application.appoint_steward import appoint_steward, dismiss_steward
from didymos_steward.application.list_acts import list_acts, read_steward
from didymos_steward.application.ports import Grants, Owners, Work
from didymos_steward.application.undo_act import undo_act
from didymos_steward.domain.steward import Act, Band, Steward

PROPERTY = r"[a-z0-9_-]{1,64}(/[a-z0-9_-]{1,64}){0,6}"
Waits = Annotated[str | None, Header(alias="Consistency-Token", max_length=4096)]
Property = Annotated[str, Field(pattern=f"^{PROPERTY}$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
ActIdPath = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class BandBody(Strict):
    low: Finite
    high: Finite


class AppointBody(Strict):
    """What to watch, where it should stay, what may be set about it, and the grant that bounds that."""

    twin: Annotated[str, Field(max_length=128)]
    grant: Annotated[str, Field(max_length=64)]
    band: BandBody
    property: Property = "glucose/level"
    command: Property = "glucose/alarm"
    purpose: Annotated[str, Field(max_length=128)] = DPV + "ServicePersonalisation"

    def steward(self, owner: Did, at: datetime) -> Steward:
        """Raises STEWARD_BAND_EMPTY, DidError."""
        if self.band.low >= self.band.high:
            raise STEWARD_BAND_EMPTY.problem(pointer="/band", low=self.band.low, high=self.band.high)
        return Steward(
            TwinId(parse_did(self.twin)), owner, self.property, self.command, Band(self.band.low, self.band.high),
            GrantId(self.grant), parse_purpose(self.purpose), at,
        )  # fmt: skip


class StewardView(BaseModel):
    twin: str
    property: str
    command: str
    band: dict[str, float]
    grant: str
    purpose: str
    appointed_at: datetime

    @classmethod
    def of(cls, one: Steward) -> "StewardView":
        band = {"low": one.band.low, "high": one.band.high}
        said = {"twin": one.twin, "property": one.property, "command": one.command, "band": band, "grant": one.grant}
        return cls(**said, purpose=one.purpose, appointed_at=one.appointed_at)  # type: ignore[arg-type] # checked by the model


class ActView(BaseModel):
    id: str
    property: str
    value: float
    unit: str
    before: float | None
    reason: str
    grant: str
    at: datetime
    state: str
    detail: str

    @classmethod
    def of(cls, act: Act) -> "ActView":
        said: dict[str, Any] = {
            "id": act.id.hex(), "property": act.property, "value": act.value, "unit": act.unit, "before": act.before,
            "reason": act.reason, "grant": act.grant, "at": act.at, "state": act.state.value, "detail": act.detail,
        }  # fmt: skip
        return cls(**said)


class ActsView(BaseModel):
    acts: list[ActView]


def routes(
    dispatch: Dispatcher[Work],
    owners: Owners,
    grants: Grants,
    clock: Clock,
    ids: Ids,
    wait: Any,  # noqa: ANN401 - House.wait
) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.post(
        "/stewards", status_code=201,
        responses=problems(PLATFORM_NOT_FOUND, STEWARD_BOUNDS_UNUSABLE, STEWARD_BAND_EMPTY),
    )  # fmt: skip
    @accepts(floats=True)
    async def appoint(body: AppointBody, caller: Caller, response: Response, token: Waits = None) -> StewardView:
        """Give a twin its steward, in place of the one that it has."""
        await wait(token)
        steward = body.steward(caller.did, clock.now())
        done = await dispatch(lambda work: appoint_steward(steward, owners, grants, work, clock))
        return StewardView.of(answer(response, done))

    @router.get("/stewards/{twin}", responses=problems(PLATFORM_NOT_FOUND))
    async def steward_of(twin: str, caller: Caller) -> StewardView:
        done = await dispatch(lambda work: read_steward(TwinId(twin), caller.did, owners, work))
        return StewardView.of(done.value)

    @router.delete("/stewards/{twin}", status_code=204, responses=problems(PLATFORM_NOT_FOUND))
    async def dismiss(twin: str, caller: Caller) -> None:
        """Take the steward away. What it did stays on record."""
        await dispatch(lambda work: dismiss_steward(TwinId(twin), caller.did, owners, work))

    @router.get("/twins/{twin}/acts", responses=problems(PLATFORM_NOT_FOUND))
    async def acts(twin: str, caller: Caller, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> ActsView:
        """What the steward did, newest first."""
        done = await dispatch(lambda work: list_acts(TwinId(twin), limit, caller.did, owners, work))
        return ActsView(acts=[ActView.of(act) for act in done.value])

    @router.post("/acts/{act}/undo", responses=problems(PLATFORM_NOT_FOUND, STEWARD_NOT_UNDOABLE))
    async def undo(act: ActIdPath, caller: Caller, response: Response) -> ActView:
        """Ask for what was desired before the act. A repeat is safe."""
        done = await dispatch(lambda work: undo_act(bytes.fromhex(act), caller.did, owners, work, clock, ids))
        return ActView.of(answer(response, done))

    return router
