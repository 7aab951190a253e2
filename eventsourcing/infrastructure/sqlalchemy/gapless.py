"""A feed whose positions have no gaps, for those who need that and accept what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    bindparam,
    func,
    insert,
    select,
    update,
)

from eventsourcing.exceptions import ProgrammingError, SequencedItemConflict
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.manager import SQLAlchemyRecordManager, table_of
from eventsourcing.infrastructure.sqlalchemy.statements import (
    Statements,
    Write,
    compiled,
    positional,
)

__all__ = ["GaplessRecordManager", "feed_counters_table"]


def feed_counters_table(schema: str | None = None, metadata: MetaData | None = None) -> Table:
    """Returns the definition of the table of counters, with a row for each table of events.

    Args:
        schema: that of the table of events.
        metadata: where the table is registered, for Alembic; a new one by default.
    """
    return Table(
        "feed_counters",
        MetaData() if metadata is None else metadata,
        Column("name", String(63), primary_key=True),
        Column("last", BigInteger, nullable=False),
        schema=schema,
    )


class GaplessRecordManager(SQLAlchemyRecordManager):
    """Numbers the events of the feed 1, 2, 3 and so on, without a gap.

    The last number is kept in a row of another table, which each save changes in its transaction.
    So savers wait for each other: from when one has its number until its transaction is over.
    In a transaction of the caller's that is until the caller commits. All who write to the table
    must use this class, or they take numbers twice, which is refused.

    Args:
        datastore, record_class, item_class: see :class:`SQLAlchemyRecordManager`.

    Raises:
        ProgrammingError: the table lacks a column, the constraint, or a column that counts rows.
    """

    def __init__(
        self,
        datastore: SQLAlchemyDatastore,
        record_class: Table | type | None = None,
        item_class: type[tuple[Any, ...]] = StoredEvent,
    ) -> None:
        fields: tuple[str, ...] = item_class._fields  # type: ignore[attr-defined]
        table = table_of(record_class)
        column = table.autoincrement_column
        if column is None or column.name in fields:
            raise ProgrammingError(f"table {table.fullname!r} has no column that counts rows")
        super().__init__(datastore, table, item_class)  # which may start a thread, so comes after
        dialect = datastore.dialect
        self._column = column
        self._numbered = Statements(self.table, (column.name, *fields), dialect, datastore.driver)
        self._counters = feed_counters_table(self.table.schema)
        c = self._counters.c
        mine = c.name == bindparam("table", self.table.name)
        take = update(self._counters).where(mine).values(last=c.last + bindparam("count"))
        self._take = compiled(take, positional(dialect))
        self._taken = compiled(select(c.last).where(mine), positional(dialect))

    def setup_table(self) -> None:
        """Creates the tables if they do not exist. The counter goes on from what is stored.

        Raises:
            ProgrammingError: the table of events exists, without a unique key over the positions.
            PersistenceError: they cannot be created.
        """
        super().setup_table()
        self.datastore.setup_table(self._counters)
        sql, parameters = self._taken.with_values()
        if self.datastore.fetch(sql, parameters):
            return
        last = select(func.coalesce(func.max(self._column), 0)).scalar_subquery()
        added = insert(self._counters).values(name=bindparam("table", self.table.name), last=last)
        query = compiled(added, positional(self.datastore.dialect))
        try:
            self.datastore.execute(Write(*query.with_values()))
        except SequencedItemConflict:
            return  # somebody else has just added it

    def _write(
        self,
        rows: Sequence[tuple[Any, ...]],
        is_shared: bool = False,
        work: Callable[[Connection], None] | None = None,
    ) -> None:
        def insert_numbered(connection: Connection) -> None:
            sql, parameters = self._taken.with_values()
            found = connection.exec_driver_sql(sql, parameters).first()
            if found is None:
                raise ProgrammingError(
                    f"table {self._counters.fullname!r} has no row for {self.table.name!r}: call"
                    " setup_table() once"
                )
            first = int(found[0]) - len(rows) + 1
            numbered = [(number, *row) for number, row in enumerate(rows, first)]
            self._insert(connection, self._numbered.write(numbered))
            if work is not None:
                work(connection)

        take = Write(*self._take.with_values(count=len(rows)))
        self.datastore.execute(take, insert_numbered)

    def _insert(self, connection: Connection, write: Write) -> None:
        driver = self.datastore.driver
        dbapi_connection: Any = connection.connection.dbapi_connection
        with closing(dbapi_connection.cursor()) as cursor:
            driver.check(connection.engine, cursor, write)
        write.execute_on(connection, driver.batches)
