"""Access tokens bound to a key, and the proofs of possession that go with them. RFC 7523, 9068, 9449; identity.md 9.

Every `now` is in whole seconds since 1970. What has to be fresh (`jti`, nonces) is given by the caller.
"""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from didymos_did.errors import DidError
from didymos_did.jcs import Json
from didymos_did.jose import Jws, a_did, compact, jwk_of, key_of_jwk, read_compact, refused, thumbprint
from didymos_did.keys import Did, Ed25519Signer, KeyId, PublicKey, Signer, key_of
from didymos_did.multibase import b64u, b64u_decode

TOKEN_SECONDS: Final = 300
ASSERTION_SECONDS: Final = 60
NONCE_SECONDS: Final = 60
PROOF_SKEW: Final = 300  # a nonce carries freshness: device clocks may be off
_SIGNED_BY_KID: Final = frozenset({"alg", "kid", "typ"})
_SIGNED_BY_JWK: Final = frozenset({"alg", "jwk", "typ"})


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
    """A checked DPoP proof. `nonce` is empty when the proof has none."""

    jkt: str
    jti: str
    nonce: str


class ProofKey(Ed25519Signer):
    """The ephemeral key of a client."""

    @property
    def jwk(self) -> dict[str, str]:
        return jwk_of(self.public)

    @property
    def jkt(self) -> str:
        return thumbprint(self.jwk)


def make_assertion(signer: Signer, audience: str, jkt: str, now: int, jti: str) -> str:
    """A self-issued assertion of `signer`'s DID for a token at `audience`, bound to the key of `jkt`."""
    claims = {
        "iss": str(signer.did), "sub": str(signer.did), "aud": audience, "iat": now, "exp": now + ASSERTION_SECONDS,
        "jti": jti, "cnf": {"jkt": jkt},
    }  # fmt: skip
    return compact({"alg": "Ed25519", "kid": str(signer.kid), "typ": "JWT"}, claims, signer)


def verify_assertion(assertion: str, audience: str, now: int) -> Assertion:
    """What a DID asserts of itself, under the key that its did:key names. Raises DidError `platform.unauthenticated`.

    The token endpoint also compares `jkt` with its DPoP proof, and takes each `jti` once.
    """
    jws = read_compact(assertion, "assertion", _SIGNED_BY_KID, "JWT")
    subject, kid = jws.did("sub"), jws.header["kid"]
    if jws.text("iss") != subject or not isinstance(kid, str) or kid.partition("#")[0] != subject:
        raise jws.refused("issuer, subject and key are of one DID")
    if jws.claims.get("aud") != audience:
        raise jws.refused("meant for another audience")
    _, expires = jws.window(now, ASSERTION_SECONDS, PROOF_SKEW)
    found = Assertion(subject, jws.bound_key(), jws.text("jti"), expires)
    jws.check(_named(kid, jws))
    return found


def _named(kid: str, jws: Jws) -> PublicKey:
    try:
        return key_of(kid)
    except DidError as error:
        raise jws.refused("the key id names no usable key") from error


def issue_token(claims: AccessClaims, signer: Signer) -> str:
    """An RFC 9068 access token, signed by `signer`, one of whose keys the issuer publishes for tokens."""
    said: dict[str, Json] = {
        "iss": str(claims.issuer), "sub": str(claims.subject), "aud": claims.audience, "iat": claims.issued_at,
        "exp": claims.expires_at, "jti": claims.jti, "cnf": {"jkt": claims.jkt},
    }  # fmt: skip
    optional = {"purpose": claims.purpose, "scope": claims.scope}
    said.update({name: value for name, value in optional.items() if value})
    if claims.actor is not None:
        said["act"] = {"sub": str(claims.actor)}
    return compact({"alg": "Ed25519", "kid": str(signer.kid), "typ": "at+jwt"}, said, signer)


def token_kid(token: str) -> KeyId:
    """The key id in the header of a token, unverified. Raises DidError `platform.unauthenticated`."""
    return _token_kid(read_compact(token, "token", _SIGNED_BY_KID, "at+jwt"))


def _token_kid(jws: Jws) -> KeyId:
    kid = jws.header["kid"]
    if not isinstance(kid, str):
        raise jws.refused("names no key")
    return KeyId(kid)


def verify_token(token: str, key: PublicKey, audience: str, now: int) -> AccessClaims:
    """What the token says, if `key` signed it for `audience`. Raises DidError `platform.unauthenticated`.

    `key` is the live one that the caller knows under `token_kid(token)`; a key signs only for the DID in its id.
    """
    jws = read_compact(token, "token", _SIGNED_BY_KID, "at+jwt")
    jws.check(key)
    if jws.claims.get("aud") != audience:
        raise jws.refused("meant for another audience")
    issued, expires = jws.window(now, TOKEN_SECONDS, TOKEN_SECONDS)
    issuer = jws.did("iss")
    if _token_kid(jws).partition("#")[0] != issuer:
        raise jws.refused("the key is not one of the issuer")
    return AccessClaims(
        issuer, jws.did("sub"), audience, jws.bound_key(), issued, expires, jws.text("jti"),
        jws.optional_text("purpose"), jws.optional_text("scope"), _actor(jws),
    )  # fmt: skip


def _actor(jws: Jws) -> Did | None:
    """Who acts (RFC 8693 section 4.1). One who acts for an actor is not known here, so nested ones are refused."""
    if "act" not in jws.claims:
        return None
    act = jws.claims["act"]
    if not isinstance(act, dict) or act.keys() != {"sub"} or not isinstance(act["sub"], str):
        raise jws.refused("claim 'act' is not one actor")
    return a_did(act["sub"], jws.what, "act")


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
    return compact({"alg": "Ed25519", "jwk": key.jwk, "typ": "dpop+jwt"}, claims, key)


def verify_proof(proof: str, method: str, url: str, now: int, *, token: str | None = None) -> Proof:
    """Possession of a key, for this call. Raises DidError `platform.unauthenticated`. RFC 9449 section 4.3.

    `url`: the configured origin and the path, never what a Host header says. With a token the proof must be made for
    it. Freshness of `nonce`, replay of `jti` and the comparison of `jkt` with the token are the caller's.
    """
    jws = read_compact(proof, "DPoP proof", _SIGNED_BY_JWK, "dpop+jwt")
    if jws.claims.get("htm") != method or jws.claims.get("htu") != url:
        raise jws.refused("made for another call")
    if token is not None and jws.claims.get("ath") != _token_hash(token):
        raise jws.refused("made for another token")
    if abs(jws.seconds("iat") - now) > PROOF_SKEW:
        raise jws.refused("too old, or from the future")
    try:
        key = key_of_jwk(jws.header["jwk"])
    except DidError as error:
        raise refused(jws.what, "jwk is no usable public key") from error
    found = Proof(thumbprint(jws.header["jwk"]), jws.text("jti"), jws.optional_text("nonce"))
    jws.check(key)
    return found


def make_nonce(secret: bytes, service: str, now_ms: int) -> str:
    """A stateless nonce: the time and a tag over it. `secret`: 32 bytes that all processes of a service share."""
    stamp = now_ms.to_bytes(8, "big")
    return b64u(stamp + hmac.digest(secret, stamp + service.encode(), "sha256")[:16])


def fresh_nonce(nonce: str, secret: bytes, service: str, now_ms: int) -> bool:
    """Whether `nonce` is ours and at most 60 s old; one that another process made a second ahead counts."""
    try:
        raw = b64u_decode(nonce)
    except DidError:
        return False
    made_ms = int.from_bytes(raw[:8], "big")
    if len(raw) != 24 or not hmac.compare_digest(make_nonce(secret, service, made_ms), nonce):
        return False
    return -1000 <= now_ms - made_ms <= NONCE_SECONDS * 1000


class ReplayCache:
    """Remembers keys for `seconds` to thrice that, in two generations. One process; a shared one is the hot store's."""

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
    """What is remembered of a proof: 16 bytes."""
    return sha256(f"{proof.jkt}|{proof.jti}".encode()).digest()[:16]
