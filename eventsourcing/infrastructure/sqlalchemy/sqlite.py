"""SQLite, through the standard library's driver."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine
from sqlalchemy.engine import URL

from eventsourcing.exceptions import (
    ConstraintViolation,
    DatabaseUnavailable,
    DiskFull,
    LockTimeout,
    PersistenceError,
    ReadOnlyDatabase,
    SequencedItemConflict,
    TableNotFound,
    TransactionConflict,
    ValueTooLarge,
)
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.statements import Write

if TYPE_CHECKING:
    from eventsourcing.infrastructure.sqlalchemy.datastore import SQLAlchemySettings

__all__ = ["SQLiteDriver"]

PAUSE = 0.01  # seconds
PARAMETERS = 700  # of a statement, for 100 rows and more; each SQLite takes 999

# An extended code, such as SQLITE_READONLY_DBMOVED, begins with its primary one.
_ERRORS: Mapping[str, type[PersistenceError]] = {
    "SQLITE_CONSTRAINT_UNIQUE": SequencedItemConflict,
    "SQLITE_CONSTRAINT_PRIMARYKEY": SequencedItemConflict,
    "SQLITE_CONSTRAINT_ROWID": SequencedItemConflict,
    "SQLITE_CONSTRAINT": ConstraintViolation,
    "SQLITE_BUSY_SNAPSHOT": TransactionConflict,
    "SQLITE_BUSY": LockTimeout,
    "SQLITE_LOCKED": LockTimeout,
    "SQLITE_READONLY": ReadOnlyDatabase,
    "SQLITE_FULL": DiskFull,
    "SQLITE_IOERR_SHMSIZE": DiskFull,  # WAL mode: there is no room for the shared index
    "SQLITE_CANTOPEN": DatabaseUnavailable,
    "SQLITE_NOTADB": DatabaseUnavailable,
    "SQLITE_TOOBIG": ValueTooLarge,
}
_MISSING = re.compile(
    r"no such table|no such column|unknown database|.* has no column named", re.ASCII
)
_UNIQUE = re.compile(r"UNIQUE constraint failed: (?:index '(?P<index>.*)'|(?P<columns>.*))")


class SQLiteDriver(Driver):
    """SQLite. A file is in WAL mode with synchronous FULL, unless the settings differ."""

    name = "sqlite+pysqlite"
    extra = ""
    begin = "BEGIN IMMEDIATE"
    adapts_none = True  # sqlite3 looks for an adapter each time: half a microsecond (3.11)
    takes_turns = True  # a connection must not be carried through a fork while it is in use
    commits_groups = True
    shares_lock_timeouts = True  # for the lock is one on the file

    def classify(self, error: BaseException) -> type[PersistenceError]:
        """See :class:`Driver`."""
        if isinstance(error, OverflowError):
            return ValueTooLarge
        if _MISSING.match(str(error)):
            return TableNotFound
        name: str = getattr(error, "sqlite_errorname", "")
        matches = [code for code in _ERRORS if name == code or name.startswith(code + "_")]
        return _ERRORS[max(matches, key=len)] if matches else PersistenceError

    def violated_key(self, error: BaseException) -> str | frozenset[str] | None:
        """See :class:`Driver`. SQLite names the columns."""
        found = _UNIQUE.fullmatch(str(error))
        if found is None:
            return None
        columns = found["columns"]
        if columns is None:
            return str(found["index"])
        return frozenset(column.rpartition(".")[2] for column in columns.split(", "))

    def message(self, error: BaseException) -> str:
        """See :class:`Driver`."""
        text = super().message(error)
        if text.startswith("unknown database"):
            text += " (to SQLite, a schema is the name of an attached database)"
        return text

    def is_in_memory(self, url: URL) -> bool:
        """See :class:`Driver`. A file without a name is as short-lived as memory."""
        place = (url.database or "").removeprefix("file:")
        return (
            place in ("", ":memory:")
            or url.query.get("mode") == "memory"
            or url.query.get("vfs") == "memdb"
        )

    def complete(self, url: URL) -> URL:
        """See :class:`Driver`. ``file:`` begins a URI of SQLite's own."""
        if (url.database or "").startswith("file:") and "uri" not in url.query:
            return url.update_query_dict({"uri": "true"})
        return url

    def connect_args(self, settings: SQLAlchemySettings, url: URL) -> dict[str, Any]:
        """See :class:`Driver`."""
        threads: dict[str, Any] = {"check_same_thread": False}  # the pool lends to one at a time
        if "timeout" in url.query or settings.lock_timeout is None:
            return threads
        return threads | {"timeout": settings.lock_timeout}

    def on_connect(self, connection: Any, settings: SQLAlchemySettings) -> None:
        """See :class:`Driver`."""
        if self.is_in_memory(settings.url):
            return
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA synchronous = {settings.sqlite_synchronous}")
        (milliseconds,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        until = monotonic() + milliseconds / 1000
        wanted = settings.sqlite_journal_mode
        while not self._has_mode(cursor, wanted, is_last=monotonic() >= until):
            sleep(PAUSE)
        cursor.close()

    def _has_mode(self, cursor: Any, wanted: str, is_last: bool) -> bool:
        """Sets the journal mode if it is another one, and tells whether that is done.

        Of several connections that do this to a new file at once, SQLite refuses some at once,
        whatever time they have to wait for locks.
        """
        try:
            (mode,) = cursor.execute("PRAGMA journal_mode").fetchone()
            if mode.upper() != wanted:
                cursor.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
        except sqlite3.OperationalError as error:
            kind = self.classify(error)
            if kind is LockTimeout and not is_last:
                return False
            if kind is not ReadOnlyDatabase:
                raise  # else it can still be read, whatever its mode
        return True

    def prepare(self, engine: Engine, cursor: Any, write: Write) -> Write:
        """See :class:`Driver`. A few rows are one statement, and need no BEGIN and no COMMIT: among
        busy threads, each call of SQLite's may hand the interpreter to another one.
        """
        rows = write.parameters
        if write.many and len(rows) * len(rows[0]) <= PARAMETERS:
            return Write(_for_rows(write.sql, len(rows)), tuple(chain.from_iterable(rows)))
        return write

    def insert_rows(self, cursor: Any, write: Write) -> None:
        """See :class:`Driver`. 100 rows at once take three quarters of the time of 100 alone."""
        rows = write.parameters
        size = max(1, PARAMETERS // len(rows[0]))
        whole = len(rows) - len(rows) % size
        sql = _for_rows(write.sql, size) if whole else ""
        for at in range(0, whole, size):
            cursor.execute(sql, tuple(chain.from_iterable(rows[at : at + size])))
        if whole < len(rows):
            cursor.executemany(write.sql, rows[whole:])

    def clear(self, connection: Any) -> None:
        """See :class:`Driver`."""
        if connection.in_transaction:
            connection.rollback()

    def begin_callers(self, connection: Any) -> None:
        """See :class:`Driver`. The driver begins with the first INSERT, and does not take a
        SAVEPOINT for one: that would be the transaction, and its RELEASE would commit.
        """
        if not connection.in_transaction:
            connection.execute("BEGIN").close()


@lru_cache
def _for_rows(sql: str, count: int) -> str:
    """Returns an INSERT of so many rows, of that of one: "... VALUES (?, ?)"."""
    row = sql.rpartition(" VALUES ")[2]
    return sql + f", {row}" * (count - 1)
