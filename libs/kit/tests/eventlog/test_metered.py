"""The counted log keeps every promise of the log within it, and says what was seen."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from didymos_contracts.errors.platform import PLATFORM_INVALID_FIELD
from didymos_contracts.metrics import LOG_SLICE_SECONDS
from didymos_contracts.topics import DEAD, LEDGER
from didymos_kit.eventlog import EventLog, Stored
from didymos_kit.eventlog import metered as module
from didymos_kit.eventlog.consume import Consumer
from didymos_kit.eventlog.kafka_watch import state_of
from didymos_kit.eventlog.metered import MeteredLog, group_label
from didymos_kit.eventlog.sqlite import SqliteLog
from didymos_kit.telemetry.metrics import Metrics
from didymos_testing import eventlog as contract
from didymos_testing.eventlog.consuming import consuming

GROUP = "ledger.collect"


@asynccontextmanager
async def metered_log(metrics: Metrics | None = None) -> AsyncIterator[EventLog]:
    with TemporaryDirectory() as folder:
        async with SqliteLog(Path(folder) / "log.db") as log:
            yield MeteredLog(log, metrics or Metrics())


class TestMeteredWriter(contract.WriterContract):
    make_log = staticmethod(metered_log)


class TestMeteredGroup(contract.GroupContract):
    make_log = staticmethod(metered_log)


class TestMeteredLag(contract.LagContract):
    make_log = staticmethod(metered_log)


class TestMeteredTail(contract.TailContract):
    make_log = staticmethod(metered_log)


async def test_appends_lag_and_tails_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAG_SECONDS", 0.0)
    metrics = Metrics()
    async with metered_log(metrics) as log:
        await log.ensure([LEDGER])
        await contract.append(log, *contract.numbered(LEDGER.name, 3))
        assert metrics.sample("didymos_log_appended_total", topic=LEDGER.name) == 3
        assert metrics.sample("didymos_log_append_seconds_count") == 1
        async with log.group(GROUP, [LEDGER.name], contract.Hooking()) as group:
            await contract.poll_for(group, 3)
            assert metrics.sample("didymos_log_lag_records", group=GROUP) == 3
        assert metrics.sample("didymos_log_lag_records", group=GROUP) == 0, "who left has no lag"
        async with log.tail(LEDGER.name, lambda _: None) as tail:
            await tail.ready()
            staleness = metrics.sample("didymos_tail_staleness_seconds", topic=LEDGER.name)
            assert staleness is not None
            assert staleness < 60


async def test_slices_and_dead_letters_are_counted() -> None:
    metrics = Metrics()

    async def handle(records: Sequence[Stored]) -> None:
        if any(record.value == b"1" for record in records):
            raise PLATFORM_INVALID_FIELD.problem(pointer="/unit")

    consumer = Consumer(GROUP, [LEDGER.name], handle, backoff=lambda _: 0.0, metrics=metrics)
    async with metered_log() as log:
        await log.ensure([LEDGER, DEAD])
        await contract.append(log, *contract.numbered(LEDGER.name, 2))
        async with consuming(log, consumer):
            await contract.until(lambda: metrics.sample("didymos_log_dead_letters_total", topic=LEDGER.name) == 1)
    assert metrics.sample(f"{LOG_SLICE_SECONDS.name}_count", group=GROUP) == 1, "the slice that was handled"


def test_a_group_that_is_not_listed_has_a_label_all_the_same() -> None:
    assert (group_label(GROUP), group_label("car-park.watch")) == (GROUP, "other")


def test_a_partition_is_whole_while_all_its_copies_are() -> None:
    part = {"leader": 1, "replicas": [1, 2, 3], "isr": [1, 2, 3]}
    assert state_of(part) == "whole"
    assert state_of({**part, "isr": [1]}) == "under_replicated"
    assert state_of({**part, "leader": -1}) == "leaderless"
