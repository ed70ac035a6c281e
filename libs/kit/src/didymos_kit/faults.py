"""Fault points: places where a test kills the process, as power loss and the out-of-memory killer do. platform.md 14.

`DIDYMOS_FAULT=relay.appended:3` kills at the third pass through that point. Without the variable a point is one `if`.
"""

import os
import signal
from typing import Final

VARIABLE: Final = "DIDYMOS_FAULT"


class _Armed:
    """Which point kills, and after how many more passes."""

    def __init__(self, said: str) -> None:
        self.name, _, count = said.partition(":")
        self.left = int(count or 1)


_armed: Final = _Armed(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None


def fault_point(name: str) -> None:
    """End the process here by SIGKILL, if it was started with this point armed."""
    if _armed is None or _armed.name != name:
        return
    _armed.left -= 1
    if _armed.left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
