"""The tables of this service. learning.md section 5, privacy.md section 7."""

from typing import Final

from didymos_kit.database.columns import Instant
from didymos_kit.database.outbox import outbox_tables
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
)

METADATA: Final = MetaData()
KIT: Final = outbox_tables(METADATA)

RUNS: Final = Table(
    "runs",
    METADATA,
    Column("run", Text, primary_key=True),
    Column("agreement", Text, nullable=False),
    Column("buyer", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("clients", Text, nullable=False),
    Column("spec", LargeBinary, nullable=False),
    Column("spec_digest", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("committed", Integer, nullable=False),
    Column("aborted", Integer, nullable=False),
    Column("params", LargeBinary, nullable=False),
    Column("moments", LargeBinary, nullable=False),  # digests, one after the other
    Column("bitwise", Integer, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("lease_owner", Text, nullable=False),
    Column("lease_epoch", BigInteger, nullable=False),
    Column("lease_until", Instant),
    Column("created_at", Instant, nullable=False),
    Index("runs_buyer", "buyer", "run"),
    Index("runs_provider", "provider", "run"),
    Index("runs_state", "state"),
)
ROUNDS: Final = Table(
    "rounds",
    METADATA,
    Column("run", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("cohort", LargeBinary, nullable=False),  # canonical JSON
    Column("cohort_digest", LargeBinary, nullable=False),
    Column("params", LargeBinary, nullable=False),
    Column("training_us", BigInteger, nullable=False),
    Column("opened_us", BigInteger, nullable=False),
    Column("closed_us", BigInteger, nullable=False),
    Column("accepted", LargeBinary, nullable=False),  # canonical JSON: names
    Column("total_digest", LargeBinary, nullable=False),
    Column("result", LargeBinary, nullable=False),
    Column("transcript", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("charged", Integer, nullable=False),
    PrimaryKeyConstraint("run", "round", name="rounds_pkey"),
)
MEMBERS: Final = Table(
    "members",
    METADATA,
    Column("run", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("member", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    PrimaryKeyConstraint("run", "round", "attempt", "member", name="members_pkey"),
)
SIGNALS: Final = Table(
    "signals",
    METADATA,
    Column("run", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("seq", Integer, nullable=False),  # the order in which they took effect
    Column("site", Text, nullable=False),  # empty: time was up
    Column("step", Text, nullable=False),
    Column("signal", LargeBinary, nullable=False),  # SiteSignal as it came
    PrimaryKeyConstraint("run", "round", "attempt", "seq", name="signals_pkey"),
)
ACCOUNTS: Final = Table(
    "budget_account",
    METADATA,
    Column("grant_id", Text, primary_key=True),
    Column("reserved", Integer, nullable=False),
    Column("spent", Integer, nullable=False),
)
ENTRIES: Final = Table(
    "budget_entry",
    METADATA,
    Column("run", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("grant_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    PrimaryKeyConstraint("run", "round", "grant_id", name="budget_entry_pkey"),
)
EVALUATIONS: Final = Table(
    "evaluations",
    METADATA,
    Column("run", Text, nullable=False),
    Column("twin", Text, nullable=False),
    Column("site", Text, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("bound", Float, nullable=False),
    Column("gate_windows", Integer, nullable=False),
    Column("test_windows", Integer, nullable=False),
    Column("rmse_last_value", Float, nullable=False),
    Column("rmse_own", Float, nullable=False),
    Column("rmse_global", Float, nullable=False),
    Column("rmse_personal", Float, nullable=False),
    Column("score", Float, nullable=False),
    Column("interval_low", Float, nullable=False),
    Column("interval_high", Float, nullable=False),
    Column("model", LargeBinary, nullable=False),
    Column("rmse_gate", Float, nullable=False, server_default="0"),
    Column("input_shift", Float, nullable=False, server_default="0"),
    Column("gain_low", Float, nullable=False, server_default="0"),
    Column("gain_high", Float, nullable=False, server_default="0"),
    PrimaryKeyConstraint("run", "twin", name="evaluations_pkey"),
)
USES: Final = Table(  # which twins were asked for by which run: what an owner is told, also when grants are forgotten
    "uses",
    METADATA,
    Column("twin", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("grant_id", Text, nullable=False),
    PrimaryKeyConstraint("twin", "run", "grant_id", name="uses_pkey"),
)
JUDGEMENTS: Final = Table(  # the loss of each kept checkpoint of an ended run, on data that nobody trained on
    "judgements",
    METADATA,
    Column("run", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("windows", Integer, nullable=False),
    Column("naive", Float, nullable=False),
    Column("losses", LargeBinary, nullable=False),  # JSON: round and loss
)
TALLIES: Final = Table(  # the summed histograms of the errors that members told together, by the round they follow
    "tallies",
    METADATA,
    Column("run", Text, nullable=False),
    Column("round", Integer, nullable=False),
    Column("sites", Integer, nullable=False),
    Column("subjects", Integer, nullable=False),
    Column("sums", LargeBinary, nullable=False),  # JSON
    PrimaryKeyConstraint("run", "round", name="tallies_pkey"),
)
MODELS: Final = Table(
    "models",
    METADATA,
    Column("model", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("twin", Text),
    Column("task", Text, nullable=False),
    Column("params", LargeBinary, nullable=False),
    Column("card", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index("models_run", "run"),
    Index("models_twin", "twin"),
)
PARENTS: Final = Table(
    "model_parents",
    METADATA,
    Column("child", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("relation", Text, nullable=False),
    PrimaryKeyConstraint("child", "parent", name="model_parents_pkey"),
    Index("model_parents_parent", "parent"),
)
