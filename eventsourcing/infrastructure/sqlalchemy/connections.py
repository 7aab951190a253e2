"""Runs SQL on connections of an engine's pool, each statement or batch a transaction.

What is executed goes to the DBAPI connection itself, which is in autocommit mode: a statement
of its own needs no BEGIN and no COMMIT, and so one round trip.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import Pool, StaticPool

from eventsourcing.exceptions import DatabaseUnavailable, ProgrammingError
from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.errors import Translator
from eventsourcing.infrastructure.sqlalchemy.forks import ForkGate, watch_forks
from eventsourcing.infrastructure.sqlalchemy.statements import Write

__all__ = ["Connections", "GivenEngine", "OwnEngine"]

T = TypeVar("T")


class Connections(Protocol):
    """Where a record manager's SQL is executed.

    Raises the driver's or SQLAlchemy's errors for what was sent to the database, and the
    library's own where nothing was sent.
    """

    can_repeat: bool

    @property
    def dialect(self) -> Dialect:
        """The dialect of the database."""
        ...

    def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """Returns all rows of a query."""
        ...

    def execute(self, write: Write) -> None:
        """Executes all of the write, or nothing."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Gives a connection on which to look at the tables."""
        ...

    def ddl(self) -> AbstractContextManager[Connection]:
        """Gives a connection on which to create or drop tables: all that is done, or nothing,
        if the database can.
        """
        ...

    def when_committed(
        self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
    ) -> None:
        """Calls back once what was executed is committed, or else rolled back."""

    def close(self) -> None:
        """Releases the connections."""


_inherited: list[Pool] = []  # for ever: to be collected would close the parent's connections
_gates: WeakKeyDictionary[Pool, ForkGate] = WeakKeyDictionary()


class OwnEngine:
    """Takes connections from the pool of an engine that was made here, in autocommit mode.

    Args:
        is_memory: whether the database is in the memory of this process, and would be lost
            with its connection.
    """

    can_repeat = True

    def __init__(
        self, engine: Engine, driver: Driver, translate: Translator, is_memory: bool
    ) -> None:
        self.engine = engine
        self._driver = driver
        self._translate = translate
        self._is_memory = is_memory
        self._is_closed = False
        self._autocommit = engine
        self._lock = threading.Lock()
        self._gate = ForkGate() if driver.takes_turns else nullcontext()
        watch_forks(self)

    @property
    def dialect(self) -> Dialect:
        """See :class:`Connections`."""
        return self.engine.dialect

    def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """See :class:`Connections`."""

        def work(cursor: Any) -> Sequence[Any]:
            cursor.execute(sql, parameters)
            rows: Sequence[Any] = cursor.fetchall()
            return rows

        return self._use(work)

    def execute(self, write: Write) -> None:
        """See :class:`Connections`."""
        driver = self._driver

        def work(cursor: Any) -> None:
            if driver.checks_writes:
                driver.check(self.engine, cursor, write)
            if not write.many:
                cursor.execute(write.sql, write.parameters)
                return
            cursor.execute(driver.begin)
            if driver.batches:
                cursor.executemany(write.sql, write.parameters)
            else:
                for row in write.parameters:
                    cursor.execute(write.sql, row)
            cursor.execute("COMMIT")

        self._use(work)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See :class:`Connections`."""
        with self._gate:
            self._check_free()
            with self._autocommit.connect() as connection:
                yield connection

    @contextmanager
    def ddl(self) -> Iterator[Connection]:
        """See :class:`Connections`."""
        with self.reading() as connection:
            connection.exec_driver_sql(self._driver.begin)
            try:
                yield connection
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                with suppress(Exception):
                    connection.exec_driver_sql("ROLLBACK")
                raise

    def when_committed(
        self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
    ) -> None:
        """See :class:`Connections`."""
        callback()

    def close(self) -> None:
        """See :class:`Connections`. What other threads are using is closed when they are done."""
        self._is_closed = True
        self.engine.dispose()

    def _use(self, work: Callable[[Any], T]) -> T:
        with self._gate:
            pool, connection = self._take()
            try:
                return self._on_cursor(self._dbapi(connection), work)
            except BaseException as error:
                if self._is_broken(error):
                    connection.invalidate()
                if self._translate.class_of(error) is DatabaseUnavailable:
                    self._give_up(pool)
                raise
            finally:
                connection.close()
                if self._is_closed or pool is not self.engine.pool:
                    pool.dispose()  # it was given up while its connection was in use

    def _take(self) -> tuple[Pool, Any]:
        """Returns a connection to use, invalidate and close, and the pool that it comes from."""
        pool = self.engine.pool
        try:
            return pool, pool.connect()
        except Exception as error:
            self._translate.raise_for(error)

    def _dbapi(self, connection: Any) -> Any:
        return connection

    def _check_free(self) -> None:
        """Raises ProgrammingError if a connection cannot be used now."""

    def _on_cursor(self, connection: Any, work: Callable[[Any], T]) -> T:
        """Does the work, and never leaves the connection in the middle of something."""
        cursor = connection.cursor()
        try:
            return work(cursor)
        except BaseException as error:
            if not self._is_broken(error):
                connection.rollback()
            raise
        finally:
            cursor.close()

    def _is_broken(self, error: BaseException) -> bool:
        """Whether the connection is of no use any more, or in the middle of an answer."""
        if self._driver.takes_turns:
            return False  # SQLite's calls end before Python takes notice of an interrupt
        return (
            not isinstance(error, Exception)
            or self._translate.class_of(error) is DatabaseUnavailable
        )

    def _give_up(self, pool: Pool) -> None:
        """Drops all connections of a pool: if one has lost the server, the others have too."""
        with self._lock:
            if pool is self.engine.pool and not self._is_memory:
                self.engine.dispose()
        self._driver.forget(self.engine)

    def before_fork(self) -> None:
        """See :class:`Forkable`."""
        if isinstance(self._gate, ForkGate):
            self._gate.shut()
            if not (self._is_memory or isinstance(self.engine.pool, StaticPool)):
                self.engine.dispose()

    def after_fork_in_parent(self) -> None:
        """See :class:`Forkable`."""
        if isinstance(self._gate, ForkGate):
            self._gate.open()

    def after_fork_in_child(self) -> None:
        """See :class:`Forkable`. A database in memory is the child's own copy."""
        self._lock = threading.Lock()
        if isinstance(self._gate, ForkGate):
            self._gate.reset()
        if not self._is_memory:
            _inherited.append(self.engine.pool)
            self.engine.dispose(close=False)


class GivenEngine(OwnEngine):
    """Takes connections from the pool of somebody else's engine, whose settings hold.

    They go back as they came. The engine is not disposed of in the end; when its connections
    are found to be lost they are dropped from its pool, as SQLAlchemy does it too.
    """

    def __init__(
        self, engine: Engine, driver: Driver, translate: Translator, is_memory: bool
    ) -> None:
        super().__init__(engine, driver, translate, is_memory)
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        if isinstance(engine.pool, StaticPool):
            # It lends one connection to all threads at once.
            self._gate = _gates.setdefault(engine.pool, ForkGate(is_narrow=True))

    def close(self) -> None:
        """See :class:`Connections`. The engine is left as it is."""

    def _take(self) -> tuple[Pool, Any]:
        pool = self.engine.pool
        try:
            self._check_free()
            try:
                return pool, self._autocommit.connect()
            except Exception as error:
                # To set autocommit mode may be what finds a pooled connection lost.
                is_lost = self._translate.class_of(error) is DatabaseUnavailable
                if not is_lost or isinstance(error, PoolTimeout):
                    raise
                self._give_up(pool)
                pool = self.engine.pool
                return pool, self._autocommit.connect()
        except Exception as error:
            self._translate.raise_for(error)

    def _dbapi(self, connection: Any) -> Any:
        return connection.connection

    def _check_free(self) -> None:
        """Refuses the only connection while somebody has a transaction open on it: to set
        autocommit mode would commit that.
        """
        pool: Any = self.engine.pool
        if not isinstance(pool, StaticPool):
            return
        # not checked out: to give it back would roll it back
        if getattr(pool.connection.dbapi_connection, "in_transaction", False):
            raise ProgrammingError(
                "the engine has one connection for all, and a transaction is open on it:"
                " commit that first, or give the session instead of the engine"
            )
