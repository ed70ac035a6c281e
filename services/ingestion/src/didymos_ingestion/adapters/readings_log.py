"""Accepted readings become sealed parcels in records: of a batch, or of several together, one record per partition.

data-path.md 5 and 8.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final, NamedTuple

from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsAccepted, ReadingsQuarantined
from didymos_contracts.errors import Problem
from didymos_contracts.errors.ingestion import BATCH_TOO_LARGE
from didymos_contracts.topics import QUARANTINE, READINGS, TopicRow
from didymos_did import DataKey
from didymos_kit.clock import EPOCH, from_us
from didymos_kit.eventlog import Position, Record, Writer, envelope
from didymos_kit.eventlog.partition import partition_of
from didymos_kit.telemetry import tracing
from didymos_readings import Assurance, Cipher, delimited, encode_parcel, seal_refused, shared_fields

from didymos_ingestion.application.ports import Accepted

RECORD_BYTES: Final = 960 << 10
PACK_BYTES: Final = 256 << 10  # of parcels of several batches in one record
SALT_BYTES: Final = 16
SEALED_PATH: Final = "*"  # a parcel spans all paths of its twin


@dataclass(slots=True, eq=False)
class _Batch:
    """What of a batch goes into the log: parcels by partition, and records of what was refused."""

    identity: str
    at_us: int
    parcels: dict[int, "list[_Sealed]"]
    aside: list[Record]


class _Sealed(NamedTuple):
    twin: bytes
    parcel: bytes
    size: int
    batch: _Batch


class LogOfReadings:
    """The `ReadingsLog` port. `source` is the `ce_source` of every record; the salt of a parcel is 16 random bytes."""

    def __init__(self, writer: Writer, source: str, random: Callable[[int], bytes] = os.urandom) -> None:
        self._writer, self._random = writer, random
        self._fixed = {
            topic.name: envelope.build(envelope.Envelope("-", source, topic.events[0], EPOCH))
            for topic in (READINGS, QUARANTINE)
        }

    async def append(self, accepted: Accepted) -> str:
        (said,) = await self.append_together([accepted])
        if isinstance(said, Problem):
            raise said
        return said

    async def append_together(self, several: Sequence[Accepted]) -> list[str | Problem]:
        sealed = [self._tried(accepted) for accepted in several]
        parts: dict[int, list[_Sealed]] = {}
        aside: list[Record] = []
        for batch in sealed:
            if not isinstance(batch, Problem):
                aside += batch.aside
                for part, parcels in batch.parcels.items():
                    parts.setdefault(part, []).extend(parcels)
        limit = RECORD_BYTES if len(several) == 1 else PACK_BYTES
        records = [record for part, parcels in parts.items() for record in self._readings(part, parcels, limit)]
        last = last_offsets(await self._writer.append([*records, *aside]))
        return [each if isinstance(each, Problem) else token_of(each.parcels, last) for each in sealed]

    def _tried(self, accepted: Accepted) -> _Batch | Problem:
        try:
            return self._sealed(accepted)
        except Problem as problem:
            return problem

    def _sealed(self, accepted: Accepted) -> _Batch:
        """The parcels by partition, and the records of what was refused."""
        at_us, shared = accepted.normalised.received_at_us, shared_fields(accepted.normalised, accepted.digest)
        batch = _Batch(identity_of(accepted), at_us, {}, list(self._quarantined(accepted)) if accepted.refused else [])
        salts, parts, count = self._random(SALT_BYTES * len(accepted.parcels)), batch.parcels, READINGS.partitions
        for index, content in enumerate(accepted.parcels):
            key, salt = accepted.keys[content.twin], salts[index * SALT_BYTES : (index + 1) * SALT_BYTES]
            sealed = key.seal(content.body, salt, SEALED_PATH)
            size, twin = _size(sealed), content.twin.encode()
            one = _Sealed(twin, encode_parcel(content, shared, key.epoch, salt, sealed), size, batch)
            part = partition_of(twin, count)
            if part in parts:
                parts[part].append(one)
            else:
                parts[part] = [one]
        return batch

    def _readings(self, part: int, parcels: Sequence[_Sealed], limit: int) -> Iterator[Record]:
        for index, group in enumerate(_fitting(parcels, limit)):
            batches = list(dict.fromkeys([each.batch for each in group]))
            at_us, identity = batches[0].at_us, batches[0].identity
            if len(batches) > 1:
                at_us = max([each.at_us for each in batches])
                identity = sha256("".join([each.identity for each in batches]).encode()).hexdigest()
            head = ReadingsAccepted(version=1, received_at_us=at_us).SerializeToString()
            value = head + b"".join([delimited(b"\x1a", each.parcel) for each in group])
            headers = self._headers(READINGS, at_us)
            headers["ce_id"] = f"{identity}:{part}{f'.{index}' if index else ''}".encode()
            yield Record(READINGS.name, group[0].twin, value, headers, at_us // 1000)

    def _quarantined(self, accepted: Accepted) -> Iterator[Record]:
        at_us, profile = accepted.normalised.received_at_us, accepted.normalised.profile
        identity, headers = identity_of(accepted), self._headers(QUARANTINE, at_us)
        for content in accepted.refused:
            key, salt = accepted.keys[content.twin], self._random(SALT_BYTES)
            seal = _sealing(key, salt)
            parcel = seal_refused(accepted.normalised, content, key.epoch, salt, seal, accepted.digest)
            _size(parcel.sealed)
            event = ReadingsQuarantined(version=1, received_at_us=at_us, parcel=parcel, profile=profile)
            named = {**headers, "ce_id": f"{identity}:{content.twin}".encode()}
            yield Record(QUARANTINE.name, content.twin.encode(), event.SerializeToString(), named, at_us // 1000)

    def _headers(self, topic: TopicRow, at_us: int) -> dict[str, bytes]:
        """Of all records of a batch, but for the `ce_id`, which names batch and partition or twin."""
        headers = {**self._fixed[topic.name], "ce_time": _time(at_us)}
        tracing.inject(headers)
        return headers


def identity_of(accepted: Accepted) -> str:
    """The same for every repeat of a batch. A signed header names device and number, the digest of a body does not."""
    if accepted.normalised.assurance is Assurance.DEVICE:
        return accepted.digest.hex()
    header = accepted.normalised.batch.header
    named = f"{header.device}|{header.stream}|{header.number}|".encode()
    return sha256(named + accepted.digest).hexdigest()


def last_offsets(positions: Sequence[Position]) -> dict[int, int]:
    """Of readings: the last offset of each partition."""
    last: dict[int, int] = {}
    for position in positions:
        if position.topic == READINGS.name:
            last[position.partition] = max(position.offset, last.get(position.partition, 0))
    return last


def token_of(parts: Iterable[int], last: Mapping[int, int]) -> str:
    """`partition:offset[,...]` of the parcels, as a read that must see them says it; the last of each partition."""
    return ",".join([f"{part}:{last[part]}" for part in parts])


def _time(at_us: int) -> bytes:
    """RFC 3339, as `envelope` writes it: no fraction where there is none."""
    seconds, rest = divmod(at_us, 1_000_000)
    return b"%b.%06dZ" % (_second(seconds), rest) if rest else _second(seconds) + b"Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> bytes:
    return from_us(seconds * 1_000_000).isoformat().removesuffix("+00:00").encode()


def _sealing(key: DataKey, salt: bytes) -> Cipher:
    return lambda body: key.seal(body, salt, SEALED_PATH)


def _fitting(parcels: Sequence[_Sealed], limit: int) -> Iterator[list[_Sealed]]:
    """Parcels of one partition in as few records as the limit allows; each stands alone."""
    group: list[_Sealed] = []
    size = 0
    for each in parcels:
        if group and size + each.size > limit:
            yield group
            group, size = [], 0
        group.append(each)
        size += each.size
    if group:
        yield group


def _size(sealed: bytes) -> int:
    """Of a parcel in a record, about. Raises BATCH_TOO_LARGE: no record can hold what one twin has of this batch."""
    size = len(sealed) + 512
    if size > RECORD_BYTES:
        raise BATCH_TOO_LARGE.problem(detail="too much of one twin: split the batch", limit=RECORD_BYTES)
    return size
