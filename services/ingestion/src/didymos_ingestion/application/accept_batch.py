"""One batch: checked, normalised, sealed, appended, acknowledged. data-path.md 5.

A batch is refused as a whole by a Problem, its readings one by one by index. Nothing is answered before the log has all
that was accepted and all refused content that is kept.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias, cast

from didymos_contracts.errors import catalogue_row
from didymos_contracts.errors.identity import KEY_DESTROYED
from didymos_contracts.errors.ingestion import BATCH_DEVICE_UNKNOWN, BATCH_KEY_UNKNOWN, TWIN_SUSPENDED
from didymos_contracts.errors.platform import QUOTA_EXCEEDED
from didymos_did import DataKey, Did, DidError, PublicKey, TwinId, epoch_of, key_of
from didymos_kit.clock import Clock
from didymos_readings import (
    Assurance,
    Batch,
    Envelope,
    Normalised,
    Refusal,
    normalise,
    normalise_together,
    parcel_contents,
    refused_contents,
    verify_batch,
)

from didymos_ingestion.application.ports import Accepted, Ports
from didymos_ingestion.domain.admission import Admission, Enrolment, admission


class Taken(NamedTuple):
    """What became of a batch. `digest` is what its sender knows it by; `token` is empty when nothing was accepted."""

    digest: bytes
    accepted: int
    refused: Sequence[Refusal]
    token: str


async def accept_batch(envelope: Envelope, ports: Ports, clock: Clock) -> Taken:
    """A batch that its device signed. The signature is the proof of possession: who brings it does not matter.

    Raises BATCH_*, QUOTA_EXCEEDED, PLATFORM_UNAVAILABLE, and where all readings are refused the row of the first.
    """
    return require_accepted(await keep_batch(proved(envelope, ports, clock, clock.now_us()), ports, clock))


class Arrived(NamedTuple):
    """A batch whose sender is proved, by what `assurance` says.

    `charged`: readings that count against the quota of its device, else all of the batch. `original`: see `ParcelBody`.
    """

    batch: Batch
    received_at_us: int
    assurance: Assurance
    digest: bytes
    charged: int | None = None
    original: bytes = b""


class Admitted(NamedTuple):
    """A batch of an enrolled device within its quota, with the enrolments of its twins, whose keys it takes."""

    arrived: Arrived
    named: Sequence[Enrolment]
    twins: frozenset[TwinId]
    epoch: int


class Judged(NamedTuple):
    """What of a batch is to be kept, None if nothing is, and what its sender hears once the log has it."""

    kept: Accepted | None
    accepted: int
    refused: Sequence[Refusal]
    digest: bytes

    def taken(self, token: str) -> Taken:
        return Taken(self.digest, self.accepted, self.refused, token)


def proved(envelope: Envelope, ports: Ports, clock: Clock, received_at_us: int) -> Arrived:
    """The batch of a device that signed it. Raises BATCH_*, QUOTA_EXCEEDED."""
    _shed(ports.buckets.wait_seconds(envelope.header.device, clock.monotonic()))
    batch = verify_batch(envelope, _key(envelope), ports.operator)
    if isinstance(batch, Refusal):
        raise catalogue_row(batch.code).problem(detail=batch.detail)
    return Arrived(batch, received_at_us, Assurance.DEVICE, batch.digest)


async def keep_batch(arrived: Arrived, ports: Ports, clock: Clock) -> Taken:
    """Judge each block, then keep what is accepted, and what an enrolled sender had refused.

    Raises BATCH_DEVICE_UNKNOWN, QUOTA_EXCEEDED, PLATFORM_UNAVAILABLE.
    """
    return await keep_admitted(admitted(arrived, ports, clock), ports)


async def keep_admitted(batch: Admitted, ports: Ports) -> Taken:
    """The same from there on. Raises PLATFORM_UNAVAILABLE."""
    keys = ports.keys.at_hand(batch.twins, batch.epoch)
    if keys is None:
        keys = await ports.keys.fetch(batch.twins, batch.epoch)
    found = judged(batch, keys, ports)
    return found.taken(await ports.log.append(found.kept) if found.kept else "")


def admitted(arrived: Arrived, ports: Ports, clock: Clock) -> Admitted:
    """Raises BATCH_DEVICE_UNKNOWN, QUOTA_EXCEEDED."""
    batch = arrived.batch
    device = Did(batch.header.device)
    rate = ports.identity.rate(device)
    if rate is None or ports.identity.suspended(device):
        raise BATCH_DEVICE_UNKNOWN.problem(device=device)
    charged = batch.count if arrived.charged is None else arrived.charged
    if charged:
        _shed(ports.buckets.take(device, charged, rate, clock.monotonic()))
    twins = cast("dict[TwinId, None]", dict.fromkeys([block.twin for block in batch.blocks]))
    named = ports.identity.enrolments(device, twins)
    return Admitted(arrived, named, frozenset([each.twin for each in named]), epoch_of(arrived.received_at_us))


Keys: TypeAlias = Mapping[TwinId, DataKey | None]
"""Of the twins that a batch names; None of one whose key was destroyed."""


def judged(found: Admitted, keys: Keys, ports: Ports) -> Judged:
    """What becomes of a batch."""
    return _judged(found, keys, *_normalised(found.arrived, ports, permission(found, keys, ports)))


def judged_together(several: Sequence[tuple[Admitted, Keys]], ports: Ports) -> list[Judged]:
    """The same of several that arrived at one moment."""
    by_profile: dict[str, list[int]] = {}
    for at, (batch, _) in enumerate(several):
        by_profile.setdefault(batch.arrived.batch.header.profile, []).append(at)
    said: dict[int, Judged] = {}
    for name, places in by_profile.items():
        profile = ports.profiles.find(name)
        if profile is None:
            continue
        arrived = several[places[0]][0].arrived
        mine = [several[at] for at in places]
        asked = [(batch.arrived.batch, permission(batch, keys, ports)) for batch, keys in mine]
        normalised = normalise_together(asked, profile, arrived.received_at_us, arrived.assurance)
        for at, (batch, keys), found in zip(places, mine, normalised, strict=True):
            said[at] = _judged(batch, keys, *found)
    return [said[at] if at in said else judged(batch, keys, ports) for at, (batch, keys) in enumerate(several)]


def permission(found: Admitted, keys: Keys, ports: Ports) -> Admission:
    """What of it may come in."""

    def closed(twin: TwinId) -> str | None:
        if keys.get(twin) is None or ports.identity.destroyed(twin):
            return KEY_DESTROYED.code
        return None if ports.lifecycles.takes_readings(twin) else TWIN_SUSPENDED.code

    arrived = found.arrived
    return admission(found.named, arrived.batch.header.profile, arrived.received_at_us, closed)


def _judged(found: Admitted, keys: Keys, normalised: Normalised, refusals: list[Refusal]) -> Judged:
    arrived = found.arrived
    parcels = parcel_contents(normalised, arrived.original) if normalised.blocks else ()
    refused = refused_contents(arrived.batch, refusals, arrived.original) if refusals else ()
    kept = None
    if parcels or refused:
        living: dict[str, DataKey] = {twin: key for twin, key in keys.items() if key is not None}
        kept = Accepted(normalised, parcels, refused, living, arrived.digest)
    return Judged(kept, normalised.accepted, refusals, arrived.digest)


def require_accepted(taken: Taken) -> Taken:
    """`taken`, unless all of it is refused: raises the row of the first refusal, with all of them as `refused`."""
    if taken.accepted:
        return taken
    first = taken.refused[0]
    listed = [
        {"index": each.index, "count": each.count, "code": each.code, "detail": each.detail} for each in taken.refused
    ]
    raise catalogue_row(first.code).problem(detail=first.detail, batch=taken.digest.hex(), refused=listed)


def _normalised(arrived: Arrived, ports: Ports, may: Admission) -> tuple[Normalised, list[Refusal]]:
    batch = arrived.batch
    profile = ports.profiles.find(batch.header.profile)
    if profile is not None:
        return normalise(batch, profile, arrived.received_at_us, may, arrived.assurance)
    name = batch.header.profile
    nothing = Normalised(batch, name, arrived.received_at_us, arrived.assurance, 0, (), None)
    refusals = []
    for block in batch.blocks:
        code = may(block.twin, block.property) or "profile.unknown"
        refusals.append(Refusal(code, "no such profile here, or none that the device may use", block.first, block.size))
    return nothing, refusals


def _key(envelope: Envelope) -> PublicKey:
    try:
        return key_of(envelope.kid)
    except DidError as error:
        raise BATCH_KEY_UNKNOWN.problem(detail=error.detail) from error


def _shed(seconds: float) -> None:
    if seconds:
        raise QUOTA_EXCEEDED.problem(detail="more readings than this device may send", retry_after_seconds=seconds)
