"""Keeps snapshots in a table beside that of the events."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Delete, Insert, Integer, Select, Table, bindparam, delete, insert, select

from eventsourcing.infrastructure.recordmanager import MAX_POSITION
from eventsourcing.infrastructure.snapshotrecords import SnapshotRecord, SnapshotRecords
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.statements import Query, Write, compiled, positional
from eventsourcing.utils.ids import id_to_text
from eventsourcing.utils.lazy import lazy

__all__ = ["SQLAlchemySnapshotRecords"]


class SQLAlchemySnapshotRecords(SnapshotRecords):
    """Keeps snapshots in one table.

    Args:
        datastore: the database; a transaction of the caller's, too.
        table: as made by :func:`stored_snapshots_table`.
    """

    def __init__(self, datastore: SQLAlchemyDatastore, table: Table) -> None:
        self.takes_when_loading = datastore.can_repeat
        self._datastore = datastore
        self._dialect = positional(datastore.dialect)
        self._table = table

    def setup_table(self) -> None:
        """Creates the table if it does not exist.

        Raises:
            PersistenceError: it cannot be created.
        """
        self._datastore.setup_table(self._table)

    def newest(self, originator_id: UUID | str | int, version: int | None) -> SnapshotRecord | None:
        """See :meth:`SnapshotRecords.newest`."""
        last = MAX_POSITION if version is None else min(version, MAX_POSITION)
        query = self._newest.with_values(sequence=id_to_text(originator_id), last=last)
        rows = self._datastore.fetch(*query)
        return SnapshotRecord(originator_id, *rows[0]) if rows else None

    def put(self, record: SnapshotRecord, replaced: int | None = None) -> None:
        """See :meth:`SnapshotRecords.put`."""
        row = record._asdict() | {"originator_id": id_to_text(record.originator_id)}
        added = self._write(insert(self._table), row)
        if replaced is None:
            self._datastore.execute(added)
            return
        c = self._table.c
        versions: list[Any] = [bindparam("replaced"), bindparam("added")]
        these = delete(self._table).where(
            c.originator_id == bindparam("sequence"), c.originator_version.in_(versions)
        )
        values = {
            "sequence": row["originator_id"],
            "replaced": replaced,
            "added": record.originator_version,
        }
        self._datastore.execute(
            self._write(these, values), lambda connection: added.execute_on(connection, False)
        )

    def delete(self, originator_id: UUID | str | int | None = None) -> None:
        """See :meth:`SnapshotRecords.delete`."""
        statement, values = delete(self._table), {}
        if originator_id is not None:
            statement = statement.where(self._table.c.originator_id == bindparam("sequence"))
            values = {"sequence": id_to_text(originator_id)}
        self._datastore.execute(self._write(statement, values))

    def delete_older(self, originator_id: UUID | str | int, keep: int) -> None:
        """See :meth:`SnapshotRecords.delete_older`."""
        c, sequence = self._table.c, id_to_text(originator_id)
        # In two steps: MySQL does not delete from what it selects from.
        rows = self._datastore.fetch(*self._next_after.with_values(sequence=sequence, keep=keep))
        if rows:
            these = delete(self._table).where(
                c.originator_id == bindparam("sequence"), c.originator_version <= bindparam("last")
            )
            self._datastore.execute(self._write(these, {"sequence": sequence, "last": rows[0][0]}))

    @lazy
    def _newest(self) -> Query:
        c = self._table.c
        query: Select[Any] = (
            select(*(c[name] for name in SnapshotRecord._fields[1:]))
            .where(c.originator_id == bindparam("sequence"))
            .where(c.originator_version <= bindparam("last"))
            .order_by(c.originator_version.desc())
            .limit(bindparam("limit", 1, type_=Integer))
        )
        return compiled(query, self._dialect)

    @lazy
    def _next_after(self) -> Query:
        """Selects the version that comes after so many, from the newest on."""
        c = self._table.c
        query: Select[Any] = (
            select(c.originator_version)
            .where(c.originator_id == bindparam("sequence"))
            .order_by(c.originator_version.desc())
            .limit(bindparam("limit", 1, type_=Integer))
            .offset(bindparam("keep", type_=Integer))
        )
        return compiled(query, self._dialect)

    def _write(self, statement: Insert | Delete, values: dict[str, Any]) -> Write:
        return Write(*compiled(statement, self._dialect).with_values(**values))
