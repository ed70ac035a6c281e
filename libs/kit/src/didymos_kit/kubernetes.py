"""One call of the Kubernetes API: make a Secret of random values, unless there is one. For the install Job only."""

import base64
import json
import os
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from didymos_contracts.errors.platform import PLATFORM_FORBIDDEN, PLATFORM_INVALID_SETTING, PLATFORM_UNAVAILABLE

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SECONDS: Final = 10.0
_CONFLICT: Final = 409


def make_secret(name: str, sizes: Mapping[str, int], account: Path = ACCOUNT, url: str = "") -> bool:
    """`sizes`: key to the number of random bytes it holds in hexadecimal. False if there was a Secret of this name.

    Needs the verb `create` on secrets. Raises PLATFORM_UNAVAILABLE, PLATFORM_FORBIDDEN, and PLATFORM_INVALID_SETTING
    outside a pod with a token.
    """
    try:
        token, namespace = ((account / file).read_text().strip() for file in ("token", "namespace"))
        trust = ssl.create_default_context(cafile=str(account / "ca.crt")) if not url else None
    except OSError as error:
        raise PLATFORM_INVALID_SETTING.problem(name=str(account), detail="not in a pod with a token") from error
    values = {key: base64.b64encode(secrets.token_hex(count).encode()).decode() for key, count in sizes.items()}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": values}
    request = urllib.request.Request(  # noqa: S310 - the API server
        f"{url or _server()}/api/v1/namespaces/{namespace}/secrets", json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )  # fmt: skip
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(request, timeout=SECONDS):
            return True
    except urllib.error.HTTPError as refused:
        with refused:
            if refused.code == _CONFLICT:
                return False
            row = PLATFORM_FORBIDDEN if refused.code in (401, 403) else PLATFORM_UNAVAILABLE
            raise row.problem(detail=f"the API server answers {refused.code}") from None
    except OSError as error:
        raise PLATFORM_UNAVAILABLE.problem(dependency="the API server") from error


def _server() -> str:
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    return f"https://{f'[{host}]' if ':' in host else host}:{port}"
