"""How a gap in the feed is made final on MariaDB and MySQL: the reader fences it.

The reader inserts a row of its own at the missing number. If a writer that is still open has a row
there, that fails at once; the gap stays open, and the feed ends before it. If the writer has
committed, its row stays, and is read. And where no row is, the fence is one from now on: a
writer that has taken the number, and comes late, finds it taken and takes another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, String, Uuid

from eventsourcing.exceptions import (
    DatabaseUnavailable,
    LockTimeout,
    OutcomeUnknown,
    PersistenceError,
    ProgrammingError,
    TransactionConflict,
)
from eventsourcing.infrastructure.feed import Holder
from eventsourcing.infrastructure.sqlalchemy.feedstatements import NO_TOPIC
from eventsourcing.infrastructure.sqlalchemy.gaps import GapRule
from eventsourcing.infrastructure.sqlalchemy.statements import Write

if TYPE_CHECKING:
    from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemyDatastore
    from eventsourcing.infrastructure.sqlalchemy.feedstatements import FeedStatements

__all__ = ["MySQLGaps"]

MOST_FENCES = 10_000  # rows of one statement
# MySQL takes the first part for a comment, and waits for its own lock time-out.
_FENCE = (
    "/*M! SET STATEMENT innodb_lock_wait_timeout=0 FOR */ INSERT IGNORE INTO {table} ({columns})"
    " VALUES "
)
_HOLDERS = """
SELECT trx_mysql_thread_id, TIMESTAMPDIFF(MICROSECOND, trx_started, NOW(6)) / 1000000
FROM information_schema.innodb_trx WHERE trx_rows_modified > 0 ORDER BY trx_started
"""


class MySQLGaps(GapRule):
    """The rule of MariaDB and MySQL.

    Raises:
        ProgrammingError: the column of the sequences' ids takes no text, and so no fence.
    """

    def __init__(self, statements: FeedStatements, datastore: SQLAlchemyDatastore) -> None:
        super().__init__(statements, datastore)
        _check_takes_text(statements.table.c[statements.fields[0]])
        prepare = datastore.dialect.identifier_preparer
        self._table = prepare.format_table(statements.table).replace("%", "%%")
        self._column = prepare.quote(statements.column.name).replace("%", "%%")
        self._has_event_id = "event_id" in statements.fields
        names = [*statements.fields[:4], *(["event_id"] if self._has_event_id else [])]
        others = (prepare.quote(name).replace("%", "%%") for name in names)
        self._fence_sql = _FENCE.format(
            table=self._table, columns=", ".join([self._column, *others])
        )

    def settle(self, first: int, last: int, seen: int) -> int:
        """See :class:`GapRule`."""
        position = max(first - 1, self._settled)
        while position < last:
            settled = self._step(position + 1, last)
            if settled == position:
                break
            position = self._remember(first, settled)
        return position

    def holders(self) -> tuple[Holder, ...]:
        """See :class:`GapRule`. All that have written something: the server does not tell what.
        None, without the privilege to see them.
        """
        try:
            found = self._datastore.fetch(_HOLDERS, ())
        except DatabaseUnavailable:
            raise
        except PersistenceError:
            return ()
        return tuple(Holder(pid or None, float(age)) for pid, age in found)

    def _step(self, first: int, last: int) -> int:
        """Returns a position up to which all are settled: ``first - 1`` if there is a gap that
        is held open.
        """
        if self._is_full(first, min(last, first + MOST_FENCES - 1)):
            return min(last, first + MOST_FENCES - 1)
        following = next(iter(self._numbers(first, 2**63 - 1, 1)), last + 1)
        if following - first > MOST_FENCES and self._is_quiet(first, following - 1):
            return following - 1
        last = min(last, first + MOST_FENCES - 1)
        visible = set(self._numbers(first, last, MOST_FENCES))
        if visible and max(visible) == first + len(visible) - 1:
            return max(visible)  # what follows is one gap, perhaps a long one
        missing = [number for number in range(first, last + 1) if number not in visible]
        if not self._fence(missing):
            for run in _runs(missing):
                if not self._fence(run):
                    return run[0] - 1
        if not self._is_full(first, last):
            raise ProgrammingError(
                f"a gap in the feed cannot be closed: the table {self._table} takes no row with"
                f" an empty topic and state, at a number from {first} to {last}"
            )
        return last

    def _fence(self, missing: Sequence[int]) -> bool:
        """Closes a gap, and tells whether that is done; not if a writer has a row in it."""
        own = ", '{0}'" if self._has_event_id else ""
        row = f"({{0}}, '', {{0}}, '{NO_TOPIC}', ''{own})"
        write = Write(self._fence_sql + ", ".join(map(row.format, missing)), ())
        try:
            try:
                self._datastore.execute(write)
            except OutcomeUnknown:
                self._datastore.execute(write)  # a fence that is there already is left alone
        except (LockTimeout, TransactionConflict):
            return False
        except OutcomeUnknown as error:  # which is a saver's matter, and this is a reading
            raise DatabaseUnavailable(str(error)) from error
        return True

    def _is_quiet(self, first: int, last: int) -> bool:
        """Tells whether at this moment nobody is writing to the table who could fill the gap, so
        that it needs no fence.

        The lock is had at once or not at all, and nobody can wait for it for longer than the
        next statement takes. It shows that no transaction that writes to the table is open,
        unless it has been prepared and left alone; the rows of those are locked one by one.
        Not on a cluster, where others write on other servers.
        """
        gap = f"FROM {self._table} WHERE {self._column} BETWEEN {first} AND {last}"
        try:
            with self._datastore.reading() as connection:
                connection.exec_driver_sql(f"LOCK TABLES {self._table} READ NOWAIT")
                try:
                    locked = f"SELECT {self._column} {gap} LOCK IN SHARE MODE NOWAIT"
                    visible = connection.exec_driver_sql(locked).fetchall()
                    (cluster,) = connection.exec_driver_sql("SELECT @@wsrep_on").one()
                finally:
                    connection.exec_driver_sql("UNLOCK TABLES")
        except DatabaseUnavailable:
            raise
        except PersistenceError:
            return False  # somebody is writing, or the server knows no such lock
        return not visible and not cluster


def _check_takes_text(column: Column[Any]) -> None:
    """Refuses a column in which a fence would be taken for a row of a sequence: of the empty text
    the server would make a zero.
    """
    if not isinstance(getattr(column.type, "impl_instance", column.type), String | Uuid):
        raise ProgrammingError(
            f"table {column.table} has no feed on MariaDB and MySQL: its column {column.name!r}"
            " takes no text, and so no row that closes a gap"
        )


def _runs(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yields numbers that follow each other, together."""
    begin = 0
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            yield numbers[begin:at]
            begin = at
