"""Run inside the cluster's network: keeps the TCP payloads that go from a pod of one organisation to one of another.

`python listening.py FILE PODS`: PODS is a JSON object of address to organisation. It ends by SIGTERM. FILE has a line
of JSON for each packet: who spoke to whom, and the bytes in hexadecimal.
"""

import json
import signal
import socket
import struct
import sys
from typing import Final

ALL: Final = 0x0003  # ETH_P_ALL
IPV4, TCP = 0x0800, 6
ETHERNET: Final = 14


def crossing(frame: bytes, pods: dict[str, str]) -> tuple[str, str, bytes] | None:
    """Who spoke to whom and what, of a frame between two organisations."""
    if len(frame) < ETHERNET + 20 or struct.unpack_from(">H", frame, 12)[0] != IPV4 or frame[ETHERNET + 9] != TCP:
        return None
    source, target = (pods.get(socket.inet_ntoa(frame[at : at + 4])) for at in (ETHERNET + 12, ETHERNET + 16))
    if source is None or target is None or source == target:
        return None
    begin = ETHERNET + (frame[ETHERNET] & 15) * 4
    end = ETHERNET + struct.unpack_from(">H", frame, ETHERNET + 2)[0]
    payload = frame[begin + (frame[begin + 12] >> 4) * 4 : end]
    return (source, target, payload) if payload else None


def main(path: str, pods: dict[str, str]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL)) as ears, open(path, "w") as kept:
        while True:
            heard = crossing(ears.recv(65536), pods)
            if heard is not None:
                source, target, payload = heard
                kept.write(json.dumps([source, target, payload.hex()]) + "\n")
                kept.flush()


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
