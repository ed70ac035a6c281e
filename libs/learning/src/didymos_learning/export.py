"""Parameters as safetensors, one float32 tensor per slot, and a strict reader of them. learning.md section 7.

Format: 8 bytes little-endian length of the header, the header as JSON (name to dtype, shape, data_offsets), the data.
"""

import json
from math import prod
from typing import Any, Final

import numpy as np

from didymos_learning.errors import LearningError
from didymos_learning.layout import Layout
from didymos_learning.vector import Flat

HEADER_BYTES: Final = 1 << 20
MEDIA_TYPE: Final = "application/octet-stream"
META: Final = "__metadata__"


def to_safetensors(params: Flat, layout: Layout, said: dict[str, str]) -> bytes:
    """The tensors of `params` (d,) in the order of the layout, with `said` in the header.

    Raises LearningError `training.layout_mismatched`.
    """
    layout.check(params)
    header: dict[str, Any] = {META: {**said, "layout": layout.digest.hex()}}
    data, at = [], 0
    for slot in layout.slots:
        data.append(layout.view(params, slot).astype("<f4").tobytes())
        header[slot.name] = {"dtype": "F32", "shape": list(slot.shape), "data_offsets": [at, at + len(data[-1])]}
        at += len(data[-1])
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw + b"".join(data)


def from_safetensors(raw: bytes, layout: Layout) -> Flat:
    """The parameters (d,) of a file that holds exactly the slots of `layout`: known type, no gap, no overlap, no rest.

    Raises LearningError `training.layout_mismatched` for another layout and for what is no such file,
    `training.update_not_finite` for NaN and infinities.
    """
    header, data = _parts(raw)
    if set(header) - {META} != {slot.name for slot in layout.slots}:
        raise _bad("other tensors")
    out, spans = np.zeros(layout.size, np.float32), []
    for slot in layout.slots:
        begin, end = _span(header[slot.name], slot.shape)
        if end > len(data):
            raise _bad("a tensor ends behind the data")
        spans.append((begin, end))
        out[slot.offset : slot.offset + slot.size] = np.frombuffer(data[begin:end], "<f4")
    spans.sort()
    if [begin for begin, _ in spans] != [0, *(end for _, end in spans)][: len(spans)] or spans[-1][1] != len(data):
        raise _bad("tensors overlap or leave gaps")
    if not np.isfinite(out).all():
        raise LearningError("training.update_not_finite")
    return out


def _parts(raw: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or not 2 <= length <= min(HEADER_BYTES, len(raw) - 8):
        raise _bad("no header")
    try:
        header = json.loads(raw[8 : 8 + length], object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise _bad("the header is no JSON object") from None
    if not isinstance(header, dict):
        raise _bad("the header is no JSON object")
    return header, raw[8 + length :]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name twice")
    return found


def _span(said: object, shape: tuple[int, ...]) -> tuple[int, int]:
    if not isinstance(said, dict) or set(said) != {"dtype", "shape", "data_offsets"} or said["dtype"] != "F32":
        raise _bad("a tensor is not F32")
    offsets = said["data_offsets"]
    if said["shape"] != list(shape) or not isinstance(offsets, list) or len(offsets) != 2:
        raise _bad("another shape")
    begin, end = offsets
    if type(begin) is not int or type(end) is not int or begin < 0 or end - begin != 4 * prod(shape):
        raise _bad("offsets do not fit the shape")
    return begin, end


def _bad(detail: str) -> LearningError:
    return LearningError("training.layout_mismatched", detail=f"safetensors: {detail}")
