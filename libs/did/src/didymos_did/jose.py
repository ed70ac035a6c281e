"""Compact JWS (RFC 7515) and public JWKs (RFC 7517), checked in full in one place.

The algorithm follows from the key, headers are closed sets, JSON is parsed strictly, and a JWK that holds a private
member is refused. Whatever signs is a `Signer`, which may be a wallet or an HSM: no private key passes through here.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from didymos_did.errors import DidError
from didymos_did.jcs import Json, jcs, parse_strict
from didymos_did.keys import Did, KeyKind, PublicKey, Signer, parse_did, public_key
from didymos_did.multibase import b64u, b64u_decode

JWS_BYTES: Final = 4096
TEXT_CHARACTERS: Final = 1024
_LATEST: Final = 2**40
_ALG: Final = {KeyKind.ED25519: ("Ed25519", "EdDSA"), KeyKind.P256: ("ES256",)}


@dataclass(frozen=True, slots=True)
class Jws:
    """A compact JWS, read but not verified. `what` names it in refusals."""

    what: str
    header: dict[str, Json]
    claims: dict[str, Json]
    signed: bytes
    signature: bytes

    def refused(self, why: str) -> DidError:
        return refused(self.what, why)

    def text(self, name: str) -> str:
        """A claim that must be there. Raises DidError `platform.unauthenticated`."""
        value = self.claims.get(name)
        if not isinstance(value, str) or not 1 <= len(value) <= TEXT_CHARACTERS:
            raise self.refused(f"claim {name!r} is missing or no text")
        return value

    def optional_text(self, name: str) -> str:
        return self.text(name) if name in self.claims else ""

    def did(self, name: str) -> Did:
        return a_did(self.text(name), self.what, name)

    def seconds(self, name: str) -> int:
        """A claim that is a time in whole seconds since 1970."""
        value = self.claims.get(name)
        if type(value) is not int or not 0 <= value < _LATEST:
            raise self.refused(f"claim {name!r} is no time")
        return value

    def window(self, now: int, longest: int, skew: int) -> tuple[int, int]:
        """`iat` and `exp`, if now lies between them (`skew` seconds before `iat` is taken) and they span `longest`."""
        issued, expires = self.seconds("iat"), self.seconds("exp")
        if not issued - skew <= now < expires or expires - issued > longest:
            raise self.refused(f"expired, not yet valid, or valid for over {longest} s")
        return issued, expires

    def bound_key(self) -> str:
        """Thumbprint of the key that `cnf` binds this to. RFC 9449 section 6.1."""
        bound = self.claims.get("cnf")
        if not isinstance(bound, dict) or not isinstance(bound.get("jkt"), str) or len(bound["jkt"]) != 43:
            raise self.refused("not bound to a key")
        return str(bound["jkt"])

    def check(self, key: PublicKey) -> None:
        """Raises DidError unless `key` signed this, under the algorithm of `key`."""
        if self.header.get("alg") not in _ALG[key.kind]:
            raise self.refused("the algorithm is not that of the key")
        if not key.verify(self.signed, self.signature):
            raise self.refused("the signature does not hold")


def refused(what: str, why: str) -> DidError:
    return DidError("platform.unauthenticated", f"{what}: {why}")


def a_did(text: str, what: str, name: str) -> Did:
    try:
        return parse_did(text)
    except DidError as error:
        raise refused(what, f"{name!r} is no DID") from error


def compact(header: Json, claims: Json, signer: Signer) -> str:
    signed = f"{b64u(jcs(header))}.{b64u(jcs(claims))}"
    return f"{signed}.{b64u(signer.sign(signed.encode()))}"


def read_compact(text: str, what: str, header: frozenset[str], typ: str) -> Jws:
    """The parts, if the header has exactly these members and this `typ`. Raises DidError `platform.unauthenticated`."""
    if len(text) > JWS_BYTES or text.count(".") != 2 or not text.isascii():
        raise refused(what, "not a compact JWS of at most 4 KiB")
    head, body, signature = text.split(".")
    try:
        said = parse_strict(b64u_decode(head), limit=JWS_BYTES)
        claims = parse_strict(b64u_decode(body), limit=JWS_BYTES)
        raw = b64u_decode(signature)
    except DidError as error:
        raise refused(what, "header, claims or signature cannot be read") from error
    if not isinstance(said, dict) or not isinstance(claims, dict):
        raise refused(what, "header and claims are objects")
    if said.keys() != header or said["typ"] != typ:
        raise refused(what, f"the header has exactly {', '.join(sorted(header))}, with typ {typ}")
    return Jws(what, said, claims, f"{head}.{body}".encode(), raw)


def jwk_of(key: PublicKey) -> dict[str, str]:
    """The JWK of an Ed25519 key. RFC 8037."""
    if key.kind is not KeyKind.ED25519:
        raise DidError("key.malformed", "only Ed25519 keys are written as JWK")
    return {"crv": "Ed25519", "kty": "OKP", "x": b64u(key.raw)}


def key_of_jwk(jwk: Json) -> PublicKey:
    """The key of a public JWK with exactly the members of its kind. Raises DidError `key.malformed`, `key.weak`."""
    if isinstance(jwk, dict) and all(isinstance(value, str) for value in jwk.values()):
        kind = (jwk.get("kty"), jwk.get("crv"))
        if jwk.keys() == {"crv", "kty", "x"} and kind == ("OKP", "Ed25519"):
            return public_key(KeyKind.ED25519, b64u_decode(jwk["x"]))
        if jwk.keys() == {"crv", "kty", "x", "y"} and kind == ("EC", "P-256"):
            x, y = b64u_decode(jwk["x"]), b64u_decode(jwk["y"])
            if len(x) == len(y) == 32:
                key = public_key(KeyKind.P256, bytes([2 + (y[-1] & 1)]) + x)
                if key.y == y:  # else one key would have many thumbprints
                    return key
    raise DidError("key.malformed", "a JWK with other members than a public key of a known kind")


def thumbprint(jwk: dict[str, str]) -> str:
    """Of a JWK with its required members only: SHA-256 in base64url. RFC 7638."""
    return b64u(sha256(jcs(jwk)).digest())
