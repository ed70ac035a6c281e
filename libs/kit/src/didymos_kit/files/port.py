"""The port of files: whole objects under keys such as `models/<digest>`."""

from collections.abc import Sequence
from typing import Protocol


class Files(Protocol):
    """Keys are `[a-z0-9._-]` segments joined by `/`; others raise ValueError."""

    async def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        """Durable when it returns. With `if_absent` an object that is there stays, and the answer is False."""

    async def get(self, key: str) -> bytes | None:
        """The whole object, or None."""

    async def delete(self, key: str) -> None:
        """Of no effect if it is not there."""

    async def keys(self, prefix: str) -> Sequence[str]:
        """All keys that begin with `prefix`, sorted."""
