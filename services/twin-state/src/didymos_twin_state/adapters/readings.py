"""Records of didymos.readings.v1 as what applying takes: parsed, opened, in the words of the domain."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from didymos.ingestion.v1.ingestion_events_pb2 import ReadingsAccepted
from didymos_kit.eventlog import Stored
from didymos_readings import DecodedColumn, Kind, Op, ReadingError, decode_parcel, latest_readings

from didymos_twin_state.adapters.seals import Name
from didymos_twin_state.application.apply_batch import ReadingRecord
from didymos_twin_state.application.ports import ParcelRow, SealedBlob, Seals, StoredParcel
from didymos_twin_state.domain.reading import Column, OpenParcel

PARCEL_PATH: Final = "*"  # a parcel spans the paths of its readings
VERSION: Final = 1
LARGEST_NUMBER: Final = (1 << 63) - 1  # of what a database holds


def parse_record(record: Stored) -> ReadingsAccepted:
    """Raises DecodeError or ReadingError `batch.malformed` for what can never be applied."""
    said = ReadingsAccepted.FromString(record.value or b"")
    if said.version != VERSION:
        raise ReadingError("batch.malformed", "a version of the record that is not known here", version=said.version)
    if any(parcel.number > LARGEST_NUMBER for parcel in said.parcels):
        raise ReadingError("batch.malformed", "a batch number beyond 2^63")
    return said


def names_of(said: ReadingsAccepted) -> Iterable[Name]:
    """The keys that open its parcels."""
    return ((parcel.twin, parcel.key_epoch) for parcel in said.parcels)


async def open_record(offset: int, said: ReadingsAccepted, seals: Seals) -> ReadingRecord:
    """A record with its parcels opened. Raises DidError `seal.invalid`, ReadingError `batch.malformed`."""
    rows, erased = [], 0
    for index, parcel in enumerate(said.parcels):
        blob = SealedBlob(parcel.key_epoch, parcel.salt, parcel.sealed)
        body = await seals.open_blob(parcel.twin, blob, PARCEL_PATH)
        if body is None:
            erased += parcel.count
            continue
        opened = OpenParcel(
            parcel.twin, parcel.device, parcel.stream, parcel.number, parcel.digest, latest_readings(body), offset,
            parcel.assurance,
        )  # fmt: skip
        rows.append(
            ParcelRow(opened, index, parcel.key_epoch, parcel.salt, parcel.sealed, parcel.t_min_us, parcel.t_max_us)
        )
    return ReadingRecord(offset, tuple(rows), erased)


async def open_stored(stored: StoredParcel, seals: Seals) -> OpenParcel | None:
    """A parcel out of history; None if the key of its twin was destroyed."""
    body = await seals.open_blob(stored.twin, stored.blob, PARCEL_PATH)
    if body is None:
        return None
    columns = _columns(body)
    return OpenParcel(stored.twin, stored.device, stored.stream, stored.number, stored.digest, columns, stored.offset)


def _columns(body: bytes) -> tuple[Column, ...]:
    return tuple(_column(each) for each in decode_parcel(body).columns)


def _column(said: DecodedColumn) -> Column:
    retracts = said.op is Op.RETRACTION
    if said.kind is Kind.TEXT:
        values: object = said.texts
    elif said.kind is Kind.BOOL:
        values = said.value.astype(np.bool_)
    else:
        values = said.value
    return Column(
        said.property, said.unit, said.t_us, values, said.quality, said.flags, said.running(), retracts  # type: ignore[arg-type]
    )  # fmt: skip
