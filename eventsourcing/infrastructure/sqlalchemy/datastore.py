"""A database, as the record managers see it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sqlalchemy import Dialect, Engine, Table, create_engine, event, exc, inspect, make_url
from sqlalchemy.engine import URL
from sqlalchemy.pool import QueuePool
from sqlalchemy.schema import CreateSchema, CreateTable, DropTable

from eventsourcing.exceptions import (
    ApplicationClosedError,
    ConstraintViolation,
    DatabaseUnavailable,
    EventSourcingError,
    OutcomeUnknown,
    PersistenceError,
    ProgrammingError,
    TableNotFound,
)
from eventsourcing.infrastructure.sqlalchemy.connections import Connections, EngineConnections
from eventsourcing.infrastructure.sqlalchemy.drivers import Driver, driver_for
from eventsourcing.infrastructure.sqlalchemy.statements import Write

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
            ``sqlite:///:memory:``.
        url: the URI that holds, with the driver's name in it.
        pool_size, max_overflow: how many connections to keep, and how many more to open when
            all are in use.
        pool_timeout: seconds to wait for a free connection.
        connect_timeout: seconds, for servers.
        lock_timeout: seconds to wait for somebody else's lock; None for the server's own
            setting (of use behind PgBouncer, which may refuse to pass it on).
        sqlite_journal_mode, sqlite_synchronous: of SQLite files. WAL with FULL loses nothing
            that was acknowledged; WAL with NORMAL may lose the last saves in a power cut.

    Raises:
        ProgrammingError: the URI cannot be used, or a number is negative.
    """

    uri: InitVar[str | URL | None] = None
    pool_size: int = 10
    max_overflow: int = 20
    pool_timeout: float = 30.0
    connect_timeout: int = 10
    lock_timeout: float | None = 30.0
    sqlite_journal_mode: Literal["WAL", "DELETE", "TRUNCATE", "PERSIST"] = "WAL"
    sqlite_synchronous: Literal["EXTRA", "FULL", "NORMAL", "OFF"] = "FULL"
    url: URL = field(init=False)

    def __post_init__(self, uri: str | URL | None) -> None:
        uri = uri or os.environ.get(URI_VARIABLE) or DEFAULT_URI
        try:
            url = make_url(uri)
        except exc.ArgumentError as error:
            raise ProgrammingError(
                "the database URI cannot be read; it looks like"
                " postgresql://user:password@host/database"
            ) from error
        driver = driver_for(url.get_backend_name())
        if "+" not in url.drivername:
            url = url.set(drivername=driver.name)
        object.__setattr__(self, "url", url)
        for name in ("pool_timeout", "connect_timeout", "lock_timeout", "max_overflow"):
            if (getattr(self, name) or 0) < 0:
                raise ProgrammingError(f"{name} cannot be negative")
        if self.pool_size < 1:
            raise ProgrammingError("pool_size must be at least 1")
        if self.sqlite_journal_mode not in ("WAL", "DELETE", "TRUNCATE", "PERSIST"):
            raise ProgrammingError(f"sqlite_journal_mode cannot be {self.sqlite_journal_mode!r}")
        if self.sqlite_synchronous not in ("EXTRA", "FULL", "NORMAL", "OFF"):
            raise ProgrammingError(f"sqlite_synchronous cannot be {self.sqlite_synchronous!r}")


class SQLAlchemyDatastore:
    """A database: made from settings, from an engine, or a transaction of the caller's.

    Give one of the three. An engine's own settings hold; it is not disposed of. What is done
    in a caller's Session or Connection is the caller's to commit.

    Raises:
        ProgrammingError: more than one is given, or one that cannot be used.
    """

    def __init__(
        self,
        settings: SQLAlchemySettings | None = None,
        *,
        engine: Engine | None = None,
        session: CallersSession | None = None,
    ) -> None:
        if sum(given is not None for given in (settings, engine, session)) > 1:
            raise ProgrammingError("give one of: settings (or a URI), an engine, a session")
        self._connections: Connections
        if session is not None:
            from eventsourcing.infrastructure.sqlalchemy.callers import CallersTransaction

            self._connections = CallersTransaction(session, driver_for)
        elif engine is not None:
            if not isinstance(engine, Engine):
                raise ProgrammingError(f"engine= takes an Engine, not {type(engine).__qualname__}")
            is_memory = _is_memory(engine.url)
            driver = driver_for(engine.dialect.name)
            self._connections = EngineConnections(engine, driver, False, is_memory)
        else:
            self._connections = _own_connections(settings or SQLAlchemySettings())
        self._driver: Driver = driver_for(self._connections.dialect.name)
        self._is_closed = False

    @property
    def dialect(self) -> Dialect:
        """SQLAlchemy's dialect of the database."""
        return self._connections.dialect

    @property
    def engine(self) -> Engine | None:
        """The engine; None in a caller's transaction. One made here is in autocommit mode."""
        return getattr(self._connections, "engine", None)

    @property
    def can_repeat(self) -> bool:
        """Whether a write that failed may be tried again: not in a caller's transaction."""
        return self._connections.can_repeat

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
                if self._class_of(error) is not DatabaseUnavailable or not self.can_repeat:
                    raise
                self._connections.lost()
                return self._connections.fetch(sql, parameters)
        except Exception as error:
            raise self._translated(error) from error

    def execute(self, write: Write) -> None:
        """Executes all of the write, or nothing.

        Raises:
            OutcomeUnknown: the connection was lost on the way.
            PersistenceError: of the class that fits.
        """
        self._check_open()
        try:
            self._connections.execute(write)
        except Exception as error:
            translated = self._translated(error)
            if isinstance(translated, DatabaseUnavailable):
                self._connections.lost()
                if self.can_repeat:
                    raise OutcomeUnknown(str(translated)) from error
            if isinstance(translated, ConstraintViolation):
                raise translated from None  # the driver's message shows the row
            raise translated from error

    def setup_table(self, table: Table) -> None:
        """Creates the table, and its schema, if they do not exist.

        Raises:
            PersistenceError: of the class that fits.
        """
        self._check_open()
        try:
            with self._connections.ddl(table) as connection:
                if inspect(connection).has_table(table.name, table.schema):
                    return
            with self._connections.ddl(table) as connection:
                if table.schema is not None and self.dialect.name != "sqlite":
                    connection.execute(CreateSchema(table.schema, if_not_exists=True))
                connection.execute(CreateTable(table, if_not_exists=True))
        except Exception as error:
            with self._connections.ddl(table) as connection:
                if inspect(connection).has_table(table.name, table.schema):
                    return  # another process was quicker
            raise self._translated(error) from error

    def drop_table(self, table: Table) -> None:
        """Drops the table, with all that is in it, if it exists."""
        self._check_open()
        try:
            with self._connections.ddl(table) as connection:
                connection.execute(DropTable(table, if_exists=True))
        except Exception as error:
            raise self._translated(error) from error

    def when_committed(self, callback: Callable[[], None]) -> None:
        """Calls back now, or once the caller's transaction is committed."""
        self._connections.when_committed(callback)

    def close(self) -> None:
        """Closes the connections made here. To close it again does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._connections.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise ApplicationClosedError("the datastore has been closed")

    def _class_of(self, error: BaseException) -> type[PersistenceError]:
        if isinstance(error, exc.TimeoutError):
            return DatabaseUnavailable
        original = _original(error)
        if isinstance(original, exc.SQLAlchemyError):
            return PersistenceError
        return self._driver.classify(original)

    def _translated(self, error: Exception) -> Exception:
        """Returns the library's error for one of the driver or of SQLAlchemy.

        What comes from neither, a bug for example, is returned as it is.
        """
        original = _original(error)
        dbapi: Any = self.dialect.loaded_dbapi
        foreign = (exc.SQLAlchemyError, OverflowError, OSError, dbapi.Error)
        if isinstance(error, EventSourcingError) or not isinstance(original, foreign):
            return error
        cls = self._class_of(error)
        message = _message(original)
        if cls is TableNotFound:
            message += (
                ". Create the table with setup_table=True, or by a migration (docs: how-to/alembic)"
            )
        return cls(message)


def _own_connections(settings: SQLAlchemySettings) -> EngineConnections:
    url = settings.url
    driver = driver_for(url.get_backend_name())
    is_memory = _is_memory(url)
    try:
        engine = create_engine(
            url,
            isolation_level="AUTOCOMMIT",
            poolclass=QueuePool,
            # One connection is one database there: all threads take turns.
            pool_size=1 if is_memory else settings.pool_size,
            max_overflow=0 if is_memory else settings.max_overflow,
            pool_timeout=settings.pool_timeout,
            pool_reset_on_return=None,  # a connection comes back with nothing open
            connect_args=driver.connect_args(settings, url),
            hide_parameters=True,
        )
    except exc.NoSuchModuleError as error:
        raise ProgrammingError(f"SQLAlchemy knows no driver {url.drivername!r}") from error
    except ModuleNotFoundError as error:
        raise ProgrammingError(
            f"the driver for {url.get_backend_name()!r} is not installed: pip install"
            f" 'eventsourcing[{driver.extra}]'"
        ) from error
    prepare = driver.on_connect
    if prepare is not None:

        @event.listens_for(engine, "connect")
        def _on_connect(connection: Any, record: object) -> None:
            prepare(connection, settings)

    return EngineConnections(engine, driver, True, is_memory)


def _is_memory(url: URL) -> bool:
    if url.get_backend_name() != "sqlite":
        return False
    return url.database in (None, "", ":memory:") or "mode=memory" in str(url)


def _original(error: BaseException) -> BaseException:
    if isinstance(error, exc.DBAPIError) and error.orig is not None:
        return error.orig
    return error


def _message(error: BaseException) -> str:
    """Returns what the database said, without the details that may show a row."""
    diagnostics = getattr(error, "diag", None)
    primary = getattr(diagnostics, "message_primary", None)
    if primary is not None:
        return str(primary)
    if len(error.args) > 1:
        return " ".join(str(part) for part in error.args)
    return str(error) or type(error).__name__
