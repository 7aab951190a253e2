"""A database, as the record managers see it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sqlalchemy import Dialect, Engine, Table, inspect, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.schema import CreateSchema

from eventsourcing.exceptions import (
    ApplicationClosedError,
    DatabaseUnavailable,
    OutcomeUnknown,
    PersistenceError,
    ProgrammingError,
    SequencedItemConflict,
    TransactionConflict,
)
from eventsourcing.infrastructure.sqlalchemy.connections import Connections, OwnEngine
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.drivers import driver_for
from eventsourcing.infrastructure.sqlalchemy.engines import check_sync, make_engine
from eventsourcing.infrastructure.sqlalchemy.errors import Translator
from eventsourcing.infrastructure.sqlalchemy.givenengine import GivenEngine
from eventsourcing.infrastructure.sqlalchemy.postgresql import PostgreSQLDriver
from eventsourcing.infrastructure.sqlalchemy.statements import Write
from eventsourcing.infrastructure.sqlalchemy.tables import check_unique_key

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session, scoped_session

__all__ = ["CallersEngine", "CallersSession", "SQLAlchemyDatastore", "SQLAlchemySettings"]

CallersEngine: TypeAlias = Engine
CallersSession: TypeAlias = "Session | scoped_session[Session] | Connection"
"""A transaction of the caller's. (As text: to import SQLAlchemy's ORM takes its time.)"""

URI_VARIABLE = "DB_URI"
DEFAULT_URI = "sqlite:///:memory:"


@dataclass(frozen=True)
class SQLAlchemySettings:
    """How to connect. Its ``repr`` does not show a password.

    Attributes:
        uri: of SQLAlchemy. Bare ``postgresql://``, ``mysql://`` and ``mariadb://`` mean psycopg 3
            and PyMySQL. Left out, it is that of the environment variable ``DB_URI``, else
            ``sqlite:///:memory:``. What its query says takes precedence over the settings below.
        url: the URI that holds, with the driver's name in it.
        pool_size, max_overflow: how many connections to keep, and how many more to open when
            all are in use.
        pool_timeout: seconds to wait for a free connection.
        connect_timeout: seconds, for servers.
        lock_timeout: seconds to wait for somebody else's lock; None for the server's own
            setting (of use behind PgBouncer, which may refuse to pass it on).
        sqlite_journal_mode, sqlite_synchronous: of SQLite files. WAL with FULL loses nothing
            that was acknowledged; WAL with NORMAL may lose the last saves in a power cut.
        group_commit: whether savers in several threads share transactions where they would
            queue; by default where that was measured to help, see docs: explanation/group-commit.
        notify: whether to tell other processes of saves, and to hear of theirs, by NOTIFY and
            LISTEN: PostgreSQL with psycopg 3 alone, see docs: how-to/feed.

    Raises:
        ProgrammingError: the URI cannot be used, or a number is negative.
    """

    uri: str | URL | None = field(default=None, repr=False)
    pool_size: int = 10
    max_overflow: int = 20
    pool_timeout: float = 30.0
    connect_timeout: int = 10
    lock_timeout: float | None = 30.0
    sqlite_journal_mode: Literal["WAL", "DELETE", "TRUNCATE", "PERSIST"] = "WAL"
    sqlite_synchronous: Literal["EXTRA", "FULL", "NORMAL", "OFF"] = "FULL"
    group_commit: bool | None = None
    notify: bool = False
    url: URL = field(init=False)

    def __post_init__(self) -> None:
        uri = os.environ.get(URI_VARIABLE) or DEFAULT_URI if self.uri is None else self.uri
        object.__setattr__(self, "url", _complete_url(uri))
        for name in ("pool_timeout", "connect_timeout", "lock_timeout", "max_overflow"):
            value = getattr(self, name) or 0
            if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise ProgrammingError(f"{name} must be a number, and cannot be negative")
        if not isinstance(self.pool_size, int) or self.pool_size < 1:
            raise ProgrammingError("pool_size must be an int, and at least 1")
        if self.sqlite_journal_mode not in ("WAL", "DELETE", "TRUNCATE", "PERSIST"):
            raise ProgrammingError(f"sqlite_journal_mode cannot be {self.sqlite_journal_mode!r}")
        if self.sqlite_synchronous not in ("EXTRA", "FULL", "NORMAL", "OFF"):
            raise ProgrammingError(f"sqlite_synchronous cannot be {self.sqlite_synchronous!r}")
        if not isinstance(self.group_commit, bool | None):
            raise ProgrammingError("group_commit must be a bool, or None")
        if self.notify and self.url.drivername != PostgreSQLDriver.name:
            raise ProgrammingError("notify=True takes PostgreSQL, with psycopg 3: leave it out")


def _complete_url(uri: str | URL) -> URL:
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError):
        # Without its cause, which may show the URI, and so a password.
        raise ProgrammingError(
            "the database URI cannot be read; it looks like"
            " postgresql://user:password@host/database"
        ) from None
    driver = driver_for(url.get_backend_name())
    if "+" not in url.drivername:
        url = url.set(drivername=driver.name)
    for name in ("password", "passwd"):
        # In its proper place SQLAlchemy does not show it.
        if isinstance(password := url.query.get(name), str):
            url = url.set(password=password).difference_update_query([name])
    return driver.complete(url)


class SQLAlchemyDatastore:
    """A database: made from settings, from an engine, or a transaction of the caller's.

    Give one of the three. An engine's own settings hold; it is not disposed of. What is done
    in a caller's Session or Connection is the caller's to commit.

    Args:
        group_commit: with an engine, whether savers in several threads share transactions. Not
            by default: what the engine's listeners do to a connection for the thread that asks
            for it, such as to choose a tenant's schema or role, would hold for all savers of a
            group.

    Attributes:
        lock_timeout: that of the settings; None with an engine or a session.

    Raises:
        ProgrammingError: more than one is given, or one that cannot be used.
    """

    lock_timeout: float | None = None

    def __init__(
        self,
        settings: SQLAlchemySettings | None = None,
        *,
        engine: Engine | None = None,
        session: CallersSession | None = None,
        group_commit: bool = False,
    ) -> None:
        if sum(given is not None for given in (settings, engine, session)) > 1:
            raise ProgrammingError("give one of: settings (or a URI), an engine, a session")
        if not isinstance(settings, SQLAlchemySettings | None):
            raise ProgrammingError(
                f"settings= takes SQLAlchemySettings, not {type(settings).__qualname__}"
            )
        self._connections: Connections
        self.driver: Driver
        self._group_commit: bool | None = group_commit
        self.notifies = False
        if session is not None:
            from eventsourcing.infrastructure.sqlalchemy.callers import (
                CallersTransaction,
                dialect_of,
            )

            dialect = dialect_of(session)
            self.driver = driver_for(dialect.name)
            self._translate = Translator(self.driver, dialect)
            self._connections = CallersTransaction(session, self.driver, self._translate)
        else:
            self._connections = self._connect(settings, engine)
        self._is_closed = False

    def _connect(self, settings: SQLAlchemySettings | None, engine: Engine | None) -> Connections:
        if engine is None:
            settings = settings or SQLAlchemySettings()
            self._group_commit, self.notifies = settings.group_commit, settings.notify
            self.lock_timeout = settings.lock_timeout
            self.driver = driver_for(settings.url.get_backend_name())
            kind, used = OwnEngine, make_engine(settings, self.driver)
        elif isinstance(engine, Engine):
            self.driver = driver_for(engine.dialect.name)
            kind, used = GivenEngine, engine
            check_sync(engine.dialect)
        else:
            raise ProgrammingError(f"engine= takes an Engine, not {type(engine).__qualname__}")
        self._translate = Translator(self.driver, used.dialect)
        return kind(used, self.driver, self._translate, self.driver.is_in_memory(used.url))

    @property
    def dialect(self) -> Dialect:
        """SQLAlchemy's dialect of the database."""
        return self._connections.dialect

    @property
    def engine(self) -> Engine | None:
        """The engine; None in a caller's transaction. One made here is in autocommit mode."""
        return self._connections.engine if self.can_repeat else None

    @property
    def can_repeat(self) -> bool:
        """Whether a write that failed may be tried again: not in a caller's transaction."""
        return self._connections.can_repeat

    @property
    def commits_groups(self) -> bool:
        """Whether savers in several threads are to share transactions."""
        is_on = self.driver.commits_groups if self._group_commit is None else self._group_commit
        return is_on and self._connections.has_several

    @property
    def reads_ahead(self) -> bool:
        """Whether rows are to be fetched before they are asked for, by another thread."""
        return self._connections.is_own and self.driver.reads_ahead(self.dialect)

    def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """Returns all rows of a query. Tried again once, if the connection was lost.

        Raises:
            PersistenceError: of the class that fits.
        """
        self._check_open()
        try:
            try:
                return self._connections.fetch(sql, parameters)
            except Exception as error:
                is_lost = self._translate.class_of(error) is DatabaseUnavailable
                if not is_lost or not self.can_repeat:
                    raise
                return self._connections.fetch(sql, parameters)
        except Exception as error:
            self._translate.raise_for(error)

    def execute(self, write: Write, work: Callable[[Connection], None] | None = None) -> None:
        """Executes all of the write, or nothing.

        Args:
            work: is done after it, in the same transaction. Raises errors of the library, for
                which see :meth:`translating`.

        Raises:
            OutcomeUnknown: the connection was lost on the way.
            PersistenceError: of the class that fits.
            Exception: what ``work`` raises. Nothing is written.
        """
        self._check_open()
        try:
            if work is None:
                self._connections.execute(write)
            else:
                self._connections.execute_with(write, work)
        except Exception as error:
            is_lost = self._translate.class_of(error) is DatabaseUnavailable
            self._translate.raise_for(
                error, OutcomeUnknown if is_lost and self.can_repeat else None
            )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Gives a connection to read on.

        Raises:
            PersistenceError: of the class that fits.
        """
        self._check_open()
        try:
            with self._connections.reading() as connection:
                yield connection
        except Exception as error:
            self._translate.raise_for(error)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Gives a connection in a transaction, which is committed at the end, or rolled back.

        Raises:
            PersistenceError: of the class that fits.
        """
        self._check_open()
        try:
            with self._connections.ddl() as connection:
                yield connection
        except Exception as error:
            self._translate.raise_for(error)

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Raises PersistenceError, of the class that fits, for an error of the database."""
        try:
            yield
        except Exception as error:
            self._translate.raise_for(error)

    def class_of(self, error: BaseException) -> type[PersistenceError] | None:
        """Returns the class that stands for an error of the database; None for what is none."""
        return (
            type(error) if isinstance(error, PersistenceError) else self._translate.class_of(error)
        )

    def confirm(self) -> None:
        """See :meth:`RecordManager.confirm`."""
        if self.driver.confirmation is not None:
            self.fetch(self.driver.confirmation, ())

    def violated_key(self, conflict: SequencedItemConflict) -> str | frozenset[str] | None:
        """Returns the name or the columns of the key that was violated, if known."""
        cause = conflict.__cause__
        return None if cause is None else self.driver.violated_key(cause)

    def setup_table(self, table: Table, unique: Sequence[str] = ()) -> None:
        """Creates the table, with its indexes and its schema, if it does not exist.

        In a caller's transaction this is the caller's to commit, like all else; but not on
        MariaDB and MySQL, where DDL would commit the caller's work: there the table is created
        over another connection of the session's engine, and stays if the caller rolls back. (A
        transaction that has read before then can write to it, and can read it only after its
        end, if its isolation level is REPEATABLE READ.)

        Args:
            unique: columns over which a table that exists must have a unique key.

        Raises:
            ProgrammingError: the table exists, and lacks the key.
            PersistenceError: of the class that fits.
        """
        self._check_open()
        for is_last in (False, False, True):
            try:
                with self._connections.reading() as connection:
                    found = inspect(connection)
                    if found.has_table(table.name, table.schema):
                        if unique:
                            check_unique_key(found, table, unique)
                        return
                with self._connections.ddl() as connection:
                    if table.schema is not None and self.dialect.name != "sqlite":
                        connection.execute(CreateSchema(table.schema, if_not_exists=True))
                    table.create(connection, checkfirst=True)
                return
            except Exception as error:
                if is_last or self._translate.class_of(error) not in _RACES:
                    self._translate.raise_for(error)

    def dedicated(self) -> Any:
        """Returns a new connection of the driver, which is the caller's to close."""
        self._check_open()
        if not isinstance(self._connections, OwnEngine):
            raise ProgrammingError("a caller's transaction has one connection")
        return self._connections.dedicated()

    def drop_table(self, table: Table) -> None:
        """Drops the table, with all that is in it, if it exists."""
        self._check_open()
        try:
            with self._connections.ddl() as connection:
                table.drop(connection, checkfirst=True)
        except Exception as error:
            self._translate.raise_for(error)

    def beside(self) -> SQLAlchemyDatastore:
        """Returns a datastore whose transactions are its own: this one, or for a transaction of
        the caller's one on its engine, which sees what is committed.

        Raises:
            ProgrammingError: the caller's database is in the memory of its one connection.
        """
        engine = self._connections.engine
        if self.can_repeat:
            return self
        if self.driver.is_in_memory(engine.url):
            raise ProgrammingError(
                "in the session's database in memory nobody can see what is committed alone: give"
                " the engine instead of the session"
            )
        return SQLAlchemyDatastore(engine=engine)

    def when_committed(
        self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
    ) -> None:
        """Calls back now, or once the caller's transaction is committed, or else rolled back."""
        self._connections.when_committed(callback, or_else)

    def close(self) -> None:
        """Closes the connections made here. To close it again does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._connections.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ApplicationClosedError("the datastore has been closed")


# How it shows that another process was quicker to create the table, or its schema.
_RACES = (PersistenceError, SequencedItemConflict, TransactionConflict)
