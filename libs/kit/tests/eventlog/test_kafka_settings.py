"""What the Kafka adapter decides without a broker."""

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaTimeoutError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from didymos_contracts.errors import Problem
from didymos_contracts.errors.platform import PLATFORM_OFFSET_LOST, PLATFORM_UNAVAILABLE
from didymos_contracts.topics import CONSENT, DAY_MS, HEARTBEAT, HOUR_MS, READINGS, TOPICS
from didymos_kit.eventlog.kafka import KafkaLog, settings_of
from didymos_kit.eventlog.kafka_client import Cluster, translated


def test_compacted_topics_erase_within_a_day_and_keep_tombstones() -> None:
    said = settings_of(CONSENT, replicas=3)
    assert said["cleanup.policy"] == "compact"
    assert int(said["min.compaction.lag.ms"]) == HOUR_MS
    assert int(said["max.compaction.lag.ms"]) + int(said["segment.ms"]) <= DAY_MS + HOUR_MS
    assert int(said["delete.retention.ms"]) == 7 * DAY_MS
    assert said["min.insync.replicas"] == "2"


def test_other_topics_forget_soon_after_their_retention() -> None:
    for row in (HEARTBEAT, READINGS):
        said = settings_of(row, replicas=1)
        assert int(said["retention.ms"]) == row.retention_ms
        assert int(said["segment.ms"]) <= max(row.retention_ms // 4, 60_000)
        assert said["min.insync.replicas"] == "1"


def test_every_topic_of_the_catalogue_takes_its_largest_record() -> None:
    assert all(int(settings_of(row, 1)["max.message.bytes"]) > row.max_record_bytes for row in TOPICS)


@pytest.mark.parametrize(
    ("error", "row"),
    [
        (KafkaConnectionError(), PLATFORM_UNAVAILABLE),
        (KafkaTimeoutError(), PLATFORM_UNAVAILABLE),
        (TimeoutError(), PLATFORM_UNAVAILABLE),
        (NotLeaderForPartitionError(), PLATFORM_UNAVAILABLE),
        (OffsetOutOfRangeError({TopicPartition("t", 3): 7}), PLATFORM_OFFSET_LOST),
    ],
)
def test_errors_of_kafka_become_rows_of_the_catalogue(error: Exception, row: object) -> None:
    with pytest.raises(Problem) as raised, translated():
        raise error
    assert raised.value.row is row


def test_an_error_that_will_not_pass_stays_what_it_is() -> None:
    with pytest.raises(TopicAuthorizationFailedError), translated():
        raise TopicAuthorizationFailedError


def test_the_url_names_any_number_of_brokers() -> None:
    assert Cluster("kafka://a:1,b:2", "c").bootstrap()["bootstrap_servers"] == ["a:1", "b:2"]


async def test_a_broker_that_is_away_is_unavailable(unused_tcp_port: int) -> None:
    with pytest.raises(Problem, match=r"platform\.unavailable"):
        async with KafkaLog(f"kafka://127.0.0.1:{unused_tcp_port}"):
            pass
