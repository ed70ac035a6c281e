"""Full tiles and bundles as files: written beside, synced, renamed. What is there is whole, and for ever."""

import asyncio
import os
from concurrent.futures import Executor
from pathlib import Path

from didymos_contracts.errors.ledger import LEDGER_TILE_CONFLICT


class TileFolder:
    """`TileStore` over a folder. File work is done by `executor`: the writer's one thread."""

    def __init__(self, folder: Path, executor: Executor) -> None:
        self._folder, self._executor = folder, executor

    async def put_once(self, path: str, data: bytes) -> None:
        """Durable when it returns. The same bytes again are fine; others raise LEDGER_TILE_CONFLICT."""
        await asyncio.get_running_loop().run_in_executor(self._executor, put_file_once, self._folder / path, data)

    async def get(self, path: str) -> bytes | None:
        """What is stored, or None."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, read_file, self._folder / path)


def read_file(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def put_file_once(path: Path, data: bytes) -> None:
    """Create `path` with `data`, or find the same there. Raises LEDGER_TILE_CONFLICT, OSError."""
    stored = read_file(path)
    if stored is not None:
        if stored != data:
            raise LEDGER_TILE_CONFLICT.problem(path=path.name, stored=len(stored), given=len(data))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(temporary, path)  # fails if somebody was faster, where a rename would replace
    except FileExistsError:
        if path.read_bytes() != data:
            raise LEDGER_TILE_CONFLICT.problem(path=path.name, given=len(data)) from None
    finally:
        temporary.unlink()
    _sync_folders(path.parent)


def _sync_folders(folder: Path) -> None:
    """The folder and the one above: a new folder is an entry of its parent."""
    for one in (folder, folder.parent):
        handle = os.open(one, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
