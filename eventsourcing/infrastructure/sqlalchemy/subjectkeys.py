"""The keys of subjects in a table, which belongs to one table of events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    MetaData,
    String,
    Table,
    bindparam,
    func,
    insert,
    select,
    type_coerce,
    update,
)

from eventsourcing.exceptions import SequencedItemConflict
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.projectiontables import DatabaseClock
from eventsourcing.infrastructure.sqlalchemy.statements import Query, Write, compiled, positional
from eventsourcing.infrastructure.sqlalchemy.tables import OriginatorId, State, name_beside
from eventsourcing.infrastructure.subjectkeys import SubjectKey, SubjectKeys

__all__ = ["SQLAlchemySubjectKeys", "subject_keys_table"]

PAGE = 500


def subject_keys_table(
    events: str = "stored_events", schema: str | None = None, metadata: MetaData | None = None
) -> Table:
    """Returns the definition of the table of the keys for a table of events.

    It is called ``subject_keys`` for ``stored_events``, and else as the table of events with
    ``_subject_keys`` after it.

    Args:
        events: the name of the table of events.
        schema: that of the table of events.
        metadata: where the table is registered, for Alembic; a new one by default.

    Raises:
        ProgrammingError: a name is not a plain identifier.
    """
    return Table(
        name_beside(events, schema, "subject_keys", "subject_keys"),
        MetaData() if metadata is None else metadata,
        Column("subject", OriginatorId, primary_key=True),
        Column("subject_key", State),  # none: forgotten
        # by the database's clock, in milliseconds since 1970
        Column("created_at", BigInteger, nullable=False),
        Column("forgotten_at", BigInteger),
        schema=schema,
    )


class SQLAlchemySubjectKeys(SubjectKeys):
    """Keeps keys in a table.

    Args:
        datastore: the database of the events. In a transaction of the caller's, what is done here
            is the caller's to commit.
        table: as made by :func:`subject_keys_table`.
        creates_table: whether to create the table when it is first needed.
    """

    def __init__(
        self, datastore: SQLAlchemyDatastore, table: Table, creates_table: bool = True
    ) -> None:
        self._datastore = datastore
        self._table = table
        self._has_table = not creates_table
        c = self._table.c
        # As they are in the row: the ids are in their stored form already.
        columns = [type_coerce(c.subject, String), c.subject_key, c.forgotten_at]
        subject = type_coerce(c.subject, String) == bindparam("subject", type_=String)
        row = {"subject": bindparam("subject", type_=String), "created_at": DatabaseClock()}
        now = DatabaseClock()
        dialect = positional(datastore.dialect)

        def make(statement: Any) -> Query:
            return compiled(statement, dialect)

        self._find = make(select(*columns).where(subject))
        self._page = make(
            select(*columns)
            .where(type_coerce(c.subject, String) > bindparam("after", type_=String))
            .order_by(c.subject)
            .limit(PAGE)
        )
        self._add = make(insert(self._table).values(**row, subject_key=bindparam("key")))
        self._record = make(insert(self._table).values(**row, forgotten_at=now))
        self._exchange = make(
            update(self._table)
            .where(subject, c.subject_key == bindparam("old"))
            .values(subject_key=bindparam("key"))
        )
        self._destroy = make(
            update(self._table)
            .where(subject)
            .values(subject_key=None, forgotten_at=func.coalesce(c.forgotten_at, now))
        )

    def find(self, subject: str) -> SubjectKey | None:
        """See :meth:`SubjectKeys.find`."""
        self._set_up()
        rows = self._datastore.fetch(*self._find.with_values(subject=subject))
        return _key_of(rows[0]) if rows else None

    def add(self, subject: str, key: str) -> bool:
        """See :meth:`SubjectKeys.add`."""
        self._set_up()
        try:
            self._datastore.execute(Write(*self._add.with_values(subject=subject, key=key)))
        except SequencedItemConflict:
            return False
        return True

    def exchange(self, old: SubjectKey, key: str) -> None:
        """See :meth:`SubjectKeys.exchange`."""
        values = self._exchange.with_values(subject=old.subject, old=old.key, key=key)
        self._datastore.execute(Write(*values))

    def forget(self, subject: str) -> None:
        """See :meth:`SubjectKeys.forget`."""
        self._set_up()
        try:
            self._datastore.execute(Write(*self._record.with_values(subject=subject)))
        except SequencedItemConflict:
            self._datastore.execute(Write(*self._destroy.with_values(subject=subject)))

    def all(self) -> Iterator[SubjectKey]:
        """See :meth:`SubjectKeys.all`."""
        self._set_up()
        after = ""
        while rows := self._datastore.fetch(*self._page.with_values(after=after)):
            yield from map(_key_of, rows)
            after = rows[-1][0]

    def _set_up(self) -> None:
        if not self._has_table:
            self._datastore.setup_table(self._table)
            self._has_table = True


def _key_of(row: Sequence[Any]) -> SubjectKey:
    subject, key, at = row
    forgotten_at = None if at is None else datetime.fromtimestamp(at / 1000, UTC)
    return SubjectKey(subject, key, forgotten_at)
