"""How good each kept checkpoint of an ended run is, on data that nobody trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
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


def stretches(rounds: Sequence[Round]) -> list[list[tuple[int, Digest]]]:
    """At most `MOST` even stretches of committed rounds, each from its end back, behind the start: one checkpoint of
    each is judged, the first that was kept."""
    committed = [(one.number, one.result) for one in rounds if one.state is RoundState.COMMITTED]
    if not committed:
        return []
    count = min(MOST, len(committed))
    cuts = [at * len(committed) // count for at in range(count + 1)]
    return [[(0, rounds[0].params)], *(committed[begin:end][::-1] for begin, end in pairwise(cuts))]
