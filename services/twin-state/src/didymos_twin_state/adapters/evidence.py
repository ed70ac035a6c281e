"""Signed blocks out of stored parcels, as the offline proof of a reading. data-path.md section 12."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from didymos.ingestion.v1.ingestion_types_pb2 import Annotated, ParcelBody
from didymos_did.multibase import b64u
from didymos_readings import REFUSED, parse_block

from didymos_twin_state.adapters.readings import PARCEL_PATH
from didymos_twin_state.application.ports import Seals, StoredParcel, TwinHistory


class ParcelProver:
    """`Prover` on sealed parcels."""

    def __init__(self, history: TwinHistory, seals: Seals) -> None:
        self.history, self._seals = history, seals

    async def evidence(self, stored: StoredParcel, name: str, at_us: int) -> Sequence[Mapping[str, Any]]:
        body = await self._seals.open_blob(stored.twin, stored.blob, PARCEL_PATH)
        if body is None:
            return ()
        said = ParcelBody.FromString(body)
        return [
            {
                "device": stored.device, "stream": stored.stream, "number": str(stored.number),
                "digest": b64u(stored.digest), "header": b64u(said.signed.header),
                "signature": b64u(said.signed.signature), "kid": said.signed.kid, "original": b64u(said.original),
                **_block(each, index),
            }
            for each in said.blocks
            if (index := _index(each, name, at_us)) is not None
        ]  # fmt: skip


def _index(said: Annotated, name: str, at_us: int) -> int | None:
    """Where in the block the reading stands; None if it is not there, or was refused."""
    block = parse_block(said.block, said.leaf, said.first)
    if block.property != name:
        return None
    quality = np.frombuffer(said.quality, np.uint8)
    found = np.flatnonzero((block.times() + said.shift_us == at_us) & (quality != REFUSED))
    return int(found[-1]) if len(found) else None


def _block(said: Annotated, index: int) -> dict[str, Any]:
    return {
        "block": b64u(said.block), "leaf": said.leaf, "path": b64u(said.path), "index": index, "a": said.a, "b": said.b,
        "curve": said.curve, "unit": said.unit, "shift_us": said.shift_us,
    }  # fmt: skip
