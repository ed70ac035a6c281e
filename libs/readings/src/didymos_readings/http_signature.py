"""HTTP requests that a device signed: RFC 9421 over the Content-Digest of RFC 9530.

The algorithm follows from the key that `keyid` names, a DID URL of the device. `alg` may repeat it and decides nothing.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256, sha512
from hmac import compare_digest
from typing import Final
from urllib.parse import urlsplit

from didymos_readings.batch import BatchSigner, Verifier
from didymos_readings.errors import ReadingError
from didymos_readings.structured_fields import FieldError, Member, parse_dictionary

INVALID: Final = "batch.signature_invalid"
LABEL: Final = "didymos"
AGE_SECONDS: Final = 300
AHEAD_SECONDS: Final = 120
COMPONENTS: Final = 32
WHERE: Final = (frozenset({"@target-uri"}), frozenset({"@authority", "@path"}))
ALWAYS: Final = ("@method", "content-digest", "content-type")
OURS: Final = ("didymos-", "ce-")  # headers that change what is read: covered if they are there
_DIGESTS: Final = {"sha-256": sha256, "sha-512": sha512}
_PARAMETERS: Final = frozenset({"created", "expires", "nonce", "alg", "keyid", "tag"})


@dataclass(frozen=True, slots=True)
class Request:
    """What a signature may cover. `url`: as the server is known, with its query; header names in small letters."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpSignature:
    """A signature that covers enough, over a body that fits its digest; not verified yet."""

    kid: str
    base: bytes
    signature: bytes

    def holds(self, key: Verifier) -> bool:
        """Whether `key`, which `kid` names, made it."""
        return key.verify(self.base, self.signature)


def signature_of(request: Request, now_s: int) -> HttpSignature:
    """The device's signature of a request: one, made just now, over method, target, digest, type and numbering.

    What proxies sign beside it is not looked at.
    Raises ReadingError `batch.signature_invalid` with what is missing.
    """
    try:
        inputs = parse_dictionary(request.headers.get("signature-input", ""))
        signatures = parse_dictionary(request.headers.get("signature", ""))
    except FieldError as error:
        raise ReadingError(INVALID, f"Signature or Signature-Input: {error}") from error
    ours = [label for label, said in inputs.items() if str(said.parameters.get("keyid")).startswith("did:")]
    if len(ours) != 1 or ours[0] not in signatures:
        raise ReadingError(INVALID, "a request has one signature whose keyid is a DID URL, of one label in both fields")
    said, signature = inputs[ours[0]], signatures[ours[0]].value
    if not isinstance(signature, bytes):
        raise ReadingError(INVALID, "Signature holds bytes between colons")
    _check_times(said, now_s)
    kid = str(said.parameters["keyid"])
    names = _names(said)
    _check_coverage(names, request)
    _check_digest(request)
    return HttpSignature(kid, signature_base(names, said.text, request), signature)


def signature_base(names: Iterable[str], parameters: str, request: Request) -> bytes:
    """What is signed: a line for each component, then the parameters as they were sent. RFC 9421 section 2.5.

    Raises ReadingError `batch.signature_invalid` for a component that the request has not.
    """
    lines = [f'"{name}": {_component(name, request)}' for name in names]
    text = "\n".join([*lines, f'"@signature-params": {parameters}'])
    try:
        return text.encode("ascii")
    except UnicodeEncodeError as error:
        raise ReadingError(INVALID, "what is signed is ASCII") from error


def sign_request(request: Request, signer: BatchSigner, created_s: int) -> dict[str, str]:
    """The headers to send beside those of `request`: its digest, and a signature that `signature_of` takes."""
    fields = {**request.headers, "content-digest": content_digest(request.body)}
    names = ("@method", "@target-uri", *sorted({"content-digest", *fields}))
    covered = " ".join(f'"{name}"' for name in names)
    parameters = f'({covered});created={created_s};keyid="{signer.kid}"'
    base = signature_base(names, parameters, Request(request.method, request.url, fields, request.body))
    signature = b64encode(signer.sign(base)).decode()
    return {
        "content-digest": fields["content-digest"],
        "signature-input": f"{LABEL}={parameters}",
        "signature": f"{LABEL}=:{signature}:",
    }


def proved_body(base: bytes, signature: bytes, key: Verifier, body: bytes) -> bool:
    """Whether `key` signed this body in a request: what a kept SignedRequest proves to whoever opens its parcel."""
    lines = [line for line in base.split(b"\n") if line.startswith(b'"content-digest": ')]
    if len(lines) != 1 or not key.verify(base, signature):
        return False
    fields = {"content-digest": lines[0].partition(b": ")[2].decode("latin-1")}
    try:
        _check_digest(Request("POST", "", fields, body))
    except ReadingError:
        return False
    return True


def content_digest(body: bytes) -> str:
    """The Content-Digest field of a body. RFC 9530 section 2."""
    return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"


def _check_times(said: Member, now_s: int) -> None:
    if not said.parameters.keys() <= _PARAMETERS:
        raise ReadingError(INVALID, "a parameter of the signature is not known")
    created, expires = said.parameters.get("created"), said.parameters.get("expires")
    if isinstance(created, bool) or not isinstance(created, int):
        raise ReadingError(INVALID, "a signature says when it was created")
    if not now_s - AGE_SECONDS <= created <= now_s + AHEAD_SECONDS:
        raise ReadingError(INVALID, "the signature was created over 300 s ago, or ahead of the clock here")
    if "expires" in said.parameters and (not isinstance(expires, int) or expires < now_s):
        raise ReadingError(INVALID, "the signature has expired")


def _names(said: Member) -> list[str]:
    """Covered components. Their parameters (`;sf`, `;req` and so on) change what is signed, and are not taken."""
    if not isinstance(said.value, tuple) or len(said.value) > COMPONENTS:
        raise ReadingError(INVALID, "a signature covers a list of at most 32 components")
    names = []
    for item in said.value:
        if not isinstance(item.value, str) or item.parameters:
            raise ReadingError(INVALID, "a component is a plain name")
        names.append(item.value)
    if len(set(names)) != len(names):
        raise ReadingError(INVALID, "a component is covered twice")
    return names


def _check_coverage(names: list[str], request: Request) -> None:
    covered = set(names)
    missing = [name for name in ALWAYS if name not in covered]
    missing += [name for name in request.headers if _counts(name) and name not in covered]
    if "@target-uri" not in covered and "?" in request.url and "@query" not in covered:
        missing.append("@query")
    if missing:
        raise ReadingError(INVALID, f"the signature does not cover {missing[0]}", component=missing[0])
    if not any(where <= covered for where in WHERE):
        raise ReadingError(
            INVALID, "the signature covers @target-uri, or @authority and @path", component="@target-uri"
        )


def _counts(name: str) -> bool:
    return name.startswith(OURS)


def _check_digest(request: Request) -> None:
    try:
        digests = parse_dictionary(request.headers.get("content-digest", ""))
    except FieldError as error:
        raise ReadingError(INVALID, f"Content-Digest: {error}") from error
    known = [(name, said.value) for name, said in digests.items() if name in _DIGESTS]
    if not known:
        raise ReadingError(INVALID, "Content-Digest has sha-256 or sha-512")
    for name, value in known:
        if not isinstance(value, bytes) or not compare_digest(value, _DIGESTS[name](request.body).digest()):
            raise ReadingError(INVALID, "the body has another Content-Digest")


def _component(name: str, request: Request) -> str:
    if not name.startswith("@"):
        value = request.headers.get(name)
        if value is None:
            raise ReadingError(INVALID, "a header that the signature covers was not sent", component=name[:64])
        return " ".join(value.split("\n")).strip(" \t")
    parts = urlsplit(request.url)
    derived = {
        "@method": request.method,
        "@target-uri": request.url,
        "@authority": parts.netloc.lower(),
        "@scheme": parts.scheme.lower(),
        "@path": parts.path or "/",
        "@query": f"?{parts.query}",
        "@request-target": (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
    }
    if name not in derived:
        raise ReadingError(INVALID, "a component that is not known is covered", component=name[:64])
    return derived[name]
