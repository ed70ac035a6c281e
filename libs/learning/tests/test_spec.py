"""Specifications: one value, one spelling, one digest; a stranger's bytes are refused with a pointer."""

import json
from dataclasses import replace

import pytest
from didymos_learning import (
    GLUCOSE_TASK,
    LearningError,
    LocalSpec,
    RunSpec,
    check_model,
    demo_spec,
    derive,
    layout_of,
    model_spec,
)
from hypothesis import given
from hypothesis import strategies as st

SPEC = demo_spec(bytes(range(32)), validation=bytes(32))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def spelled(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def paths(value: object, above: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(path for name, inner in items for path in paths(inner, (*above, name)))]


def test_a_specification_comes_back_from_its_bytes() -> None:
    again = RunSpec.from_json(SPEC.to_json())
    assert again == SPEC
    assert again.digest == SPEC.digest
    assert again.to_json() == SPEC.to_json()


def test_every_member_changes_the_digest() -> None:
    others = [
        replace(SPEC, rounds=25),
        replace(SPEC, seed=bytes(32)),
        replace(SPEC, masking="none"),
        replace(SPEC, local=replace(SPEC.local, lr=0.02)),
        replace(SPEC, personal=replace(SPEC.personal, fine_tune=(1, 3))),
        replace(SPEC, strategy=replace(SPEC.strategy, settings={"momentum": 0.7})),
    ]
    assert len({SPEC.digest, *(other.digest for other in others)}) == 7


@given(st.data())
def test_a_member_of_another_kind_is_refused_or_is_a_value(data: st.DataObject) -> None:
    said = json.loads(SPEC.to_json())
    path = data.draw(st.sampled_from([path for path in paths(said) if path]))
    inner = said
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = data.draw(JSON)
    raw = spelled(said)
    try:
        value = RunSpec.from_json(raw)
    except LearningError:
        return
    assert value.to_json() == raw


@given(st.data())
def test_a_missing_or_unknown_member_is_refused(data: st.DataObject) -> None:
    said = json.loads(SPEC.to_json())
    open_ = {("model", "args"), ("strategy", "settings")}
    objects = [path for path in paths(said) if path not in open_]
    inner = said
    for name in data.draw(st.sampled_from(objects)):
        inner = inner[name]
    if not isinstance(inner, dict):
        return
    if data.draw(st.booleans()):
        inner["surplus"] = 1
    else:
        del inner[data.draw(st.sampled_from(sorted(inner)))]
    with pytest.raises(LearningError, match=r"training\.spec_malformed"):
        RunSpec.from_json(spelled(said))


@given(st.lists(st.tuples(st.integers(0, len(SPEC.to_json()) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_bytes_changed_on_the_way_are_refused_or_are_a_value(changes: list[tuple[int, int]]) -> None:
    raw = bytearray(SPEC.to_json())
    for place, byte in changes:
        raw[place] = byte
    try:
        value = RunSpec.from_json(bytes(raw))
    except LearningError:
        return
    assert value.to_json() == bytes(raw)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_specification_are_refused(raw: bytes) -> None:
    with pytest.raises(LearningError, match=r"training\.spec_malformed"):
        RunSpec.from_json(raw)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: b" " + raw,
        lambda raw: raw.replace(b'"rounds":24', b'"rounds":24.0'),
        lambda raw: raw.replace(b'"rounds":24', b'"rounds":23,"rounds":24'),
        lambda raw: raw.replace(b'"lr":0.01', b'"lr":1e-2'),
        lambda raw: raw.replace(b'"lr":0.01', b'"lr":NaN'),
        lambda raw: raw.replace(b'"seed":"0001', b'"seed":"00 01'),
        lambda raw: raw.replace(b'"seed":"0001', b'"seed":"00zz'),
        lambda raw: raw.replace(b'"engine":"loop"', b'"engine":"warp"'),
        lambda raw: raw.replace(b'"engine":"loop"', b'"engine":1'),
        lambda raw: raw.replace(b'"lr":0.01', b'"lr":' + b"1" * 400),
        lambda raw: raw.replace(b'"clip":4', b'"clip":' + b"1" * 400),
        lambda raw: raw.replace(b'"rounds":24', b'"rounds":' + b"9" * 5000),
        lambda raw: raw.replace(b'"units":32', b'"units":32,"\\ud800":1'),
        lambda raw: raw.replace(b'"fedavgm"', b'"\\ud800"'),
        lambda raw: b"[" * 100_000,
        lambda raw: raw + b" " * (1 << 20),
    ],
    ids=[
        "space",
        "real",
        "twice",
        "exponent",
        "nan",
        "hex-space",
        "hex",
        "literal",
        "literal-type",
        "huge",
        "huge-or-null",
        "digits",
        "key",
        "text",
        "deep",
        "long",
    ],
)
def test_another_spelling_is_refused(spoil: object) -> None:
    raw = spoil(SPEC.to_json())  # type: ignore[operator]
    assert raw != SPEC.to_json()
    with pytest.raises(LearningError, match=r"training\.spec_malformed"):
        RunSpec.from_json(raw)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0), ("epochs", 1001), ("max_steps", -1), ("batch", 0), ("lr", 0.0), ("lr", 11.0), ("lr_end", 0.1),
        ("mu", -1.0), ("clip", 0.0), ("huber", -1.0),
    ],
)  # fmt: skip
def test_figures_out_of_range_are_refused(name: str, value: object) -> None:
    with pytest.raises(LearningError, match=r"training\.spec_malformed"):
        replace(SPEC.local, **{name: value})  # type: ignore[arg-type]


def test_the_rate_falls_from_the_first_round_to_the_last() -> None:
    local: LocalSpec = SPEC.local
    rates = [local.rate(round_, 24) for round_ in range(1, 25)]
    assert rates[0] == local.lr
    assert rates[-1] == pytest.approx(local.lr_end)
    assert rates == sorted(rates, reverse=True)
    assert local.rate(1, 1) == local.lr


def test_seeds_of_two_uses_differ_and_those_of_one_are_equal() -> None:
    seed = bytes(32)
    paths_: list[tuple[str | int, ...]] = [
        ("client", 1, "a"), ("client", 1, "b"), ("client", 2, "a"), ("client", "1", "a"), ("clienta", 1), ("client1a",),
    ]  # fmt: skip
    uses = [derive(seed, *path) for path in paths_] + [derive(bytes([1]) * 32, "client", 1, "a")]
    assert len(set(uses)) == len(uses)
    assert derive(seed, "client", 1, "a") == uses[0] == 2_235_843_408_372_390_433  # worked out from the docstring


@pytest.mark.parametrize(
    ("arch", "args"),
    [
        ("resnet", {}),
        ("lstm", {"units": 32}),
        ("lstm", {"units": 32, "skip": 9, "code": "import os"}),
        ("lstm", {"units": 0, "skip": 9}),
        ("lstm", {"units": 3.5, "skip": 9}),
        ("lstm", {"units": True, "skip": 9}),
        ("lstm", {"units": 32, "skip": 10}),
        ("cnn1d", {"width": 9, "groups": 2, "skip": 0}),
        ("transformer", {"width": 8, "heads": 3, "layers": 1, "patch": 3, "skip": 0}),
        ("transformer", {"width": 8, "heads": 2, "layers": 1, "patch": 2, "skip": 0}),
    ],
)
def test_an_architecture_or_argument_that_is_not_installed_is_refused(arch: str, args: dict[str, int]) -> None:
    with pytest.raises(LearningError, match=r"training\.architecture_unknown"):
        model_spec(arch, args, GLUCOSE_TASK)


def test_a_layout_that_the_architecture_does_not_give_is_refused() -> None:
    with pytest.raises(LearningError, match=r"training\.layout_mismatched"):
        check_model(replace(SPEC.model, layout=layout_of([("head.bias", (1,))])))
    with pytest.raises(LearningError, match=r"training\.architecture_unknown"):
        check_model(replace(SPEC.model, version=2))
    check_model(SPEC.model)


def test_a_member_that_a_class_learnt_later_is_left_out_while_it_has_its_default() -> None:
    """The digest of the demo as of before tasks had kinds: agreements and grants of then still name it."""
    assert demo_spec(bytes(32)).digest.hex() == "ff5bd41074c53d32761c06b91a7b7b7eb9c773220ee14a5ca14a60a9ae3cba25"
    assert b"columns" not in SPEC.to_json()
    said = json.loads(SPEC.to_json())
    said["model"]["task"]["columns"] = 0
    with pytest.raises(LearningError, match="canonical form"):
        RunSpec.from_json(spelled(said))
