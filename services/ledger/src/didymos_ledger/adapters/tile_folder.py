"""Full tiles and bundles as files: written beside, synced, linked. What is there is whole, and for ever."""

import asyncio
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path

from didymos_contracts.errors.ledger import LEDGER_TILE_CONFLICT


class TileFolder:
    """`TileStore` over a folder. File work is done by `executor`: a thread of its own, so that appends go on."""

    def __init__(self, folder: Path, executor: Executor) -> None:
        self._folder, self._executor = folder, executor

    async def put_once(self, files: Sequence[tuple[str, bytes]]) -> None:
        """See `TileStore`."""
        placed = [(self._folder / path, data) for path, data in files]
        await asyncio.get_running_loop().run_in_executor(self._executor, put_files_once, placed)

    async def get(self, path: str) -> bytes | None:
        """What is stored, or None."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, read_file, self._folder / path)


def read_file(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def put_files_once(files: Sequence[tuple[Path, bytes]]) -> None:
    """Create each with its data, or find the same there. Raises LEDGER_TILE_CONFLICT, OSError."""
    missing = [(path, data) for path, data in files if not _stored(path, data)]
    beside = [_written(path, data) for path, data in missing]
    for (path, data), temporary in zip(missing, beside, strict=True):
        try:
            os.link(temporary, path)  # fails if somebody was faster, where a rename would replace
        except FileExistsError:
            _stored(path, data)
        finally:
            temporary.unlink()
    _sync_folders(folder for path, _ in missing for folder in (path.parent, path.parent.parent))


def _stored(path: Path, data: bytes) -> bool:
    stored = read_file(path)
    if stored is not None and stored != data:
        raise LEDGER_TILE_CONFLICT.problem(path=path.name, stored=len(stored), given=len(data))
    return stored is not None


def _written(path: Path, data: bytes) -> Path:
    """A synced file beside `path`."""
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
    return temporary


def _sync_folders(folders: Iterable[Path]) -> None:
    """Also the folder above each: a new folder is an entry of its parent."""
    for one in dict.fromkeys(folders):
        handle = os.open(one, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
