"""The tables of stored events and snapshots as classes of SQLAlchemy's ORM, for queries and for
Alembic.

The library itself writes and reads without the ORM.
"""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase, Mapped

from eventsourcing.infrastructure.sqlalchemy.tables import (
    stored_events_table,
    stored_snapshots_table,
)

__all__ = ["Base", "StoredEventRecord", "StoredSnapshotRecord"]


class Base(DeclarativeBase):
    """Its ``metadata`` describes the library's own tables under their default names."""


class StoredEventRecord(Base):
    """A row of the default table ``stored_events``.

    On MariaDB and MySQL it is no event if its topic is empty (docs: explanation/feed)::

        select(StoredEventRecord).where(StoredEventRecord.topic != "")
    """

    __table__ = stored_events_table(metadata=Base.metadata)

    id: Mapped[int]
    originator_id: Mapped[object]
    originator_version: Mapped[int]
    topic: Mapped[str]
    state: Mapped[str]
    event_id: Mapped[str]
    correlation_id: Mapped[str | None]
    causation_id: Mapped[str | None]


class StoredSnapshotRecord(Base):
    """A row of the default table ``stored_snapshots``."""

    __table__ = stored_snapshots_table(metadata=Base.metadata)

    originator_id: Mapped[object]
    originator_version: Mapped[int]
    topic: Mapped[str]
    state: Mapped[str]
    event_id: Mapped[str]
    fingerprint: Mapped[str]
    digest: Mapped[str]
