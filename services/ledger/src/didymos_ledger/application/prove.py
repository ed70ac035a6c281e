"""Proofs out of tiles: inclusion under a checkpoint, consistency between two sizes."""

import asyncio
from collections.abc import Sequence

from didymos_contracts.errors.ledger import LEDGER_NOT_YET_PUBLISHED
from didymos_contracts.errors.platform import PLATFORM_NOT_FOUND
from didymos_provenance import (
    TILE_WIDTH,
    Bundle,
    Hash,
    Note,
    Range,
    Tile,
    TlogProof,
    consistency_ranges,
    decode_entries,
    decode_tile,
    inclusion_ranges,
    node_reader,
    proof_hashes,
    tile_width,
    tiles_of,
)

from didymos_ledger.application.ports import Agreed, EntryLog, TileReader


async def prove_inclusion(index: int, size: int, note: Note, tiles: TileReader) -> TlogProof:
    """The proof of entry `index` under the checkpoint of `size` in `note`. Raises LEDGER_NOT_YET_PUBLISHED."""
    if index >= size:
        raise LEDGER_NOT_YET_PUBLISHED.problem(index=index, size=size)
    return TlogProof(index, await _hashes(inclusion_ranges(index, size), size, tiles), note)


async def prove_consistency(old: int, size: int, tiles: TileReader) -> tuple[Hash, ...]:
    """That the tree of `old` is a prefix of that of `size`. From nothing, or to itself, there is nothing to prove."""
    return await _hashes(consistency_ranges(old, size), size, tiles) if old else ()


async def read_entry(index: int, size: int, tiles: TileReader) -> bytes:
    """The exact text of entry `index` of a log of `size`. Raises LEDGER_NOT_YET_PUBLISHED."""
    bundle = Bundle(index // TILE_WIDTH, tile_width(0, index // TILE_WIDTH, size))
    raw = await tiles.read(bundle) if index < size else None
    if raw is None:
        raise LEDGER_NOT_YET_PUBLISHED.problem(index=index, size=size)
    return decode_entries(raw)[index % TILE_WIDTH]


async def prove_event(event_id: bytes, log: EntryLog, agreed: Agreed | None) -> tuple[bytes, TlogProof]:
    """The entry of an event and its proof under the newest agreed checkpoint.

    Raises PLATFORM_NOT_FOUND for an event that is not in the log, LEDGER_NOT_YET_PUBLISHED until a quorum covers it.
    """
    index = await log.find(event_id)
    if index is None:
        raise PLATFORM_NOT_FOUND.problem(event_id=event_id.hex())
    if agreed is None:
        raise LEDGER_NOT_YET_PUBLISHED.problem(index=index, size=0)
    size = agreed.checkpoint.size
    return await read_entry(index, size, log), await prove_inclusion(index, size, agreed.note, log)


async def _hashes(ranges: Sequence[Range], size: int, tiles: TileReader) -> tuple[Hash, ...]:
    wanted = tiles_of(ranges, size)
    raw = await asyncio.gather(*(tiles.read(tile) for tile in wanted))
    rows = {(tile.level, tile.index): _row(tile, data, size) for tile, data in zip(wanted, raw, strict=True)}
    return proof_hashes(ranges, node_reader(rows))


def _row(tile: Tile, data: bytes | None, size: int) -> tuple[Hash, ...]:
    if data is None:
        raise LEDGER_NOT_YET_PUBLISHED.problem(size=size, level=tile.level, tile=tile.index)
    return decode_tile(data, tile.width)
