"""What services ask of Redis: Lua scripts and channels, nothing else. Every script's keys share one hash tag."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha1
from typing import Any, Protocol, TypeAlias

Argument: TypeAlias = bytes | str | int


@dataclass(frozen=True)
class Script:
    """A Lua script; its digest is what the server caches it by."""

    text: str

    @cached_property
    def sha(self) -> str:
        return sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Listener(Protocol):
    """Messages of some channels, from the moment the context was entered."""

    async def next(self, seconds: float) -> tuple[str, bytes] | None:
        """(channel, message), or None after `seconds` without one. Messages can be lost: look again now and then."""


class Hot(Protocol):
    """Raises `platform.unavailable` while the store is away."""

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Any:  # noqa: ANN401 - what Lua gives
        """The script's answer; bulk strings are bytes. It runs as one step."""

    def listen(self, channels: Sequence[str]) -> AbstractAsyncContextManager[Listener]: ...
