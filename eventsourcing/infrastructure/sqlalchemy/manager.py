"""The record manager for everything that SQLAlchemy connects to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Index, PrimaryKeyConstraint, Table, UniqueConstraint

from eventsourcing.exceptions import (
    ConstraintViolation,
    ProgrammingError,
    SequencedItemConflict,
    TransactionConflict,
)
from eventsourcing.infrastructure.feed import Feed
from eventsourcing.infrastructure.recordmanager import EVERYTHING, Bounds, RecordManager
from eventsourcing.infrastructure.sequenceditem import StoredEvent
from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
from eventsourcing.infrastructure.sqlalchemy.feed import SQLAlchemyFeed
from eventsourcing.infrastructure.sqlalchemy.groupcommit import GroupCommit
from eventsourcing.infrastructure.sqlalchemy.snapshots import SQLAlchemySnapshotRecords
from eventsourcing.infrastructure.sqlalchemy.statements import Statements
from eventsourcing.infrastructure.sqlalchemy.tables import (
    stored_events_table,
    stored_snapshots_table,
)
from eventsourcing.infrastructure.subjectkeys import SubjectKeys

__all__ = ["SQLAlchemyRecordManager", "table_of"]

FIRST_PAGE = 100
LARGEST_PAGE = 1000
MOST_FENCED = 100  # attempts of a save whose numbers were taken
PAGE_BYTES = 16 * 2**20  # about as much as a page may hold, going by the one before


class SQLAlchemyRecordManager(RecordManager):
    """Keeps items in one table.

    Args:
        datastore: the database.
        record_class: a ``Table``, or a class that is mapped to one: with a column for each
            field of the item class, and a unique constraint over the first two of them. By
            default the table ``stored_events``.
        item_class: a named tuple class.

    Attributes:
        inline: is given the items of each save before its transaction, and returns what is given
            the connection once they are written, to write more in it. Saves share none then.

    Raises:
        ProgrammingError: the table lacks a column, or the constraint.
    """

    inline: Callable[[Sequence[tuple[Any, ...]]], Callable[[Connection], None]] | None = None

    def __init__(
        self,
        datastore: SQLAlchemyDatastore,
        record_class: Table | type | None = None,
        item_class: type[tuple[Any, ...]] = StoredEvent,
    ) -> None:
        self.datastore = datastore
        self.item_class = item_class
        self.can_repeat = self.commits = datastore.can_repeat
        self.table = table_of(record_class)
        fields: tuple[str, ...] = item_class._fields  # type: ignore[attr-defined]
        self._statements = Statements(self.table, fields, datastore.dialect, datastore.driver)
        self._position = fields[:2]
        self._position_keys = _unique_keys(self.table, fields[:2])
        self._groups: GroupCommit | None = None
        if datastore.commits_groups:
            driver = datastore.driver
            self._groups = GroupCommit(
                self._write, driver.lanes, driver.shares_lock_timeouts, datastore.lock_timeout
            )
        if datastore.notifies:
            # Imported here: few ask for it.
            from eventsourcing.infrastructure.sqlalchemy.postgresqlnotify import (
                PostgreSQLAnnouncements,
            )

            self.announcements = PostgreSQLAnnouncements(datastore, self.table.name)

    def setup_table(self) -> None:
        """Creates the table if it does not exist.

        Raises:
            ProgrammingError: it exists, without a unique key over the positions.
            PersistenceError: it cannot be created.
        """
        self.datastore.setup_table(self.table, self._position)

    def record(self, items: Sequence[tuple[Any, ...]]) -> None:
        """See :meth:`RecordManager.record`."""
        if not items:
            return
        rows = self._statements.rows(items)
        try:
            if self.inline is not None:
                self._write(rows, work=self.inline(items))
            elif self._groups is None:
                self._write(rows)
            else:
                self._groups.record(rows)
        except SequencedItemConflict as conflict:
            if not self._is_about_position(conflict, items):
                # without the cause, which may show values of the row
                raise ConstraintViolation(str(conflict)) from None
            raise

    def _write(
        self,
        rows: Sequence[tuple[Any, ...]],
        is_shared: bool = False,
        work: Callable[[Connection], None] | None = None,
    ) -> None:
        for _ in range(MOST_FENCED):
            try:
                self.datastore.execute(self._statements.write(rows, is_shared), work)
                return
            except SequencedItemConflict as conflict:
                if not self._is_fenced(conflict):
                    raise
        raise TransactionConflict(f"readers of the feed took {MOST_FENCED} numbers of this save")

    def get_items(
        self, sequence_id: object, bounds: Bounds = EVERYTHING
    ) -> Iterator[tuple[Any, ...]]:
        """See :meth:`RecordManager.get_items`."""
        return self.get_states(sequence_id, bounds, lambda: False)

    def get_states(
        self,
        sequence_id: object,
        bounds: Bounds = EVERYTHING,
        are_enough: Callable[[], bool] = lambda: True,
    ) -> Iterator[tuple[Any, ...]]:
        """See :meth:`RecordManager.get_states`."""
        remaining, page = bounds.limit, FIRST_PAGE
        while bounds.first <= bounds.last and (remaining is None or remaining > 0):
            size = page if remaining is None else min(page, remaining)
            item_class = tuple if are_enough() else self.item_class
            sql, parameters = self._statements.read(sequence_id, bounds, size, item_class)
            rows = self.datastore.fetch(sql, parameters)
            yield from self._statements.items(sequence_id, rows, item_class)
            if len(rows) < size:
                return
            if remaining is not None:
                remaining -= size
            page = _next_page(rows)
            last = rows[-1][0]
            del rows  # not to hold two pages at once
            bounds = bounds._replace(**{"gt" if bounds.is_ascending else "lt": last})

    def feed_position(self, sequence_id: object, position: int) -> int | None:
        """See :meth:`RecordManager.feed_position`. Reads one row by the key of the positions."""
        rows = self.datastore.fetch(*self._statements.locate(sequence_id, position))
        return int(rows[0][0]) if rows else None

    def feed(self) -> Feed:
        """See :meth:`RecordManager.feed`."""
        return SQLAlchemyFeed(self.datastore.beside(), self.table, self.item_class)

    def snapshots(self, setup_table: bool = True) -> SQLAlchemySnapshotRecords:
        """See :meth:`RecordManager.snapshots`."""
        table = stored_snapshots_table(self.table.name, self.table.schema)
        records = SQLAlchemySnapshotRecords(self.datastore, table)
        if setup_table:
            records.setup_table()
        return records

    def subject_keys(self, creates_table: bool = True) -> SubjectKeys:
        """See :meth:`RecordManager.subject_keys`. In a table of their own."""
        # Imported here: most applications have no personal data that is marked.
        from eventsourcing.infrastructure.sqlalchemy.subjectkeys import (
            SQLAlchemySubjectKeys,
            subject_keys_table,
        )

        table = subject_keys_table(self.table.name, self.table.schema)
        return SQLAlchemySubjectKeys(self.datastore, table, creates_table)

    def confirm(self) -> None:
        """See :meth:`RecordManager.confirm`. In a caller's transaction, its commit waits."""
        self.datastore.confirm()

    def when_committed(
        self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
    ) -> None:
        """See :meth:`RecordManager.when_committed`."""
        self.datastore.when_committed(callback, or_else)

    def close(self) -> None:
        """Closes the datastore. What is left to be told to other processes is told before."""
        if self.announcements is not None:
            self.announcements.close()
        self.datastore.close()

    def _is_fenced(self, conflict: SequencedItemConflict) -> bool:
        """Tells whether a reader of the feed has closed the gap at a number that was to be ours."""
        return (
            self.datastore.driver.fences_gaps
            and "PRIMARY" not in self._position_keys
            and self.datastore.violated_key(conflict) == "PRIMARY"
        )

    def _is_about_position(
        self, conflict: SequencedItemConflict, items: Sequence[tuple[Any, ...]]
    ) -> bool:
        """Tells the key of the positions from other unique keys of the table."""
        violated = self.datastore.violated_key(conflict)
        if violated in self._position_keys or violated == frozenset(self._position):
            return True
        if isinstance(violated, frozenset):
            return False
        # A name that is not in our definition of the table, which a migration may have made.
        return any(
            True
            for sequence_id, position, *_ in items
            for _ in self.get_items(sequence_id, Bounds(gte=position, lte=position))
        )


def _next_page(rows: Sequence[Sequence[Any]]) -> int:
    """Returns how many rows to read next, going by the size of some that were read."""
    sample = rows[::20]
    size = sum(len(row[2]) for row in sample if isinstance(row[2], str | bytes)) // len(sample)
    return min(LARGEST_PAGE, max(1, PAGE_BYTES // max(1, size)))


def table_of(record_class: Table | type | None) -> Table:
    """Returns the table that a record class stands for.

    Raises:
        ProgrammingError: it stands for none.
    """
    if record_class is None:
        return stored_events_table()
    table = getattr(record_class, "__table__", record_class)
    if not isinstance(table, Table):
        raise ProgrammingError(
            f"record_class= takes a Table or a mapped class, not {record_class!r}"
        )
    return table


def _unique_keys(table: Table, columns: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of what keeps the positions of a sequence unique."""
    wanted = set(columns)
    found: list[UniqueConstraint | Index | PrimaryKeyConstraint] = [
        *(c for c in table.constraints if isinstance(c, UniqueConstraint)),
        *(i for i in table.indexes if i.unique),
        table.primary_key,
    ]
    keys = [key for key in found if {column.name for column in key.columns} == wanted]
    if not keys:
        raise ProgrammingError(
            f"table {table.fullname!r} needs a unique constraint over {', '.join(columns)}:"
            " without it, two savers could take the same position"
        )
    # MySQL calls a key that was given no name after its first column.
    return tuple(
        "PRIMARY" if key is table.primary_key else str(key.name or columns[0]) for key in keys
    )
