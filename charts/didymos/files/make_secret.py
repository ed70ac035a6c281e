"""Makes the Secret of a house, once: root key, passwords, and the addresses that hold them. Never changes one.

Runs in the one pod of the chart that has a token, which may create Secrets and nothing else.
"""

import base64
import json
import os
import secrets
import ssl
import sys
import urllib.error
import urllib.request

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
CONFLICT = 409


def content() -> dict[str, str]:
    postgres, redis = secrets.token_hex(24), secrets.token_hex(24)
    return {
        "root": secrets.token_hex(32),
        "postgres-password": postgres,
        "postgres-url": f"postgresql://didymos:{postgres}@{os.environ['POSTGRES']}:5432/didymos",
        "redis-password": redis,
        "redis-url": f"redis://:{redis}@{os.environ['REDIS']}:6379/0",
    }


def request(namespace: str, name: str) -> urllib.request.Request:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "didymos"}},
        "type": "Opaque",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in content().items()},
    }
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT_HTTPS"]
    with open(f"{ACCOUNT}/token") as token:
        headers = {"Authorization": f"Bearer {token.read().strip()}", "Content-Type": "application/json"}
    host = f"[{host}]" if ":" in host else host
    url = f"https://{host}:{port}/api/v1/namespaces/{namespace}/secrets"
    return urllib.request.Request(url, json.dumps(secret).encode(), headers)


def main() -> int:
    name, namespace = os.environ["SECRET"], os.environ["NAMESPACE"]
    trusted = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted))
    try:
        direct.open(request(namespace, name), timeout=20).close()
    except urllib.error.HTTPError as error:
        if error.code != CONFLICT:
            print(f"the Secret {name} could not be made: {error.code} {error.read(2000).decode(errors='replace')}")
            return 1
        print(f"the Secret {name} is there already and stays as it is")
        return 0
    print(f"the Secret {name} was made; keep a copy of it: without its root key nothing can be read any more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
