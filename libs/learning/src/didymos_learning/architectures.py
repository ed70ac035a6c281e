"""The installed architectures: what their arguments may be, and which parameters they give. No torch needed.

A model reads (n, input, channels) and ends in one linear head over its features and the inputs of the last `skip` rows.
The head begins at zero: the untrained model answers "no change", or prefers no class. `models` builds the modules.
Other packages add architectures by an entry point of the group `didymos.architectures` (docs/guides/add-a-model.md).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from didymos_learning.errors import LearningError
from didymos_learning.installed import installed
from didymos_learning.layout import Layout, layout_of
from didymos_learning.spec import Arguments, ModelSpec, TaskSpec

Sizes: TypeAlias = Mapping[str, int]
Shapes: TypeAlias = list[tuple[str, tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class Architecture:
    """`bounds`: each argument, a whole number, with its least and greatest value. `shapes`: names and shapes of the
    body's parameters, raising LearningError for arguments that do not go together. `features`: how many numbers the
    body gives. `module`: a `ForecastModule` as "package.module:Class", imported only where torch is.
    """

    version: int
    bounds: Mapping[str, tuple[int, int]]
    shapes: Callable[[Sizes, TaskSpec], Shapes]
    features: Callable[[Sizes, TaskSpec], int]
    module: str


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


def _mlp(sizes: Sizes, task: TaskSpec) -> Shapes:
    width, inputs, shapes = sizes["width"], task.input * task.channels, Shapes()
    for layer in ("first", "second"):
        shapes += [(f"{layer}.weight", (width, inputs)), (f"{layer}.bias", (width,))]
        inputs = width
    return shapes


def _gru(sizes: Sizes, task: TaskSpec) -> Shapes:
    units = sizes["units"]
    return [
        ("body.weight_ih_l0", (3 * units, task.channels)),
        ("body.weight_hh_l0", (3 * units, units)),
        ("body.bias_ih_l0", (3 * units,)),
        ("body.bias_hh_l0", (3 * units,)),
    ]


def _cnn2d(sizes: Sizes, task: TaskSpec) -> Shapes:
    width, shapes, inputs = sizes["width"], Shapes(), sizes["planes"]
    if task.channels % inputs:
        raise LearningError("training.architecture_unknown", detail="planes divide the channels")
    for layer in ("first", "second"):
        shapes += [(f"{layer}.weight", (width, inputs, 3, 3)), (f"{layer}.bias", (width,))]
        shapes += [(f"{layer}_norm.weight", (width,)), (f"{layer}_norm.bias", (width,))]
        inputs = width
    return shapes


def _bins(sizes: Sizes, task: TaskSpec) -> int:
    """Numbers across that two convolutions of stride 2 leave of channels / planes."""
    return sizes["width"] * -(-task.channels // (4 * sizes["planes"]))


_SKIP: Final = (0, 1024)
_HOME: Final = "didymos_learning.models"
ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "mlp": Architecture(
        1, {"width": (1, 1024), "skip": _SKIP}, _mlp, lambda sizes, _: sizes["width"], f"{_HOME}.mlp:Mlp"
    ),
    "lstm": Architecture(
        1, {"units": (1, 512), "skip": _SKIP}, _lstm, lambda sizes, _: sizes["units"], f"{_HOME}.lstm:Lstm"
    ),
    "gru": Architecture(
        1, {"units": (1, 512), "skip": _SKIP}, _gru, lambda sizes, _: sizes["units"], f"{_HOME}.gru:Gru"
    ),
    "cnn1d": Architecture(
        1,
        {"width": (4, 512), "groups": (1, 64), "skip": _SKIP},
        _cnn1d,
        lambda sizes, _: sizes["width"],
        f"{_HOME}.cnn1d:Cnn1d",
    ),
    "cnn2d": Architecture(
        1,
        {"width": (4, 512), "groups": (1, 64), "planes": (1, 64), "skip": _SKIP},
        _cnn2d,
        _bins,
        f"{_HOME}.cnn2d:Cnn2d",
    ),
    "transformer": Architecture(
        1,
        {"width": (4, 512), "heads": (1, 16), "layers": (1, 12), "patch": (1, 64), "skip": _SKIP},
        _transformer,
        lambda sizes, _: sizes["width"],
        f"{_HOME}.transformer:Transformer",
    ),
}


def architecture(name: str) -> Architecture:
    """One of these, or one that another package installed. Raises LearningError `training.architecture_unknown`."""
    found = installed("didymos.architectures", name, ARCHITECTURES, Architecture)
    if found is None:
        raise LearningError("training.architecture_unknown", arch=name[:64])
    return found


def sizes_of(arch: str, version: int, args: Arguments, task: TaskSpec) -> Sizes:
    """The arguments, checked. Raises LearningError `training.architecture_unknown` with the name that is wrong."""
    known = architecture(arch)
    if known.version != version:
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
    if sizes.get("skip", 0) > task.input or sizes.get("width", 1) % sizes.get("groups", 1):
        raise LearningError("training.architecture_unknown", arch=arch, detail="skip <= input, groups divide width")
    return sizes


def layout_for(arch: str, version: int, args: Arguments, task: TaskSpec) -> Layout:
    """The layout that these arguments give. Raises LearningError `training.architecture_unknown`."""
    sizes, known = sizes_of(arch, version, args, task), architecture(arch)
    shapes = known.shapes(sizes, task)
    head = (task.outputs, known.features(sizes, task) + sizes.get("skip", 0) * task.channels)
    return layout_of([*shapes, ("head.weight", head), ("head.bias", (task.outputs,))])


def model_spec(arch: str, args: Arguments, task: TaskSpec) -> ModelSpec:
    """The specification of a model of the installed version. Raises LearningError `training.architecture_unknown`."""
    version = architecture(arch).version
    return ModelSpec(arch, version, args, task, layout_for(arch, version, args, task))


def check_model(spec: ModelSpec) -> None:
    """Raises LearningError unless this code knows the architecture and gives the same layout."""
    if layout_for(spec.arch, spec.version, spec.args, spec.task) != spec.layout:
        raise LearningError("training.layout_mismatched", arch=spec.arch)
