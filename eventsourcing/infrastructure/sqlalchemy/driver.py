"""What the library has to know of a database and its driver, beyond what SQLAlchemy knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Column, Dialect, Engine, Insert, Table, column, insert
from sqlalchemy import table as table_clause
from sqlalchemy.engine import URL
from sqlalchemy.types import TypeEngine

from eventsourcing.exceptions import PersistenceError
from eventsourcing.infrastructure.sqlalchemy.gaps import GapRule
from eventsourcing.infrastructure.sqlalchemy.statements import Write

if TYPE_CHECKING:
    from eventsourcing.infrastructure.sqlalchemy.datastore import (
        SQLAlchemyDatastore,
        SQLAlchemySettings,
    )
    from eventsourcing.infrastructure.sqlalchemy.feedstatements import FeedStatements

__all__ = ["Driver"]


class Driver:
    """The base of what is known of SQLite, PostgreSQL (psycopg 3) and MySQL/MariaDB (PyMySQL).

    Connections and cursors are those of the driver. One instance serves one datastore.

    Attributes:
        name: SQLAlchemy's name of the driver, such as ``postgresql+psycopg``.
        extra: the extra of this package that installs the driver.
        begin: the SQL that begins a transaction of the library's own.
        ddl_commits: whether DDL commits the transaction that it is executed in.
        checks_writes: whether :meth:`check` has something to check.
        batches: whether a write of many rows may be given to the driver's ``executemany``.
        takes_columns: whether :meth:`insert_many` takes an array for each column, and so is one
            statement, rather than a row for each execution.
        adapts_none: whether None takes the driver long, so that statements are to say NULL instead;
            only for a driver that inserts with :meth:`insert_one` alone.
        keeps_cursors: whether it is worth while to insert with the cursor that has inserted before.
        takes_turns: whether a fork has to wait until no thread is in the driver.
        commits_groups: whether group commit is on by default.
        confirmation: SQL whose commit waits until earlier ones are as safe as those that were
            waited for; None where nobody sees a commit before it is.
        doubtful: ids of connections with a commit for which the server has not waited to the end.
        lanes, shares_lock_timeouts: see :class:`GroupCommit`.
        fences_gaps: whether a reader of the feed closes gaps with rows, so that a saver may find
            its number taken.
    """

    name: ClassVar[str]
    extra: ClassVar[str]
    begin: ClassVar[str] = "BEGIN"
    ddl_commits: ClassVar[bool] = False
    checks_writes: ClassVar[bool] = False
    takes_columns: ClassVar[bool] = False
    adapts_none: ClassVar[bool] = False
    keeps_cursors: ClassVar[bool] = False
    takes_turns: ClassVar[bool] = False
    commits_groups: ClassVar[bool] = False
    lanes: ClassVar[int] = 1
    shares_lock_timeouts: ClassVar[bool] = False
    fences_gaps: ClassVar[bool] = False
    confirmation: ClassVar[str | None] = None
    batches: bool = True

    def __init__(self) -> None:
        self.doubtful: set[int] = set()

    def insert_one(self, table: Table, columns: Sequence[Column[Any]]) -> Insert:
        """Returns what inserts a row, with the values of the columns in their order."""
        # SQLAlchemy names a table's columns in the table's own order, which need not be this.
        named = [column(c.name, c.type) for c in columns]
        return insert(table_clause(table.name, *named, schema=table.schema))

    def insert_many(self, table: Table, columns: Sequence[Column[Any]]) -> Insert:
        """Returns what inserts rows in the order in which they are given."""
        return self.insert_one(table, columns)

    def insert_shared(self, table: Table, columns: Sequence[Column[Any]]) -> Insert:
        """Returns what inserts rows of several savers, so that none waits long for one of them."""
        return self.insert_many(table, columns)

    def quicker(self, sql: str, dialect: Dialect) -> str:
        """Returns what :meth:`insert_one` or :meth:`insert_many` was compiled to, with the
        placeholders for which the driver has the least to do.
        """
        return sql

    def reads_ahead(self, dialect: Dialect) -> bool:
        """Tells whether a thread that fetches rows leaves the interpreter to another meanwhile."""
        return False

    def type_code(self, column_type: TypeEngine[Any]) -> Any:
        """Returns by what the driver names a column's type, if SQLAlchemy has to know it."""
        return None

    def classify(self, error: BaseException) -> type[PersistenceError]:
        """Returns the class of error to raise for one of the driver's."""
        raise NotImplementedError

    def message(self, error: BaseException) -> str:
        """Returns what the database said, without values of a row."""
        return str(error) or type(error).__name__

    def violated_key(self, error: BaseException) -> str | frozenset[str] | None:
        """Returns which unique key was violated, if the database tells: name, or columns."""
        raise NotImplementedError

    def is_in_memory(self, url: URL) -> bool:
        """Tells whether the database is lost together with its connection."""
        return False

    def complete(self, url: URL) -> URL:
        """Returns the URL with what may be left out of it."""
        return url

    def connect_args(self, settings: SQLAlchemySettings, url: URL) -> dict[str, Any]:
        """Returns the driver's arguments for the settings. What the URL says takes precedence."""
        raise NotImplementedError

    def on_connect(self, connection: Any, settings: SQLAlchemySettings) -> None:
        """Prepares a new connection of the library's own."""

    def clear(self, connection: Any) -> None:
        """Ends a transaction that an interrupt has left open on a connection of the pool."""

    def is_autocommit(self, connection: Any) -> bool:
        """Tells whether each statement on the caller's connection commits itself."""
        return False

    def begin_callers(self, connection: Any) -> None:
        """Begins the caller's transaction, where the driver has put that off."""

    def prepare(self, engine: Engine, cursor: Any, write: Write) -> Write:
        """Returns what to execute for a write on a connection of the library's own.

        Raises:
            ValueTooLarge, ProgrammingError: as :meth:`check`.
        """
        return write

    def insert_rows(self, cursor: Any, write: Write) -> None:
        """Inserts the many rows of a write in the transaction that is open on the cursor."""
        if self.batches:
            cursor.executemany(write.sql, write.parameters)
        else:
            for row in write.parameters:
                cursor.execute(write.sql, row)

    def check(self, engine: Engine, cursor: Any, write: Write) -> None:
        """Refuses what the server would not take, or would alter.

        Raises:
            ValueTooLarge: a row is larger than the server takes.
            ProgrammingError: the server would cut long values.
        """

    def gap_rule(self, statements: FeedStatements, datastore: SQLAlchemyDatastore) -> GapRule:
        """Returns what is to be known about gaps in the feed of a table."""
        return GapRule(statements, datastore)

    def check_commit(self, connection: Any) -> None:
        """Refuses to take a commit for granted that the server has not waited for.

        Raises:
            OutcomeUnknown: the last commit over this connection is one.
        """

    def forget(self, engine: Engine) -> None:
        """Forgets what was learnt of the server, which may come back with other settings."""
