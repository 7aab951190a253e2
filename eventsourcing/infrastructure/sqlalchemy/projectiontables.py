"""The tables of projections: how far each has come, who works on it, and what could not be done.

Times are milliseconds since 1970 by the database's own clock: those of machines differ.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)
from sqlalchemy.ext.compiler import compiles

from eventsourcing.infrastructure.sqlalchemy.tables import OriginatorId, State

__all__ = ["DatabaseClock", "checkpoints", "dead_letters", "metadata", "workers"]

metadata = MetaData()
"""Describes the three tables, for Alembic."""

_Name = String(63)
_Worker = String(255)

checkpoints = Table(
    "projections",
    metadata,
    Column("name", _Name, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("shard", Integer, primary_key=True, autoincrement=False),
    # Up to here, inclusive, each event of the shard has taken effect or was set aside.
    Column("position", BigInteger, nullable=False),
    Column("owner", _Worker),
    Column("token", BigInteger, nullable=False),  # counts the owners: the fence
    Column("lease_until", BigInteger, nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("is_live", Boolean, nullable=False),  # whether readers are shown this version
    Column("updated_at", BigInteger, nullable=False),
)

workers = Table(
    "projection_workers",
    metadata,
    Column("name", _Name, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("worker", _Worker, primary_key=True),
    Column("seen_until", BigInteger, nullable=False),
)

dead_letters = Table(
    "projection_dead_letters",
    metadata,
    Column("name", _Name, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("shard", Integer, nullable=False),
    Column("originator_id", OriginatorId, nullable=False),
    Column("originator_version", BigInteger, nullable=False),
    Column("topic", State, nullable=False),
    Column("error", State),  # none: the event waits behind one that failed
    Column("traceback", State),
    Column("attempts", Integer, nullable=False),
    Column("set_aside_at", BigInteger, nullable=False),
    Index("projection_dead_letters_stream", "name", "version", "originator_id"),
)


class DatabaseClock(ColumnElement[int]):
    """The time at which the statement is executed, by the database's clock."""

    type = BigInteger()
    inherit_cache = True


@compiles(DatabaseClock, "sqlite")
def _sqlite(element: DatabaseClock, compiler: Any, **kw: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(DatabaseClock, "postgresql")
def _postgresql(element: DatabaseClock, compiler: Any, **kw: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(DatabaseClock, "mysql", "mariadb")
def _mysql(element: DatabaseClock, compiler: Any, **kw: Any) -> str:
    return "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
