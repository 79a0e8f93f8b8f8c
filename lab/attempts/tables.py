"""Owns the shape of the record. A change here needs a migration beside it; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

REVISION = "0001"
"""The migration that makes exactly these tables."""


class UtcTime(sa.types.TypeDecorator[datetime]):
    """A moment in UTC: SQLite keeps no time zone, so it is taken off and put on again."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.engine.Dialect) -> datetime | None:
        """Return the value as it is stored."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.engine.Dialect) -> datetime | None:
        """Return the value as it was given."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = sa.MetaData()

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("lab", sa.String(64), nullable=False),
    sa.Column("driver", sa.String(32), nullable=False),
    sa.Column("scenario", sa.String(128), nullable=False),
    sa.Column("seed", sa.BigInteger),
    sa.Column("started", UtcTime, nullable=False),
    sa.Column("ended", UtcTime),
    sa.Index("attempts_by_lab", "lab", "ended"),
)

gradings = sa.Table(
    "gradings",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("attempt_id", sa.Integer, sa.ForeignKey("attempts.id"), nullable=False, index=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("verdict", sa.String(8), nullable=False),
    sa.Column("points", sa.Integer, nullable=False),
    sa.Column("possible", sa.Integer, nullable=False),
    sa.Column("percent", sa.Integer, nullable=False),
    sa.Column("report", sa.JSON, nullable=False),
    sa.Column("bundle", sa.Text),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("attempt_id", sa.Integer, sa.ForeignKey("attempts.id"), nullable=False, index=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)
