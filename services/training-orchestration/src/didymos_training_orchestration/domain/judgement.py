"""How good each kept checkpoint of an ended run is, on data that nobody trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from didymos_training_orchestration.domain.round import Round, RoundState
from didymos_training_orchestration.domain.run import Digest

MOST: Final = 25  # checkpoints that are judged


@dataclass(frozen=True, slots=True)
class Judgement:
    """`losses`: round and mean squared error in scaled units (round 0: before training); `naive`: of "it stays as it
    is". `source`: which data, in words; without any there are no losses."""

    source: str
    windows: int = 0
    naive: float = 0.0
    losses: tuple[tuple[int, float], ...] = ()


def chosen(rounds: Sequence[Round]) -> list[tuple[int, Digest]]:
    """The start, and at most `MOST` committed rounds at even distances, the first and the last among them."""
    committed = [(one.number, one.result) for one in rounds if one.state is RoundState.COMMITTED]
    if not committed:
        return []
    last = len(committed) - 1
    places = sorted({at * last // (MOST - 1) for at in range(MOST)}) if last >= MOST else range(last + 1)
    return [(0, rounds[0].params), *(committed[at] for at in places)]
