"""What the owners of its twins want of a device: desired values and actions, told at least once. data-path.md 13."""

import json
import secrets
import time
from contextlib import AbstractContextManager
from typing import Any, Final
from urllib.parse import quote, urlencode

from didymos_did import ProofKey, Signer, make_assertion, make_proof

from didymos_device.house import Answer, House, Line

TOKENS: Final = "/identity/v1/oauth/token"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
MARGIN_SECONDS: Final = 30


class OrdersError(Exception):
    """The house tells nothing: `str` is its problem, such as `platform.not_found` for a device nobody enrolled."""


class Orders(AbstractContextManager["Orders"]):
    """Asks for a token by the device's own key, and again when it ends (RFC 7523, RFC 9449). One thread."""

    def __init__(self, signer: Signer, house: House, *, timeout_seconds: float = 90.0) -> None:
        self._signer, self._house = signer, house
        self._key, self._line = ProofKey(secrets.token_bytes(32)), Line(house.origin, timeout_seconds)
        self._token, self._until, self._nonces = "", 0.0, dict[str, str]()

    def next(self, after: str = "", wait_seconds: int = 30) -> dict[str, Any] | None:
        """`{after, twins}` once it is other than what `after` says, the whole each time; None if it stayed the same.

        Raises OrdersError, ConnectionError.
        """
        if time.monotonic() >= self._until:
            self._token = self._fresh_token()
        path = f"/twin-state/v1/devices/{quote(self._signer.did, safe=':')}/desired"
        answer = self._proved("GET", path, "?" + urlencode({"after": after, "wait": wait_seconds}), None)
        return answer.said() if answer.status == 200 else None

    def __exit__(self, *_error: object) -> None:
        self._line.close()

    def _fresh_token(self) -> str:
        said = {"grant_type": GRANT, "resource": self._house.origin + "/twin-state"}
        answer = self._proved("POST", TOKENS, "", said).said()
        self._until = time.monotonic() + answer["expires_in"] - MARGIN_SECONDS
        return str(answer["access_token"])

    def _proved(self, method: str, path: str, query: str, form: dict[str, str] | None) -> Answer:
        """Once more with the nonce that the house asks for."""
        service, url, token = path.split("/")[1], self._house.origin + path, None if form else self._token
        for _ in range(2):
            now, jti, body = int(time.time()), secrets.token_hex(16), None
            nonce = self._nonces.get(service)
            headers = {"dpop": make_proof(self._key, method, url, now, jti, token=token, nonce=nonce)}
            if form:
                assertion = make_assertion(self._signer, url, self._key.jkt, now, secrets.token_hex(16))
                body = urlencode({**form, "assertion": assertion}).encode()
                headers["content-type"] = "application/x-www-form-urlencoded"
            else:
                headers["authorization"] = f"DPoP {token}"
            answer = self._line.call(method, path + query, headers, body)
            self._nonces[service] = answer.headers.get("dpop-nonce", "")
            if 200 <= answer.status < 300:
                return answer
            if answer.said().get("code") != "auth.use_dpop_nonce":
                break
        if not answer.status:
            raise ConnectionError(f"{self._house.origin} does not answer")
        raise OrdersError(json.dumps(answer.said()))
