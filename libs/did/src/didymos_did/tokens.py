"""Access tokens bound to a key, and the proofs of possession that go with them. RFC 7523, 9068, 9449; identity.md 9.

JOSE's compact form is small enough to check in full here, so that every rule stands in one place: the algorithm follows
from the key, header members are closed sets, and a header that carries a private key is refused.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from didymos_did.errors import DidError
from didymos_did.jcs import Json, jcs, parse_strict
from didymos_did.keys import Did, Ed25519Signer, KeyId, KeyKind, PublicKey, Signer, key_of, parse_did, public_key
from didymos_did.multibase import b64u, b64u_decode

TOKEN_SECONDS: Final = 300
ASSERTION_SECONDS: Final = 60
PROOF_SKEW: Final = 300  # a nonce carries freshness: device clocks may be off
PROOF_BYTES: Final = 4096
_ALG: Final = {KeyKind.ED25519: ("Ed25519", "EdDSA"), KeyKind.P256: ("ES256",)}


@dataclass(frozen=True, slots=True)
class Assertion:
    """A DID says: I hold the key of this thumbprint, and want a token."""

    subject: Did
    jkt: str
    jti: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a token says. Times are seconds since 1970; `actor` acts for `subject` when both are there."""

    issuer: Did
    subject: Did
    audience: str
    jkt: str
    issued_at: int
    expires_at: int
    jti: str
    purpose: str = ""
    scope: str = ""
    actor: Did | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """A checked DPoP proof."""

    jkt: str
    jti: str
    nonce: str


class ProofKey(Ed25519Signer):
    """The ephemeral key of a client."""

    @property
    def jwk(self) -> dict[str, str]:
        return {"crv": "Ed25519", "kty": "OKP", "x": b64u(self.public.raw)}

    @property
    def jkt(self) -> str:
        return thumbprint(self.jwk)


def thumbprint(jwk: dict[str, str]) -> str:
    """RFC 7638: SHA-256 of the required members, base64url."""
    return b64u(sha256(jcs(jwk)).digest())


def _compact(header: Json, payload: Json, signer: Signer) -> str:
    signed = f"{b64u(jcs(header))}.{b64u(jcs(payload))}"
    return f"{signed}.{b64u(signer.sign(signed.encode()))}"


def _split(text: str, what: str) -> tuple[dict[str, Json], dict[str, Json], bytes, bytes]:
    """Header, payload, what was signed, signature. Raises DidError `platform.unauthenticated`."""
    if len(text) > PROOF_BYTES or text.count(".") != 2 or not text.isascii():
        raise _refused(what, "not a compact JWS of at most 4 KiB")
    head, body, signature = text.split(".")
    try:
        header = parse_strict(b64u_decode(head), limit=PROOF_BYTES)
        payload = parse_strict(b64u_decode(body), limit=PROOF_BYTES)
        raw = b64u_decode(signature)
    except DidError as error:
        raise _refused(what, "header, claims or signature cannot be read") from error
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise _refused(what, "header and claims are objects")
    return header, payload, f"{head}.{body}".encode(), raw


def _refused(what: str, why: str) -> DidError:
    return DidError("platform.unauthenticated", f"{what}: {why}")


def _text(claims: dict[str, Json], name: str, what: str, *, needed: bool = True) -> str:
    value = claims.get(name, None if needed else "")
    if not isinstance(value, str) or (needed and not value) or len(value) > 1024:
        raise _refused(what, f"claim {name!r} is missing or no text")
    return value


def _seconds(claims: dict[str, Json], name: str, what: str) -> int:
    value = claims.get(name)
    if type(value) is not int or value < 0:
        raise _refused(what, f"claim {name!r} is no time")
    return value


def _check_alg(header: dict[str, Json], key: PublicKey, what: str) -> None:
    if header.get("alg") not in _ALG[key.kind]:
        raise _refused(what, "the algorithm is not that of the key")


def make_assertion(signer: Signer, audience: str, jkt: str, now: int, jti: str) -> str:
    """A self-issued assertion of `signer`'s DID for a token at `audience`, bound to the key of `jkt`."""
    claims = {
        "iss": str(signer.did), "sub": str(signer.did), "aud": audience, "iat": now, "exp": now + ASSERTION_SECONDS,
        "jti": jti, "cnf": {"jkt": jkt},
    }  # fmt: skip
    return _compact({"alg": "Ed25519", "kid": str(signer.kid), "typ": "JWT"}, claims, signer)


def verify_assertion(assertion: str, audience: str, now: int) -> Assertion:
    """Raises DidError `platform.unauthenticated`."""
    what = "assertion"
    header, claims, signed, signature = _split(assertion, what)
    if set(header) != {"alg", "kid", "typ"} or header["typ"] != "JWT" or not isinstance(header["kid"], str):
        raise _refused(what, "header members are alg, kid, typ")
    subject = _text(claims, "sub", what)
    if _text(claims, "iss", what) != subject or header["kid"].partition("#")[0] != subject:
        raise _refused(what, "issuer, subject and key are of one DID")
    key = _known(header["kid"], what)
    _check_alg(header, key, what)
    if claims.get("aud") != audience:
        raise _refused(what, "meant for another audience")
    issued, expires = _seconds(claims, "iat", what), _seconds(claims, "exp", what)
    if not issued - PROOF_SKEW <= now < expires or expires - issued > ASSERTION_SECONDS:
        raise _refused(what, "expired, not yet valid, or valid for over 60 s")
    bound = claims.get("cnf")
    if not isinstance(bound, dict) or not isinstance(bound.get("jkt"), str):
        raise _refused(what, "not bound to a key")
    if not key.verify(signed, signature):
        raise _refused(what, "the signature does not hold")
    return Assertion(Did(subject), bound["jkt"], _text(claims, "jti", what), expires)


def _known(kid: str, what: str) -> PublicKey:
    try:
        return key_of(kid)
    except DidError as error:
        raise _refused(what, "the key id names no usable key") from error


def issue_token(claims: AccessClaims, signer: Signer) -> str:
    """An RFC 9068 access token."""
    said: dict[str, Json] = {
        "iss": str(claims.issuer), "sub": str(claims.subject), "aud": claims.audience, "iat": claims.issued_at,
        "exp": claims.expires_at, "jti": claims.jti, "cnf": {"jkt": claims.jkt},
    }  # fmt: skip
    optional = {"purpose": claims.purpose, "scope": claims.scope}
    said.update({name: value for name, value in optional.items() if value})
    if claims.actor is not None:
        said["act"] = {"sub": str(claims.actor)}
    return _compact({"alg": "Ed25519", "kid": str(signer.kid), "typ": "at+jwt"}, said, signer)


def token_kid(token: str) -> KeyId:
    """The key id in the header of a token, unverified. Raises DidError `platform.unauthenticated`."""
    header, _, _, _ = _split(token, "token")
    if not isinstance(header.get("kid"), str):
        raise _refused("token", "names no key")
    return KeyId(header["kid"])


def verify_token(token: str, key: PublicKey, audience: str, now: int) -> AccessClaims:
    """What the token says, if `key` (the live one that its header names) signed it for `audience`.

    Raises DidError `platform.unauthenticated`.
    """
    what = "token"
    header, claims, signed, signature = _split(token, what)
    if set(header) != {"alg", "kid", "typ"} or header["typ"] != "at+jwt":
        raise _refused(what, "header members are alg, kid, typ of an access token")
    _check_alg(header, key, what)
    if not key.verify(signed, signature):
        raise _refused(what, "the signature does not hold")
    if claims.get("aud") != audience:
        raise _refused(what, "meant for another audience")
    issued, expires = _seconds(claims, "iat", what), _seconds(claims, "exp", what)
    if not issued - TOKEN_SECONDS <= now < expires or expires - issued > TOKEN_SECONDS:
        raise _refused(what, "expired, or valid for over 300 s")
    bound, act = claims.get("cnf"), claims.get("act")
    if not isinstance(bound, dict) or not isinstance(bound.get("jkt"), str):
        raise _refused(what, "not bound to a key")
    if act is not None and (not isinstance(act, dict) or not isinstance(act.get("sub"), str)):
        raise _refused(what, "claim 'act' is no actor")
    return AccessClaims(
        Did(_text(claims, "iss", what)), parse_did(_text(claims, "sub", what)), audience, bound["jkt"], issued, expires,
        _text(claims, "jti", what), _text(claims, "purpose", what, needed=False),
        _text(claims, "scope", what, needed=False), None if act is None else parse_did(act["sub"]),
    )  # fmt: skip


def _token_hash(token: str) -> str:
    return b64u(sha256(token.encode()).digest())


def make_proof(
    key: ProofKey, method: str, url: str, now: int, jti: str, *, token: str | None = None, nonce: str | None = None
) -> str:
    """A DPoP proof (RFC 9449) for one call of `method` on `url`, without query."""
    claims: dict[str, Json] = {"htm": method, "htu": url, "iat": now, "jti": jti}
    if token is not None:
        claims["ath"] = _token_hash(token)
    if nonce is not None:
        claims["nonce"] = nonce
    return _compact({"alg": "Ed25519", "jwk": key.jwk, "typ": "dpop+jwt"}, claims, key)


def verify_proof(proof: str, method: str, url: str, now: int, *, token: str | None = None) -> Proof:
    """Raises DidError `platform.unauthenticated`. Freshness and replay are the caller's: `nonce`, `jti`."""
    what = "DPoP proof"
    header, claims, signed, signature = _split(proof, what)
    if set(header) != {"alg", "jwk", "typ"} or header["typ"] != "dpop+jwt":
        raise _refused(what, "header members are alg, jwk, typ")
    key, jkt = _jwk_key(header["jwk"], what)
    _check_alg(header, key, what)
    if claims.get("htm") != method or claims.get("htu") != url:
        raise _refused(what, "made for another call")
    if token is not None and claims.get("ath") != _token_hash(token):
        raise _refused(what, "made for another token")
    if abs(_seconds(claims, "iat", what) - now) > PROOF_SKEW:
        raise _refused(what, "too old, or from the future")
    if not key.verify(signed, signature):
        raise _refused(what, "the signature does not hold")
    return Proof(jkt, _text(claims, "jti", what), _text(claims, "nonce", what, needed=False))


def _jwk_key(jwk: Json, what: str) -> tuple[PublicKey, str]:
    """The key of a public JWK with exactly the members of its kind: a private `d` is refused with all the rest."""
    if not isinstance(jwk, dict) or not all(isinstance(value, str) for value in jwk.values()):
        raise _refused(what, "jwk is no public key")
    try:
        if set(jwk) == {"crv", "kty", "x"} and (jwk["kty"], jwk["crv"]) == ("OKP", "Ed25519"):
            return public_key(KeyKind.ED25519, b64u_decode(jwk["x"])), thumbprint(jwk)
        if set(jwk) == {"crv", "kty", "x", "y"} and (jwk["kty"], jwk["crv"]) == ("EC", "P-256"):
            x, y = b64u_decode(jwk["x"]), b64u_decode(jwk["y"])
            if len(x) == len(y) == 32:
                point = public_key(KeyKind.P256, bytes([2 + (y[-1] & 1)]) + x)
                return point, thumbprint(jwk)
    except DidError as error:
        raise _refused(what, "jwk is no usable key") from error
    raise _refused(what, "jwk has other members than a public key")


NONCE_SECONDS: Final = 60


def make_nonce(secret: bytes, service: str, now_ms: int) -> str:
    """A stateless nonce: the time and a tag over it. `secret`: 32 bytes that all processes of a service share."""
    stamp = now_ms.to_bytes(8, "big")
    return b64u(stamp + hmac.digest(secret, stamp + service.encode(), "sha256")[:16])


def fresh_nonce(nonce: str, secret: bytes, service: str, now_ms: int) -> bool:
    """Whether `nonce` is ours and at most 60 s old."""
    try:
        raw = b64u_decode(nonce)
    except DidError:
        return False
    if len(raw) != 24 or not hmac.compare_digest(make_nonce(secret, service, int.from_bytes(raw[:8], "big")), nonce):
        return False
    return 0 <= now_ms - int.from_bytes(raw[:8], "big") + 1000 <= (NONCE_SECONDS + 1) * 1000


class ReplayCache:
    """Remembers keys for `seconds` to twice that, in two generations. One process; a shared one is the hot store's."""

    def __init__(self, seconds: int = 90) -> None:
        self._seconds, self._turned = seconds, 0
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def add(self, key: bytes, now: int) -> bool:
        """False if `key` was seen in the last `seconds`."""
        if now - self._turned >= self._seconds:
            kept = self._young if now - self._turned < 2 * self._seconds else set()
            self._old, self._young, self._turned = kept, set(), now
        if key in self._young or key in self._old:
            return False
        self._young.add(key)
        return True


def replay_key(proof: Proof) -> bytes:
    return sha256(f"{proof.jkt}|{proof.jti}".encode()).digest()[:16]
