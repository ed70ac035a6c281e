"""safetensors: read back bit for bit, by the reference library as well; anything else is refused."""

import json

import numpy as np
import pytest
from didymos_learning import LearningError, demo_spec
from didymos_learning.export import from_safetensors, to_safetensors
from didymos_learning.models import initial
from safetensors.numpy import load

MODEL = demo_spec(bytes(32)).model
PARAMS = initial(MODEL, 3)
RAW = to_safetensors(PARAMS, MODEL.layout, {"model": "m-1"})


def headed(header: object, data: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + data


def test_parameters_come_back_bit_for_bit_and_the_reference_library_reads_them() -> None:
    assert from_safetensors(RAW, MODEL.layout).tobytes() == PARAMS.tobytes()
    read = load(RAW)
    for slot in MODEL.layout.slots:
        assert np.array_equal(read[slot.name], MODEL.layout.view(PARAMS, slot))


def test_tampered_headers_are_refused() -> None:
    length = int.from_bytes(RAW[:8], "little")
    header, data = json.loads(RAW[8 : 8 + length]), RAW[8 + length :]
    name = MODEL.layout.slots[0].name
    size = 4 * MODEL.layout.slots[0].size
    bad = [
        {**header, name: {**header[name], "dtype": "F16"}},
        {**header, name: {**header[name], "shape": [1]}},
        {**header, name: {**header[name], "data_offsets": [4, size + 4]}},
        {**header, name: {**header[name], "data_offsets": [True, size]}},
        {**header, "more": header[name]},
        {key: value for key, value in header.items() if key != name},
    ]
    for one in bad:
        with pytest.raises(LearningError, match="layout_mismatched"):
            from_safetensors(headed(one, data), MODEL.layout)
    for raw in (b"", b"\xff" * 8, headed(b"[]"), headed(b"[" * 9000), headed(b'{"a":1,"a":1}'), RAW + b"\0", RAW[:-1]):
        with pytest.raises(LearningError, match="layout_mismatched"):
            from_safetensors(raw, MODEL.layout)
    not_finite = np.full(MODEL.layout.size, np.nan, np.float32)
    with pytest.raises(LearningError, match="update_not_finite"):
        from_safetensors(to_safetensors(not_finite, MODEL.layout, {}), MODEL.layout)


def test_no_changed_byte_does_more_than_be_refused() -> None:
    random = np.random.default_rng(0)
    length = 8 + int.from_bytes(RAW[:8], "little")
    for _ in range(1500):
        raw = bytearray(RAW)
        for at in random.integers(0, length, random.integers(1, 4)):
            raw[at] = random.integers(0, 256)
        try:
            found = from_safetensors(bytes(raw), MODEL.layout)
        except LearningError:
            continue
        assert found.shape == PARAMS.shape
