"""Writes have one effect each, in order, and only while the twin lives."""

from dataclasses import replace

from didymos_twin_state.domain.command import (
    AttachModel,
    Command,
    Create,
    DeleteRelation,
    Outcome,
    PatchDesired,
    PutRelation,
    SetLifecycle,
    WithdrawModel,
    apply_command,
)
from didymos_twin_state.domain.twin import KEPT_COMMANDS, Lifecycle, Model, Relation, TwinState, pack, unpack

CREATE = Command(b"c" * 16, "did:key:t", "did:key:o", "", 1, Create("did:key:o", "glucose@1"))


def a_patch(number: int, value: float | None = 90.0, **changes: object) -> Command:
    body = PatchDesired({"glucose/target": (value, "mg/dL", 0)})
    return replace(Command(number.to_bytes(16, "big"), "did:key:t", "did:key:o", "", 2, body), **changes)  # type: ignore[arg-type]


def created() -> TwinState:
    twin, outcome = apply_command(TwinState(), CREATE)
    assert outcome is Outcome.APPLIED
    return twin


def test_a_twin_begins_once() -> None:
    twin = created()
    assert (twin.owner, twin.revision, twin.lifecycle) == ("did:key:o", 1, Lifecycle.ACTIVE)
    assert apply_command(twin, replace(CREATE, id=b"d" * 16)) == (twin, Outcome.EXISTS)


def test_nothing_is_written_to_a_twin_that_nobody_created() -> None:
    assert apply_command(TwinState(), a_patch(1)) == (TwinState(), Outcome.UNKNOWN)


def test_a_repeated_write_changes_nothing() -> None:
    twin, _ = apply_command(created(), a_patch(1))
    assert apply_command(twin, a_patch(1, 70.0)) == (twin, Outcome.REPEATED)


def test_a_write_for_another_revision_is_refused() -> None:
    twin = created()
    assert apply_command(twin, a_patch(1, expected=7)) == (twin, Outcome.REVISION_CONFLICT)
    after, outcome = apply_command(twin, a_patch(1, expected=1))
    assert (after.revision, outcome) == (2, Outcome.APPLIED)


def test_null_removes_a_desired_value() -> None:
    twin, _ = apply_command(created(), a_patch(1))
    assert twin.desired["glucose/target"].value == 90.0
    twin, _ = apply_command(twin, a_patch(2, None))
    assert twin.desired == {}


def test_a_proposal_is_decided_once_even_after_its_id_is_forgotten() -> None:
    twin, _ = apply_command(created(), a_patch(1, proposal=5))
    for number in range(2, KEPT_COMMANDS + 5):
        twin, _ = apply_command(twin, a_patch(number))
    assert apply_command(twin, a_patch(1, proposal=5))[1] is Outcome.REPEATED


def test_a_relation_is_replaced_and_removed_by_name_and_target() -> None:
    relation = Relation("cared-for-by", "did:key:x", accepted=False)
    twin, _ = apply_command(created(), a_patch(1, body=PutRelation(relation)))
    twin, _ = apply_command(twin, a_patch(2, body=PutRelation(Relation("cared-for-by", "did:key:x", accepted=True))))
    assert twin.relations == (Relation("cared-for-by", "did:key:x", accepted=True),)
    twin, _ = apply_command(twin, a_patch(3, body=DeleteRelation("cared-for-by", "did:key:x")))
    assert twin.relations == ()


def test_one_model_serves_a_task() -> None:
    twin, _ = apply_command(created(), a_patch(1, body=AttachModel(Model("m-1", "forecast", personal=False))))
    twin, _ = apply_command(twin, a_patch(2, body=AttachModel(Model("m-2", "forecast", personal=True))))
    assert twin.models == {"forecast": Model("m-2", "forecast", personal=True)}


def test_an_erased_twin_stays_erased() -> None:
    twin, _ = apply_command(created(), a_patch(1, body=SetLifecycle(Lifecycle.ERASED)))
    assert apply_command(twin, a_patch(2))[1] is Outcome.UNKNOWN
    assert apply_command(twin, a_patch(3, body=SetLifecycle(Lifecycle.ACTIVE)))[1] is Outcome.UNKNOWN


def test_a_retired_twin_cannot_be_active_again() -> None:
    twin, _ = apply_command(created(), a_patch(1, body=SetLifecycle(Lifecycle.RETIRED)))
    assert apply_command(twin, a_patch(2, body=SetLifecycle(Lifecycle.ACTIVE)))[1] is Outcome.LIFECYCLE


def test_a_model_that_drift_took_away_comes_back_by_another_only() -> None:
    first, second = Model("m-1", "forecast:x", personal=True), Model("m-2", "forecast:x", personal=True)

    def write(twin: TwinState, number: int, body: AttachModel | WithdrawModel) -> tuple[TwinState, Outcome]:
        return apply_command(twin, Command(number.to_bytes(16, "big"), "did:key:t", "did:key:o", "", 3, body))

    served, _ = write(created(), 1, AttachModel(first))
    assert write(served, 2, WithdrawModel(second, "drift")) == (served, Outcome.UNKNOWN)
    gone, outcome = write(served, 3, WithdrawModel(first, "drift"))
    assert (outcome, gone.models, gone.withdrawn) == (Outcome.APPLIED, {}, {"forecast:x": "m-1"})
    assert write(gone, 4, AttachModel(first)) == (gone, Outcome.REPEATED)
    back, _ = write(gone, 5, AttachModel(second))
    assert (back.models, back.withdrawn) == ({"forecast:x": second}, {})
    assert unpack(pack(gone)) == gone
