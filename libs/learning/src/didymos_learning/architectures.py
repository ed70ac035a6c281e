"""The installed architectures: what their arguments may be, and which parameters they give. No torch needed.

A forecaster reads (n, input, channels) and ends in one linear head over its features and the inputs of the last `skip`
readings. The head begins at zero: the untrained model answers "no change". `models` builds the modules.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from didymos_learning.errors import LearningError
from didymos_learning.layout import Layout, layout_of
from didymos_learning.spec import Arguments, ModelSpec, TaskSpec

Sizes: TypeAlias = Mapping[str, int]
Shapes: TypeAlias = list[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class Architecture:
    """`bounds`: each argument, a whole number, with its least and greatest value. `features`: what the body gives."""

    version: int
    bounds: Mapping[str, tuple[int, int]]
    shapes: Callable[[Sizes, TaskSpec], Shapes]
    features: Callable[[Sizes], int]


def _lstm(sizes: Sizes, task: TaskSpec) -> Shapes:
    units = sizes["units"]
    return [
        ("body.weight_ih_l0", (4 * units, task.channels)),
        ("body.weight_hh_l0", (4 * units, units)),
        ("body.bias_ih_l0", (4 * units,)),
        ("body.bias_hh_l0", (4 * units,)),
    ]


def _cnn1d(sizes: Sizes, task: TaskSpec) -> Shapes:
    width, shapes, inputs = sizes["width"], Shapes(), task.channels
    for layer in ("first", "second"):
        shapes += [(f"{layer}.weight", (width, inputs, 5)), (f"{layer}.bias", (width,))]
        shapes += [(f"{layer}_norm.weight", (width,)), (f"{layer}_norm.bias", (width,))]
        inputs = width
    return shapes


def _transformer(sizes: Sizes, task: TaskSpec) -> Shapes:
    width, patch = sizes["width"], sizes["patch"]
    if task.input % patch or width % sizes["heads"]:
        raise LearningError("training.architecture_unknown", detail="patch divides input, heads divide width")
    shapes: Shapes = [
        ("position", (task.input // patch, width)),
        ("embed_patch.weight", (width, patch * task.channels)),
        ("embed_patch.bias", (width,)),
    ]
    for layer in range(sizes["layers"]):
        stem = f"body.layers.{layer}"
        shapes += [(f"{stem}.self_attn.in_proj_weight", (3 * width, width))]
        shapes += [(f"{stem}.self_attn.in_proj_bias", (3 * width,))]
        shapes += [(f"{stem}.self_attn.out_proj.weight", (width, width)), (f"{stem}.self_attn.out_proj.bias", (width,))]
        shapes += [(f"{stem}.linear1.weight", (2 * width, width)), (f"{stem}.linear1.bias", (2 * width,))]
        shapes += [(f"{stem}.linear2.weight", (width, 2 * width)), (f"{stem}.linear2.bias", (width,))]
        shapes += [(f"{stem}.norm{index}.{part}", (width,)) for index in (1, 2) for part in ("weight", "bias")]
    return [*shapes, ("norm.weight", (width,)), ("norm.bias", (width,))]


ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "lstm": Architecture(1, {"units": (1, 512), "skip": (0, 1024)}, _lstm, lambda sizes: sizes["units"]),
    "cnn1d": Architecture(1, {"width": (4, 512), "groups": (1, 64), "skip": (0, 1024)}, _cnn1d, lambda s: s["width"]),
    "transformer": Architecture(
        1,
        {"width": (4, 512), "heads": (1, 16), "layers": (1, 12), "patch": (1, 64), "skip": (0, 1024)},
        _transformer,
        lambda sizes: sizes["width"],
    ),
}


def sizes_of(arch: str, version: int, args: Arguments, task: TaskSpec) -> Sizes:
    """The arguments, checked. Raises LearningError `training.architecture_unknown` with the name that is wrong."""
    known = ARCHITECTURES.get(arch)
    if known is None or known.version != version:
        raise LearningError("training.architecture_unknown", arch=arch[:64], version=version)
    if set(args) != set(known.bounds):
        odd = sorted(set(args) ^ set(known.bounds))
        raise LearningError("training.architecture_unknown", arch=arch, argument=odd[0][:64])
    sizes: dict[str, int] = {}
    for name, (least, greatest) in known.bounds.items():
        value = args[name]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= greatest:
            raise LearningError("training.architecture_unknown", arch=arch, argument=name, least=least, most=greatest)
        sizes[name] = value
    if sizes["skip"] > task.input or sizes.get("width", 1) % sizes.get("groups", 1):
        raise LearningError("training.architecture_unknown", arch=arch, detail="skip <= input, groups divide width")
    return sizes


def layout_for(arch: str, version: int, args: Arguments, task: TaskSpec) -> Layout:
    """The layout that these arguments give. Raises LearningError `training.architecture_unknown`."""
    sizes, known = sizes_of(arch, version, args, task), ARCHITECTURES[arch]
    head = (1, known.features(sizes) + sizes["skip"] * task.channels)
    return layout_of([*known.shapes(sizes, task), ("head.weight", head), ("head.bias", (1,))])


def model_spec(arch: str, args: Arguments, task: TaskSpec) -> ModelSpec:
    """The specification of a model of the installed version. Raises LearningError `training.architecture_unknown`."""
    version = ARCHITECTURES[arch].version if arch in ARCHITECTURES else 0
    return ModelSpec(arch, version, args, task, layout_for(arch, version, args, task))


def check_model(spec: ModelSpec) -> None:
    """Raises LearningError unless this code knows the architecture and gives the same layout."""
    if layout_for(spec.arch, spec.version, spec.args, spec.task) != spec.layout:
        raise LearningError("training.layout_mismatched", arch=spec.arch)
