"""What a profile makes of one block, worked out once per (property, unit, kind) and then looked up."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from sys import float_info
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

from didymos.ingestion.v1 import ingestion_types_pb2 as pb

from didymos_readings.block import NUMBERS, Block, Kind, Op
from didymos_readings.profile import Profile, ValueKind
from didymos_readings.quality import Rule, rule_of
from didymos_readings.units import IDENTITY, Affine, Curve, UnitProblem, compile_unit

PLANS: Final = 4096  # of one profile: units come from strangers
_KINDS: Final[dict[ValueKind, frozenset[Kind]]] = {
    "number": NUMBERS,
    "bool": frozenset({Kind.BOOL}),
    "point": frozenset({Kind.POINT}),
    "text": frozenset({Kind.TEXT}),
}
_HIGHEST: Final = float_info.max  # as a bound it lets every finite value pass, and neither infinity nor NaN


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """How the values of a block become normalised: `conversion` to `unit`, then the rule's bounds and scoring.

    Known by identity. `kind` and `op` are those of the blocks that it is for.
    """

    unit: str
    conversion: Affine | Curve
    rule: Rule
    kind: Kind
    op: Op
    said: bytes = field(init=False, repr=False)  # `a`, `b`, `curve` and `unit` of an Annotated, as they are stored

    def __post_init__(self) -> None:
        line, curve = (IDENTITY, self.conversion.name) if isinstance(self.conversion, Curve) else (self.conversion, "")
        said = pb.Annotated(a=line.a, b=line.b, curve=curve, unit=self.unit)
        object.__setattr__(self, "said", said.SerializeToString())


@dataclass(frozen=True, slots=True)
class PlanProblem:
    code: str
    detail: str


Key: TypeAlias = tuple[str, str, Kind, Op]


_PLANS: WeakKeyDictionary[Profile, dict[Key, Plan | PlanProblem]] = WeakKeyDictionary()


def plans_for(profile: Profile, blocks: Sequence[Block]) -> list[Plan | PlanProblem]:
    """The plan of each block. Kept with this very object, and gone when it goes."""
    known = _PLANS.get(profile)
    if known is None:
        known = _PLANS[profile] = {}
    found = []
    for block in blocks:
        key = (block.property, block.unit, block.kind, block.op)
        plan = known.get(key)
        if plan is None:
            if len(known) >= PLANS:
                known.clear()
            plan = known[key] = _plan(profile, block)
        found.append(plan)
    return found


def _plan(profile: Profile, block: Block) -> Plan | PlanProblem:
    prop = profile.rule(block.property)
    if prop is None:
        return PlanProblem("reading.property_unknown", f"profile {profile.id} has no such property")
    if block.kind not in _KINDS[prop.kind]:
        return PlanProblem("reading.kind_mismatch", f"the property is a {prop.kind}, not {block.kind.name}")
    low, high = (prop.hard.low, prop.hard.high) if prop.hard else (-_HIGHEST, _HIGHEST)
    target = block.unit if prop.unit is None else prop.unit
    if block.op is Op.RETRACTION or prop.kind != "number":
        numeric = prop.kind == "bool" and block.op is Op.READING
        return Plan(target, IDENTITY, rule_of(prop, -_HIGHEST, _HIGHEST, numeric=numeric), block.kind, block.op)
    conversion = compile_unit(block.unit, target, prop.molar_mass)
    if isinstance(conversion, UnitProblem):
        return PlanProblem(conversion.code, conversion.detail)
    return Plan(target, conversion, rule_of(prop, low, high, numeric=True), block.kind, block.op)
