"""What an owner does with a twin, over REST: register it, enrol its device, grant, revoke. Keys stay with the owner."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from didymos_did import (
    Did,
    GrantId,
    Signed,
    Signer,
    Terms,
    TwinId,
    jcs,
    parse_grant,
    sign_device_enrolment,
    sign_grant,
    sign_revocation,
    sign_twin_registration,
)
from didymos_provenance import b64url

from didymos_cli.client import Client

YEAR: Final = timedelta(days=360)
SKEW: Final = timedelta(minutes=5)  # clocks of wallets and houses differ


@dataclass(frozen=True, slots=True)
class Given:
    """A grant as its owner keeps it: what a revocation needs."""

    id: GrantId
    digest: bytes
    credential: dict[str, Any]


def signed_body(signed: Signed) -> dict[str, str]:
    return {"body": b64url(signed.body), "kid": signed.kid, "signature": b64url(signed.signature)}


def window(length: timedelta = YEAR) -> tuple[datetime, datetime]:
    """From a moment ago, in whole seconds."""
    begin = (datetime.now(UTC) - SKEW).replace(microsecond=0)
    return begin, begin + length


async def register_twin(client: Client, twin: Signer) -> TwinId:
    """The twin belongs to the client's DID from now on. Safe to repeat."""
    by_owner, by_twin = sign_twin_registration(client.signer, twin)
    body = {"by_owner": signed_body(by_owner), "by_twin": signed_body(by_twin)}
    await client.post("/identity/v1/twins", body)
    return TwinId(twin.did)


async def create_twin(client: Client, twin: TwinId, profile: str) -> None:
    await client.post("/twin-state/v1/twins", {"twin": twin, "profile": profile})


async def enrol_device(
    client: Client, device: Did, twin: TwinId, paths: tuple[str, ...], profile: str, *, aliases: tuple[str, ...] = ()
) -> None:
    """`device` may send `paths` for a year. `aliases`: names it has for the twin."""
    credential = sign_device_enrolment(
        device, twin, paths, profile, window(), client.signer, max_rate=100_000, aliases=aliases
    )
    await client.call("POST", "/identity/v1/devices", body=jcs(credential))


async def give_grant(client: Client, grant: UUID, grantee: Did, twin: TwinId, terms: Terms) -> Given:
    """Sign a grant and register it. `grant`: a fresh UUID, version 7."""
    grant_id = GrantId(grant.urn)
    credential = sign_grant(grant_id, grantee, twin, terms, client.signer, terms.valid_from)
    raw = jcs(credential)
    await client.call("POST", "/identity/v1/grants", body=raw)
    return Given(grant_id, parse_grant(raw).digest, credential)


async def revoke_grant(client: Client, given: Given) -> None:
    """End a grant for good. Every service denies within a second."""
    statement = sign_revocation(given.id, given.digest, datetime.now(UTC).replace(microsecond=0), client.signer)
    await client.post(f"/identity/v1/grants/{quote(given.id, safe=':')}/revoke", signed_body(statement))
