import numpy as np
import pytest
import torch
from didymos_learning import LearningError, demo_spec
from didymos_learning.devices import CUDA, device_of, fill
from didymos_learning.engine import Engine

NOT_THERE = ["", "tpu", "cuda:0x", *([] if torch.cuda.is_available() else [CUDA])]


@pytest.mark.parametrize("name", NOT_THERE)
def test_a_device_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(LearningError, match=r"training\.device_missing"):
        device_of(name)
    with pytest.raises(LearningError, match=r"training\.device_missing"):
        Engine(demo_spec(b"d" * 32).model, name)


def test_a_block_takes_a_read_only_vector_into_each_of_its_rows() -> None:
    vector, block = np.arange(3, dtype=np.float32), torch.zeros(2, 3)
    vector.flags.writeable = False
    fill(block, vector)
    assert block.tolist() == [[0.0, 1.0, 2.0]] * 2
