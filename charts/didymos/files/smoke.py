"""Each service that is named answers through the gateway with a problem document of its own for a path it lacks."""

import http.client
import json
import sys


def said(gateway: str, service: str) -> str:
    connection = http.client.HTTPConnection(gateway, timeout=10)
    connection.request("GET", f"/{service}/v1/no-such-path")
    answer = connection.getresponse()
    problem = json.loads(answer.read())
    if answer.status != 404 or not problem.get("trace_id"):  # the gateway's own answers have none
        return f"{service}: {answer.status} {problem}"
    return ""


def main(gateway: str, services: list[str]) -> int:
    wrong = [text for text in (said(gateway, service) for service in services) if text]
    print("\n".join(wrong) or f"{len(services)} services answer through {gateway}")
    return 1 if wrong or not services else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
