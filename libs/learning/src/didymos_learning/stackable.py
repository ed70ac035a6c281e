"""Which runs the stacked engine can train: asked where a run is made, by processes that have no torch."""

from dataclasses import dataclass

from didymos_learning.errors import LearningError
from didymos_learning.spec import ModelSpec, RunSpec
from didymos_learning.strategies import BySum, plain, strategy_of


@dataclass(frozen=True, slots=True)
class Linear:
    """One layer in the vector: weight (out, in) and bias (out,) by their first float."""

    weight: int
    bias: int
    rows: int
    columns: int


def layers_of(model: ModelSpec) -> tuple[Linear, ...]:
    """The chain of linear layers of an `mlp`, with ReLU between them; the last reads the inputs of `skip` rows, too.

    Raises LearningError `training.spec_malformed` for an architecture that is no such chain.
    """
    slots = model.layout.slots
    if model.arch != "mlp" or model.version != 1:
        raise LearningError("training.spec_malformed", detail=f"engine stacked: {model.arch[:64]} does not stack")
    return tuple(
        Linear(weight.offset, bias.offset, weight.shape[0], weight.shape[1])
        for weight, bias in zip(slots[::2], slots[1::2], strict=True)
    )


def check_stackable(spec: RunSpec) -> None:
    """Raises LearningError `training.spec_malformed` unless this engine can train the run: an `mlp`, whose strategy
    adds up plain updates."""
    layers_of(spec.model)
    strategy = strategy_of(spec.strategy, "none")
    if not isinstance(strategy, BySum) or strategy.contribute is not plain:
        raise LearningError(
            "training.spec_malformed", detail=f"engine stacked: {strategy.name} looks at single clients"
        )
