"""Tables of twin-state. What was measured is sealed; ids and times stand clear. data-path.md section 11."""

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData()

CHECKPOINTS: Final = sa.Table(
    "partition_checkpoint", METADATA,
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("readings", sa.BigInteger, nullable=False),
    sa.Column("writes", sa.BigInteger, nullable=False),
)  # fmt: skip
SNAPSHOTS: Final = sa.Table(
    "twin_snapshot", METADATA,
    sa.Column("part", sa.Integer, nullable=False),
    sa.Column("twin", sa.Text, nullable=False),
    sa.Column("key_epoch", sa.Integer, nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("part", "twin", name="twin_snapshot_pkey"),
)  # fmt: skip


def _parcels(name: str) -> sa.Table:
    return sa.Table(
        name, METADATA,
        sa.Column("part", sa.Integer, nullable=False),
        sa.Column("source_offset", sa.BigInteger, nullable=False),
        sa.Column("idx", sa.Integer, nullable=False),
        sa.Column("twin", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("stream", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("t_min_us", sa.BigInteger, nullable=False),
        sa.Column("t_max_us", sa.BigInteger, nullable=False),
        sa.Column("readings", sa.Integer, nullable=False),
        sa.Column("key_epoch", sa.Integer, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("part", "source_offset", "idx", name=f"{name}_pkey"),
    )  # fmt: skip


PARCELS: Final = _parcels("reading_parcel")
HELD: Final = _parcels("held_parcel")
sa.Index("reading_parcel_twin", PARCELS.c.twin, PARCELS.c.t_min_us)
TWINS: Final = sa.Table(
    "twin", METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("part", sa.Integer, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("lifecycle", sa.SmallInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("span_max_us", sa.BigInteger, nullable=False),
)  # fmt: skip
sa.Index("twin_owner", TWINS.c.owner, TWINS.c.id)
RELATIONS: Final = sa.Table(
    "relation", METADATA,
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("accepted", sa.Boolean, nullable=False),
    sa.PrimaryKeyConstraint("source", "name", "target", name="relation_pkey"),
)  # fmt: skip
sa.Index("relation_target", RELATIONS.c.target)
COMMANDS: Final = sa.Table(  # what stewards proposed, each decided once; budget and rate are counted here
    "grant_command", METADATA,
    sa.Column("command_id", sa.LargeBinary, primary_key=True),
    sa.Column("grant_id", sa.Text, nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("place", sa.BigInteger, nullable=False),  # of the first record that proposed it, plus one
    sa.Column("code", sa.Text, nullable=False),  # empty: admitted
    sa.Column("detail", sa.Text, nullable=False),
)  # fmt: skip
sa.Index("grant_command_grant", COMMANDS.c.grant_id, COMMANDS.c.at_us)
READS: Final = sa.Table(
    "grant_read", METADATA,
    sa.Column("grant_id", sa.Text, primary_key=True),
    sa.Column("reads", sa.BigInteger, nullable=False),
)  # fmt: skip
