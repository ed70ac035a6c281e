"""What errors of the Kafka client mean: what passes by itself is said so, all else stays as it is."""

import pytest
from aiokafka.errors import CommitFailedError, KafkaError, NotLeaderForPartitionError
from didymos_contracts.errors import Problem
from didymos_kit.eventlog.kafka_client import translated

CLOSED = "unable to perform operation on <TCPTransport closed=True reading=False 0x1>; the handler is closed"


@pytest.mark.parametrize(
    "error",
    [NotLeaderForPartitionError(), BrokenPipeError(), TimeoutError(), RuntimeError(CLOSED),
     KafkaError("Unexpected exception in heartbeat task: GroupLoadInProgressError()")],
)  # fmt: skip
def test_what_passes_is_said_so(error: Exception) -> None:
    with pytest.raises(Problem) as raised, translated():
        raise error
    assert raised.value.row.retry == "later"


@pytest.mark.parametrize("error", [RuntimeError("ours"), CommitFailedError(), ValueError("ours")])
def test_what_does_not_pass_stays(error: Exception) -> None:
    with pytest.raises(type(error)), translated():
        raise error
