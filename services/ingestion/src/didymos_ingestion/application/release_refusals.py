"""Refused readings accepted after all, because the owner says so: under a newer profile, or of a device thought lost.

The owner decides, so enrolment is not asked again; all other rules hold. A refusal is released whole or stays, and each
is a batch of its own: a crash between its parcel and its mark repeats the same digest.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from didymos_contracts.errors.identity import KEY_DESTROYED
from didymos_contracts.errors.ingestion import PROFILE_UNKNOWN, TWIN_SUSPENDED
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_did import Action, Facts, Signer, TwinId, epoch_of
from didymos_kit.clock import Clock
from didymos_readings import (
    Assurance,
    Header,
    Normalised,
    Profile,
    Refusal,
    RefusedBody,
    batch_of,
    normalise,
    parcel_contents,
    released_blocks,
    sign_batch,
)

from didymos_ingestion.application.accept_batch import Taken
from didymos_ingestion.application.keep_refusals import Asker, Refusals, check_access
from didymos_ingestion.application.ports import Accepted, Ports
from didymos_ingestion.domain.refusal import KeptRefusal

STREAM = 0  # no device boots into it


@dataclass(frozen=True, slots=True)
class Content:
    """What a record of the quarantine holds, opened. `sealed_body`: the bytes of it, which prove its blocks."""

    body: RefusedBody
    sealed_body: bytes
    received_at_us: int


class Quarantine(Protocol):
    async def read(self, refusal: KeptRefusal) -> Content | None:
        """The content of the record that the refusal names; None once the log or the key is gone."""


@dataclass(frozen=True, slots=True)
class Release:
    """Take what is refused of this batch for this twin, judged by `profile`."""

    asker: Asker
    twin: TwinId
    batch: bytes
    profile: str


@dataclass(frozen=True, slots=True)
class Releasing:
    """What releasing needs beside the ports of accepting."""

    refusals: Refusals
    quarantine: Quarantine
    signer: Signer
    ports: Ports


async def release_refusals(release: Release, facts: Facts, tools: Releasing, clock: Clock) -> Taken:
    """What was accepted, and what is refused still, by the indexes of the batch.

    Raises PLATFORM_NOT_FOUND, CONSENT_STALE, PROFILE_UNKNOWN, KEY_DESTROYED, TWIN_SUSPENDED, PLATFORM_UNAVAILABLE.
    """
    check_access(release.asker, Action.ADMINISTER, release.twin, facts, clock.now())
    profile = tools.ports.profiles.find(release.profile)
    if profile is None:
        raise PROFILE_UNKNOWN.problem(profile=release.profile)
    kept = [each for each in await tools.refusals.of_batch(release.twin, release.batch) if not each.released]
    content = await tools.quarantine.read(kept[0]) if kept else None
    if content is None:
        raise PLATFORM_NOT_FOUND.problem(twin=release.twin)
    if not tools.ports.lifecycles.takes_readings(release.twin):
        raise TWIN_SUSPENDED.problem(twin=release.twin)
    at_us = clock.now_us()
    key = (await tools.ports.keys.fetch([release.twin], epoch_of(at_us)))[release.twin]
    if key is None or tools.ports.identity.destroyed(release.twin):
        raise KEY_DESTROYED.problem(twin=release.twin)
    accepted, token, staying = 0, "", []
    for each in kept:
        normalised, refused = _normalised(each, content, profile, tools, at_us)
        if refused:
            staying.append(Refusal(refused[0].code, refused[0].detail, each.index, each.count))
            continue
        parcels = parcel_contents(normalised, original=content.sealed_body)
        token = await tools.ports.log.append(Accepted(normalised, parcels, (), {release.twin: key}, _digest(each)))
        await tools.refusals.release([each])
        accepted += normalised.accepted
    return Taken(release.batch, accepted, staying, token)


def _normalised(
    refusal: KeptRefusal, content: Content, profile: Profile, tools: Releasing, at_us: int
) -> tuple[Normalised, list[Refusal]]:
    """The readings of one refusal as a batch of their own, under a header of this house."""
    said = content.body.header
    shift_us = 0 if said.sent_at_us else content.received_at_us - said.uptime_us
    blocks = released_blocks(content.body.blocks, [(refusal.index, refusal.count)], shift_us)
    header = Header(
        device=said.device, audience=tools.ports.operator, stream=STREAM, number=0, sent_at_us=at_us, uptime_us=0,
        block_count=0, root=b"", previous=b"", backfill=True, profile=profile.id,
    )  # fmt: skip
    batch = batch_of(sign_batch(header, blocks, tools.signer))
    return normalise(batch, profile, at_us, lambda *_: None, Assurance.GATEWAY)


def _digest(refusal: KeptRefusal) -> bytes:
    """The same for a repeat after a crash, under whatever profile: these readings are applied once."""
    named = f"{refusal.twin}|{refusal.index}+{refusal.count}".encode()
    return sha256(b"didymos/release/v1\0" + refusal.batch + named).digest()
