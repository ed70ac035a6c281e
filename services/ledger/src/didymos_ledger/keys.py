"""The keys of log and witnesses, and those of other organisations that the settings name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from didymos_contracts.errors.platform import PLATFORM_INVALID_SETTING
from didymos_did import Did
from didymos_kit.keyring import KeyRing
from didymos_provenance import NoteKey, NoteSigner, ProvenanceError, log_signer, parse_vkey, witness_signer

from didymos_ledger.settings import LedgerSettings

_PARTNERS: Final = "DIDYMOS_LEDGER__PARTNERS"


@dataclass(frozen=True, slots=True)
class Partner:
    """The witness of another organisation: its verifier key, and the URL that `add-checkpoint` is under."""

    key: NoteKey
    url: str


@dataclass(frozen=True, slots=True)
class Keys:
    """Those of the house all come from its secret: whoever has it knows all its verifier keys."""

    settings: LedgerSettings
    ring: KeyRing

    @property
    def org(self) -> Did:
        return self.ring.organisation.did

    @property
    def origin(self) -> str:
        """`<organisation>/log/<shard>`. A did:key names the organisation where no domain does."""
        return f"{self.org}/log/{self.settings.shard}"

    def log(self) -> NoteSigner:
        return log_signer(self.origin, self._private("log"))

    def witness(self, number: int) -> NoteSigner:
        return witness_signer(f"witness-{number}.{self.org}", self._private(f"witness-{number}"))

    def witnesses(self) -> Sequence[NoteKey]:
        """Whose cosignatures count: the witnesses of this house, then its partners'."""
        own = [self.witness(number).key for number in range(1, self.settings.witness_count + 1)]
        return [*own, *(partner.key for partner in self.partners())]

    def partners(self) -> Sequence[Partner]:
        """Raises PLATFORM_INVALID_SETTING."""
        return [_partner(said) for said in self.settings.partners]

    def known_logs(self) -> Mapping[str, Sequence[NoteKey]]:
        """What a witness cosigns: the log of this house, and those named by the settings."""
        known = [self.log().key, *map(parse_vkey, self.settings.logs)]
        return {key.name: [other for other in known if other.name == key.name] for key in known}

    def _private(self, label: str) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.ring.secret(f"ledger/{label}"))


def _partner(said: str) -> Partner:
    key, _, url = said.partition(" ")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise PLATFORM_INVALID_SETTING.problem(name=_PARTNERS, detail=f"{url[:80]!r} after the key is no URL of http")
    try:
        return Partner(parse_vkey(key), url)
    except ProvenanceError as error:
        raise PLATFORM_INVALID_SETTING.problem(name=_PARTNERS, detail=f"{key[:80]!r}: {error}") from error
