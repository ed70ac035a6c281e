"""The last forecast of each property, sealed: a row to be read, and a record of didymos.twin.changed.v1 to be heard."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid5

from didymos.twin.v1.twin_events_pb2 import ForecastBody, TwinForecast
from didymos_contracts.topics import TWIN_CHANGED
from didymos_kit.clock import Clock
from didymos_kit.database.engine import Database
from didymos_kit.eventlog import Record, Writer, envelope
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from didymos_twin_state.adapters.seals import VaultSeals
from didymos_twin_state.adapters.tables import FORECASTS
from didymos_twin_state.application.permits import feature
from didymos_twin_state.application.ports import SealedBlob
from didymos_twin_state.domain.forecast import Forecast, Made, Strangeness

_IDS: Final = UUID("c3c51b8e-5a4f-5c0e-8a52-2a6f8a0f1d37")  # the name space of these events
_KEYS: Final = ("twin", "property")


class ForecastBook:
    """`Book` and `LastForecasts`. What was stored and not published is published when the batch is told again."""

    def __init__(self, database: Database, writer: Writer, seals: VaultSeals, clock: Clock, source: str) -> None:
        self._database, self._writer, self._seals = database, writer, seals
        self._clock, self._source = clock, source

    async def keep(self, made: Sequence[Made]) -> None:
        epoch = self._seals.epoch
        await self._seals.warm((each.twin, epoch) for each in made)
        said = [event for each in made if (event := await self._sealed(each)) is not None]
        if not said:
            return
        await self._store(said)
        await self._writer.append([self._record(event) for event in said])

    async def last(self, twin: str, name: str) -> Made | None:
        query = select(FORECASTS).where(FORECASTS.c.twin == twin, FORECASTS.c.property == name)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        plain = await self._seals.open_blob(twin, SealedBlob(row.key_epoch, row.salt, row.sealed), feature(name))
        return None if plain is None else _made(row, ForecastBody.FromString(plain))

    async def _sealed(self, made: Made) -> TwinForecast | None:
        """None: the key of the twin was destroyed."""
        forecast, strange = made.forecast, made.forecast.strangeness
        body = ForecastBody(
            mean=forecast.mean, low=forecast.low, high=forecast.high, unit=forecast.unit, last=made.last,
            watched=made.watched,
        )  # fmt: skip
        if strange is not None:
            body.chance, body.alarm, body.compared = strange.chance, strange.alarm, strange.compared
        plain = body.SerializeToString(deterministic=True)
        blob = await self._seals.seal_blob(made.twin, plain, feature(made.name))
        if blob is None:
            return None
        return TwinForecast(
            twin=made.twin, property=made.name, at_us=forecast.at_us, horizon_us=forecast.at_us - made.last_us,
            made_at_us=forecast.made_at_us, model_id=forecast.model_id, personal=forecast.personal,
            key_epoch=blob.key_epoch, salt=blob.salt, sealed=blob.sealed,
        )  # fmt: skip

    async def _store(self, said: Sequence[TwinForecast]) -> None:
        """All in one transaction; of two the later of time holds, and of one time the one that is stored later."""
        names = [field.name for field in TwinForecast.DESCRIPTOR.fields]
        rows = [{name: getattr(event, name) for name in names} for event in said]
        async with self._database.unit_of_work() as tx:
            sqlite = tx.connection.dialect.name == "sqlite"
            statement: Any = sqlite_insert(FORECASTS) if sqlite else postgres_insert(FORECASTS)
            new = statement.excluded
            changed = {name: new[name] for name in names if name not in _KEYS}
            later = FORECASTS.c.at_us - FORECASTS.c.horizon_us <= new.at_us - new.horizon_us
            await tx.connection.execute(
                statement.on_conflict_do_update(index_elements=_KEYS, set_=changed, where=later), rows
            )

    def _record(self, said: TwinForecast) -> Record:
        event_id = str(uuid5(_IDS, f"{said.twin}|{said.property}|{said.at_us}|{said.model_id}|{said.made_at_us}"))
        name = said.DESCRIPTOR.full_name
        headers = envelope.build(envelope.Envelope(event_id, self._source, name, self._clock.now(), said.twin))
        value = said.SerializeToString(deterministic=True)
        return Record(TWIN_CHANGED.name, said.twin.encode(), value, headers, self._clock.now_us() // 1000)


def _made(row: Any, body: ForecastBody) -> Made:  # noqa: ANN401 - a row of FORECASTS
    strange = Strangeness(body.chance, body.alarm, body.compared) if body.compared else None
    forecast = Forecast(
        body.mean, body.low, body.high, body.unit, row.at_us, row.made_at_us, row.model_id, row.personal,
        strangeness=strange,
    )  # fmt: skip
    return Made(row.twin, row.property, forecast, row.at_us - row.horizon_us, body.last, body.watched)
