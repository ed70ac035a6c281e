"""The tables of the first version. Forward only."""

import sqlalchemy as sa
from alembic import op
from didymos_kit.database.columns import Instant
from didymos_kit.database.revisions import create_outbox_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_outbox_tables()
    _runs()
    _rounds()
    _members()
    _signals()
    _budget_account()
    _budget_entry()
    _evaluations()
    _models()
    _model_parents()


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("agreement", sa.Text, nullable=False),
        sa.Column("buyer", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("clients", sa.Text, nullable=False),
        sa.Column("spec", sa.LargeBinary, nullable=False),
        sa.Column("spec_digest", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("committed", sa.Integer, nullable=False),
        sa.Column("aborted", sa.Integer, nullable=False),
        sa.Column("params", sa.LargeBinary, nullable=False),
        sa.Column("moments", sa.LargeBinary, nullable=False),
        sa.Column("bitwise", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("lease_owner", sa.Text, nullable=False),
        sa.Column("lease_epoch", sa.BigInteger, nullable=False),
        sa.Column("lease_until", Instant),
        sa.Column("created_at", Instant, nullable=False),
    )
    op.create_index("runs_buyer", "runs", ["buyer", "run"])
    op.create_index("runs_provider", "runs", ["provider", "run"])
    op.create_index("runs_state", "runs", ["state"])


def _rounds() -> None:
    op.create_table(
        "rounds",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("cohort", sa.LargeBinary, nullable=False),
        sa.Column("cohort_digest", sa.LargeBinary, nullable=False),
        sa.Column("params", sa.LargeBinary, nullable=False),
        sa.Column("training_us", sa.BigInteger, nullable=False),
        sa.Column("opened_us", sa.BigInteger, nullable=False),
        sa.Column("closed_us", sa.BigInteger, nullable=False),
        sa.Column("accepted", sa.LargeBinary, nullable=False),
        sa.Column("total_digest", sa.LargeBinary, nullable=False),
        sa.Column("result", sa.LargeBinary, nullable=False),
        sa.Column("transcript", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("charged", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("run", "round", name="rounds_pkey"),
    )


def _members() -> None:
    op.create_table(
        "members",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("member", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run", "round", "attempt", "member", name="members_pkey"),
    )


def _signals() -> None:
    op.create_table(
        "signals",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("signal", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run", "round", "attempt", "seq", name="signals_pkey"),
    )


def _budget_account() -> None:
    op.create_table(
        "budget_account",
        sa.Column("grant_id", sa.Text, primary_key=True),
        sa.Column("reserved", sa.Integer, nullable=False),
        sa.Column("spent", sa.Integer, nullable=False),
    )


def _budget_entry() -> None:
    op.create_table(
        "budget_entry",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("grant_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run", "round", "grant_id", name="budget_entry_pkey"),
    )


def _evaluations() -> None:
    op.create_table(
        "evaluations",
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("site", sa.Text, nullable=False),
        sa.Column("accepted", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("candidate", sa.Text, nullable=False),
        sa.Column("bound", sa.Float, nullable=False),
        sa.Column("gate_windows", sa.Integer, nullable=False),
        sa.Column("test_windows", sa.Integer, nullable=False),
        sa.Column("rmse_last_value", sa.Float, nullable=False),
        sa.Column("rmse_own", sa.Float, nullable=False),
        sa.Column("rmse_global", sa.Float, nullable=False),
        sa.Column("rmse_personal", sa.Float, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("interval_low", sa.Float, nullable=False),
        sa.Column("interval_high", sa.Float, nullable=False),
        sa.Column("model", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("run", "twin", name="evaluations_pkey"),
    )


def _models() -> None:
    op.create_table(
        "models",
        sa.Column("model", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("twin", sa.Text),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("params", sa.LargeBinary, nullable=False),
        sa.Column("card", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", Instant, nullable=False),
    )
    op.create_index("models_run", "models", ["run"])


def _model_parents() -> None:
    op.create_table(
        "model_parents",
        sa.Column("child", sa.Text, nullable=False),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("relation", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("child", "parent", name="model_parents_pkey"),
    )
    op.create_index("model_parents_parent", "model_parents", ["parent"])
