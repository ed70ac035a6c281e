"""Files in a folder: a temporary name, fsync, rename, fsync of the folder. A reader sees all of an object or none."""

import asyncio
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

from didymos_kit.faults import fault_point

_SEGMENT: Final = re.compile(r"[a-z0-9_-][a-z0-9._-]{0,200}")
_TEMPORARY: Final = ".tmp"


class FolderFiles:
    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, key: str, data: bytes, *, if_absent: bool = False) -> bool:
        return await asyncio.to_thread(self._put, self._path(key), data, if_absent=if_absent)

    async def get(self, key: str) -> bytes | None:
        path = self._path(key)
        return await asyncio.to_thread(_read, path)

    async def delete(self, key: str) -> None:
        path = self._path(key)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def keys(self, prefix: str) -> Sequence[str]:
        return await asyncio.to_thread(self._keys, prefix)

    def free_ratio(self) -> float:
        """Free share of the disk where the folder lies, or will lie."""
        there = next(path for path in (self._root, *self._root.absolute().parents) if path.exists())
        usage = shutil.disk_usage(there)
        return usage.free / usage.total

    def _path(self, key: str) -> Path:
        segments = key.split("/")
        if not all(map(_SEGMENT.fullmatch, segments)):
            raise ValueError(f"no key of a file: {key[:80]!r}")
        return self._root.joinpath(*segments)

    def _put(self, path: Path, data: bytes, *, if_absent: bool) -> bool:
        if if_absent and path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid4().hex}{_TEMPORARY}")
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fault_point("files.written")
        temporary.replace(path)
        sync_folder(path.parent)
        return True

    def _keys(self, prefix: str) -> list[str]:
        if not self._root.is_dir():
            return []
        found = (path for path in self._root.rglob("*") if path.is_file() and not path.name.endswith(_TEMPORARY))
        keys = (path.relative_to(self._root).as_posix() for path in found)
        return sorted(key for key in keys if key.startswith(prefix))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
