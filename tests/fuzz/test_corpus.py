"""Every seed of every decoder is read or refused; fuzzing begins from them (`make fuzz`)."""

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
SEEDS = sorted(CORPUS.glob("*/*"))


def test_every_decoder_has_seeds() -> None:
    assert {seed.parent.name for seed in SEEDS} == TARGETS.keys()
    assert sum(seed.stat().st_size for seed in SEEDS) < 64 << 10


@pytest.mark.parametrize("seed", SEEDS, ids=[f"{seed.parent.name}/{seed.name}" for seed in SEEDS])
def test_a_seed_is_read_or_refused(seed: Path) -> None:
    TARGETS[seed.parent.name](seed.read_bytes())
