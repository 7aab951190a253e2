"""Keeps snapshots in a table beside that of the events."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import UUID

from sqlalchemy import Delete, Insert, Integer, Select, Table, bindparam, delete, insert, select

from eventsourcing.infrastructure.recordmanager import MAX_POSITION
from eventsourcing.infrastructure.snapshotrecords import SnapshotRecord, SnapshotRecords
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.statements import Write, positional
from eventsourcing.utils.ids import id_to_text

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
        sql, names, constants = self._newest
        last = MAX_POSITION if version is None else min(version, MAX_POSITION)
        values = constants | {"sequence": id_to_text(originator_id), "last": last}
        rows = self._datastore.fetch(sql, tuple(values[name] for name in names))
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

    @cached_property
    def _newest(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        c = self._table.c
        query: Select[Any] = (
            select(*(c[name] for name in SnapshotRecord._fields[1:]))
            .where(c.originator_id == bindparam("sequence"))
            .where(c.originator_version <= bindparam("last"))
            .order_by(c.originator_version.desc())
            .limit(bindparam("limit", 1, type_=Integer))
        )
        compiled: Any = query.compile(dialect=self._dialect)
        return str(compiled), tuple(compiled.positiontup), dict(compiled.params)

    def _write(self, statement: Insert | Delete, values: dict[str, Any]) -> Write:
        compiled: Any = statement.compile(dialect=self._dialect)
        return Write(str(compiled), tuple(values[name] for name in compiled.positiontup))
