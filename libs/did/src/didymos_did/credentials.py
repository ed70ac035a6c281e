"""The envelope of our credentials: VCDM 2.0 in a closed form, signed by its issuer. identity.md section 5.

What the subject says is the business of `grants` and `enrolment`; here stand who says it, from when to when, and that
the signature holds.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from didymos_did.errors import DidError, pointing
from didymos_did.jcs import Json, parse_strict
from didymos_did.keys import Did, Signer, parse_did
from didymos_did.proofs import SUITE, instant_text, parse_instant, sign_document, verify_document

CONTEXT: Final = ("https://www.w3.org/ns/credentials/v2", "urn:didymos:context:v1")
_UUID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_MEMBERS: Final = frozenset({
    "@context", "type", "issuer", "validFrom", "validUntil", "credentialSubject", "cryptoPolicy", "proof",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """What one type of credential looks like: the members of its subject, its longest window, whether it has an id."""

    kind: str
    members: frozenset[str]
    optional: frozenset[str]
    longest: timedelta
    window_code: str
    id_code: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """A verified envelope. `digest`: multihash of the credential without its proof; the subject is not yet parsed."""

    id: str
    issuer: Did
    valid_from: datetime
    valid_until: datetime
    subject: dict[str, Json]
    digest: bytes


def sign_credential(
    form: Form,
    window: tuple[datetime, datetime],
    subject: dict[str, Json],
    issuer: Signer,
    at: datetime,
    name: str = "",
) -> dict[str, Json]:
    """The credential that says `subject`, signed by `issuer`. `name`: its id, if the form has one."""
    said: dict[str, Json] = {
        "@context": list(CONTEXT), "type": ["VerifiableCredential", form.kind], "issuer": str(issuer.did),
        "validFrom": instant_text(window[0]), "validUntil": instant_text(window[1]), "credentialSubject": subject,
        "cryptoPolicy": {"suites": [SUITE]},
    }  # fmt: skip
    return sign_document(said | ({"id": name} if form.id_code else {}), issuer, at)


def open_credential(body: bytes, form: Form) -> Credential:
    """The envelope, if its issuer signed it. Raises DidError `platform.*`, `vc.*`, `did.*`, `key.*` and the form's."""
    said = parse_strict(body)
    if not isinstance(said, dict):
        raise DidError("platform.malformed", "a credential is an object")
    check_members(said, _MEMBERS | ({"id"} if form.id_code else set()), frozenset(), "")
    _check_constants(said, form)
    if form.id_code and not (isinstance(said["id"], str) and _UUID.fullmatch(said["id"])):
        raise DidError(form.id_code, "an id is urn:uuid: with a version 7 UUID", pointer="/id")
    issuer = did_at(said["issuer"], "/issuer")
    subject = said["credentialSubject"]
    if not isinstance(subject, dict):
        raise DidError("platform.malformed", "an object is expected", pointer="/credentialSubject")
    check_members(subject, form.members, form.optional, "/credentialSubject")
    begins, ends = _instant_at(said["validFrom"], "/validFrom"), _instant_at(said["validUntil"], "/validUntil")
    if not begins < ends or ends - begins > form.longest:
        days = form.longest.days
        raise DidError(
            form.window_code, f"a window begins before it ends and is at most {days} days", pointer="/validUntil"
        )
    verified = verify_document(said, issuer=issuer)
    return Credential(said.get("id", ""), issuer, begins, ends, subject, verified.digest)


def _check_constants(said: dict[str, Json], form: Form) -> None:
    if said["@context"] != list(CONTEXT):
        raise DidError("vc.unknown_context", f"exactly {', '.join(CONTEXT)} are expected", pointer="/@context")
    if said["type"] != ["VerifiableCredential", form.kind]:
        raise DidError("vc.unknown_type", f"not a {form.kind}", pointer="/type")
    if said["cryptoPolicy"] != {"suites": [SUITE]}:
        raise DidError("vc.suite_missing", f"the policy names other suites than {SUITE}", pointer="/cryptoPolicy")


def check_members(said: dict[str, Json], needed: frozenset[str], optional: frozenset[str], at: str) -> None:
    """Raises DidError `platform.malformed` for a missing member, `platform.unknown_field` for any other."""
    for name in sorted(needed - said.keys()):
        raise DidError("platform.malformed", f"member {name!r} is missing", pointer=f"{at}/{name}")
    for name in sorted(said.keys() - needed - optional):
        raise DidError("platform.unknown_field", f"member {name[:64]!r} is not known here", pointer=f"{at}/{name[:64]}")


def did_at(said: Json, pointer: str) -> Did:
    """The DID that stands at `pointer`. Raises DidError with that pointer."""
    with pointing(pointer):
        return parse_did(said if isinstance(said, str) else "")


def _instant_at(said: Json, pointer: str) -> datetime:
    with pointing(pointer):
        return parse_instant(said)
