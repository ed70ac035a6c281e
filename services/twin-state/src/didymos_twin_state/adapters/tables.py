"""Tables of twin-state. What was measured is sealed; ids and times stand clear. data-path.md section 11."""

from typing import Final

import sqlalchemy as sa
from didymos_kit.database.outbox import outbox_tables

METADATA: Final = sa.MetaData()
KIT: Final = outbox_tables(METADATA)

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


def _parcels(name: str, *more: "sa.Column[bool]") -> sa.Table:
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
        *more,
        sa.PrimaryKeyConstraint("part", "source_offset", "idx", name=f"{name}_pkey"),
    )  # fmt: skip


FOLDED: Final = sa.Column("folded", sa.Boolean, nullable=False, server_default=sa.false())  # its series hold it
PARCELS: Final = _parcels("reading_parcel", FOLDED)
HELD: Final = _parcels("held_parcel")
sa.Index("reading_parcel_twin", PARCELS.c.twin, PARCELS.c.t_min_us)
FRESH: Final = sa.text("not folded")  # in these words, so that SQLite sees that the index is meant
sa.Index(
    "reading_parcel_fresh", PARCELS.c.part, PARCELS.c.twin, PARCELS.c.t_min_us,
    sqlite_where=FRESH, postgresql_where=FRESH,
)  # fmt: skip
IS_FOLDED: Final = sa.text("folded")
sa.Index("reading_parcel_age", PARCELS.c.key_epoch, sqlite_where=IS_FOLDED, postgresql_where=IS_FOLDED)
SERIES: Final = sa.Table(  # settled readings of a property in a bucket, sealed as columns
    "series", METADATA,
    sa.Column("twin", sa.Text, nullable=False),
    sa.Column("property", sa.Text, nullable=False),
    sa.Column("bucket_us", sa.BigInteger, nullable=False),
    sa.Column("t_min_us", sa.BigInteger, nullable=False),
    sa.Column("t_max_us", sa.BigInteger, nullable=False),
    sa.Column("readings", sa.Integer, nullable=False),
    sa.Column("key_epoch", sa.Integer, nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("twin", "property", "bucket_us", name="series_pkey"),
)  # fmt: skip
sa.Index("series_age", SERIES.c.key_epoch)
ROLLUPS: Final = sa.Table(  # a chunk of entries of one step, sealed
    "rollup", METADATA,
    sa.Column("twin", sa.Text, nullable=False),
    sa.Column("property", sa.Text, nullable=False),
    sa.Column("step_us", sa.BigInteger, nullable=False),
    sa.Column("bucket_us", sa.BigInteger, nullable=False),
    sa.Column("key_epoch", sa.Integer, nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("twin", "property", "step_us", "bucket_us", name="rollup_pkey"),
)  # fmt: skip
sa.Index("rollup_age", ROLLUPS.c.step_us, ROLLUPS.c.key_epoch)
FORECASTS: Final = sa.Table(  # the last one of a property, sealed
    "forecast", METADATA,
    sa.Column("twin", sa.Text, nullable=False),
    sa.Column("property", sa.Text, nullable=False),
    sa.Column("at_us", sa.BigInteger, nullable=False),
    sa.Column("horizon_us", sa.BigInteger, nullable=False),
    sa.Column("made_at_us", sa.BigInteger, nullable=False),
    sa.Column("model_id", sa.Text, nullable=False),
    sa.Column("personal", sa.Boolean, nullable=False),
    sa.Column("key_epoch", sa.Integer, nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    sa.PrimaryKeyConstraint("twin", "property", name="forecast_pkey"),
)  # fmt: skip
sa.Index("forecast_age", FORECASTS.c.key_epoch)
TWINS: Final = sa.Table(
    "twin", METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("part", sa.Integer, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("lifecycle", sa.SmallInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("span_max_us", sa.BigInteger, nullable=False),
    sa.Column("keep_days", sa.Integer, nullable=False, server_default="0"),
    sa.Column("place", sa.Text, nullable=False, server_default=""),  # the searchable property that says where it is
    sa.Column("cell", sa.BigInteger, nullable=True),  # Morton code of that place
    sa.Column("lon", sa.Double, nullable=True),
    sa.Column("lat", sa.Double, nullable=True),
)  # fmt: skip
sa.Index("twin_owner", TWINS.c.owner, TWINS.c.id)
sa.Index("twin_profile", TWINS.c.profile, TWINS.c.id)
sa.Index("twin_cell", TWINS.c.cell)
SHORTENED: Final = sa.text("keep_days > 0")
sa.Index("twin_keep", TWINS.c.id, sqlite_where=SHORTENED, postgresql_where=SHORTENED)
ATTRIBUTES: Final = sa.Table(  # values of searchable properties, in clear
    "twin_attribute", METADATA,
    sa.Column("twin", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("number", sa.Double, nullable=True),
    sa.Column("text", sa.Text, nullable=True),
    sa.PrimaryKeyConstraint("twin", "name", name="twin_attribute_pkey"),
)  # fmt: skip
sa.Index("twin_attribute_number", ATTRIBUTES.c.name, ATTRIBUTES.c.number)
sa.Index("twin_attribute_text", ATTRIBUTES.c.name, ATTRIBUTES.c.text)
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
PROFILE_NAMES: Final = sa.Table(  # without version: all versions of a name come from one signer
    "profile_name", METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("signer", sa.Text, nullable=False),
)  # fmt: skip
PROFILES: Final = sa.Table(
    "profile", METADATA,
    sa.Column("id", sa.Text, primary_key=True),  # id@version
    sa.Column("document", sa.LargeBinary, nullable=False),  # canonical JSON with its proof
    sa.Column("published_at_us", sa.BigInteger, nullable=False),
)  # fmt: skip
