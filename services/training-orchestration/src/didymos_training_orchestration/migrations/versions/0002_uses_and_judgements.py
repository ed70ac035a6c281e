"""Who was asked for, how good each checkpoint was, and four figures more of a site's report."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "uses",
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("grant_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("twin", "run", "grant_id", name="uses_pkey"),
    )
    op.create_table(
        "judgements",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("windows", sa.Integer, nullable=False),
        sa.Column("naive", sa.Float, nullable=False),
        sa.Column("losses", sa.LargeBinary, nullable=False),
    )
    for name in ("rmse_gate", "input_shift", "gain_low", "gain_high"):
        op.add_column("evaluations", sa.Column(name, sa.Float, nullable=False, server_default="0"))
    op.create_index("models_twin", "models", ["twin"])
    _uses_of_rounds_before()


def _uses_of_rounds_before() -> None:
    """From the cohorts that rounds keep."""
    connection = op.get_bind()
    rounds = sa.table("rounds", sa.column("run", sa.Text), sa.column("cohort", sa.LargeBinary))
    uses = sa.table("uses", *(sa.column(name, sa.Text) for name in ("twin", "run", "grant_id")))
    found = {
        (twin, row.run, grant)
        for row in connection.execute(sa.select(rounds.c.run, rounds.c.cohort))
        for _, _, subjects in json.loads(row.cohort)
        for twin, grant in subjects
    }
    if found:
        rows = [{"twin": twin, "run": run, "grant_id": grant} for twin, run, grant in sorted(found)]
        connection.execute(sa.insert(uses), rows)
