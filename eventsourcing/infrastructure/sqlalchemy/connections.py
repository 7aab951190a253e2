"""Runs SQL on connections of an engine's pool, each statement or batch a transaction.

What is executed goes to the DBAPI connection itself, which is in autocommit mode: a statement
of its own needs no BEGIN and no COMMIT, and so one round trip.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from typing import Any, Protocol, TypeAlias, TypeVar

from sqlalchemy import Connection, Dialect, Engine
from sqlalchemy.event import listen
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import Pool, StaticPool

from eventsourcing.infrastructure.sqlalchemy.driver import Driver
from eventsourcing.infrastructure.sqlalchemy.errors import Translator
from eventsourcing.infrastructure.sqlalchemy.forks import ForkGate, watch_forks
from eventsourcing.infrastructure.sqlalchemy.recovery import Left, Recovery
from eventsourcing.infrastructure.sqlalchemy.statements import Write

__all__ = ["Connections", "OwnEngine"]

T = TypeVar("T")
Lent: TypeAlias = tuple[Pool, Any, Any]
"""The pool, the connection to use, invalidate and close, and a cursor to insert with, if any."""
Work: TypeAlias = Callable[[Connection], None]


class Connections(Protocol):
    """Where a record manager's SQL is executed.

    Raises the driver's or SQLAlchemy's errors for what was sent to the database, and the
    library's own where nothing was sent.
    """

    can_repeat: bool
    has_several: bool
    """Whether there are several connections, each with transactions of its own."""
    is_own: bool
    """Whether no listener of somebody else's looks at which thread asks for a connection."""

    @property
    def engine(self) -> Engine:
        """The engine whose connections these are."""
        ...

    @property
    def dialect(self) -> Dialect:
        """The dialect of the database."""
        ...

    def fetch(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """Returns all rows of a query."""
        ...

    def execute(self, write: Write) -> None:
        """Executes all of the write, or nothing."""

    def execute_with(self, write: Write, work: Work) -> None:
        """Executes the write, and then does the work in the same transaction: all, or nothing.

        What the work raises is of the library, unless it is an interrupt.
        """

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


MOST_SPARES = 4

_inherited: list[Any] = []  # for ever: to be collected would close the parent's connections


class OwnEngine:
    """Takes connections from the pool of an engine that was made here, in autocommit mode.

    Args:
        is_memory: whether the database is in the memory of this process, and would be lost
            with its connection.
    """

    can_repeat = True
    is_own = True
    _keeps_spares = True

    def __init__(
        self, engine: Engine, driver: Driver, translate: Translator, is_memory: bool
    ) -> None:
        self.engine = engine
        self._driver = driver
        self._translate = translate
        self._is_memory = is_memory
        self.has_several = not is_memory and not isinstance(engine.pool, StaticPool)
        self._is_closed = False
        self._autocommit = engine
        self._spares: list[Lent] = []  # lent by the pool, and used by nobody
        self._gate = ForkGate()
        self._connecting = ForkGate()
        self._recovery = Recovery(
            engine, driver, translate, is_memory, self.has_several, self._gate
        )
        if self._keeps_spares:
            spares = self._spares
            listen(engine, "engine_disposed", lambda engine: _close_all(spares))
            weakref.finalize(self, _close_all, spares)  # also when the interpreter exits
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
            is_simple = not (write.many or driver.checks_writes)
            prepared = write if is_simple else driver.prepare(self.engine, cursor, write)
            if not prepared.many:
                cursor.execute(prepared.sql, prepared.parameters)
                return
            cursor.execute(driver.begin)
            driver.insert_rows(cursor, prepared)
            cursor.execute("COMMIT")

        self._use(work, write.is_small)

    def execute_with(self, write: Write, work: Work) -> None:
        """See :class:`Connections`."""
        lending = self.reading()
        end = lending.gen.close
        try:
            with lending as connection:
                dbapi_connection: Any = connection.connection.dbapi_connection
                with self._transaction(connection), closing(dbapi_connection.cursor()) as cursor:
                    self._driver.check(self.engine, cursor, write)
                    write.execute_on(connection, self._driver.batches)
                    work(connection)
                if self._driver.doubtful:
                    self._driver.check_commit(dbapi_connection)
        finally:
            end()  # again, and by a call into C: interrupts may have kept the block from its end

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See :class:`Connections`."""
        with self._gate.lock:
            self._check_free()
            pool = self.engine.pool
            if (spare := _pop(self._spares)) is not None:
                spare[1].close()  # to be lent again
            held: list[Any] = []
            dbapi_connection = None
            try:
                with self._connecting.lock:
                    held.append(self._autocommit.connect())
                dbapi_connection = held[0].connection.dbapi_connection
                self._driver.clear(dbapi_connection)
                yield held[0]
                held.pop().close()
            except BaseException as error:
                left: Left = (pool, held, dbapi_connection, None, [])
                try:
                    self._recovery.recover(left, error)
                except BaseException:
                    # As in _use.
                    try:
                        self._recovery.start(self._recovery.finish, left)
                    except RuntimeError:
                        self._recovery.finish(*left)
                    self._recovery.wait(left)
                    raise
                raise

    @contextmanager
    def ddl(self) -> Iterator[Connection]:
        """See :class:`Connections`."""
        with self.reading() as connection, self._transaction(connection):
            yield connection

    def dedicated(self) -> Any:
        """Returns a new connection of the driver. The pool forgets it, and the caller closes it."""
        with self._connecting.lock:
            lent = self.engine.raw_connection()
        connection = lent.driver_connection
        lent.detach()
        return connection

    def when_committed(
        self, callback: Callable[[], None], or_else: Callable[[], None] | None = None
    ) -> None:
        """See :class:`Connections`."""
        callback()

    def close(self) -> None:
        """See :class:`Connections`. What other threads are using is closed when they are done."""
        self._is_closed = True
        self.engine.dispose()

    @contextmanager
    def _transaction(self, connection: Connection) -> Iterator[None]:
        connection.exec_driver_sql(self._driver.begin)
        try:
            yield
            connection.exec_driver_sql("COMMIT")
        except BaseException as error:
            if not self._translate.is_breaking(error):
                with suppress(SQLAlchemyError):
                    connection.exec_driver_sql("ROLLBACK")
            raise

    def _use(self, work: Callable[[Any], T], keeps_cursor: bool = False) -> T:
        """Does the work, and never leaves a connection to others in the middle of something.

        Args:
            keeps_cursor: whether to use the cursor that was kept, and to keep it.
        """
        with self._gate.lock:
            pool = self.engine.pool
            held: list[Any] = []
            connection = cursor = None
            try:
                pool, lent, kept = self._take()
                held.append(lent)
                connection = self._dbapi(lent)
                self._driver.clear(connection)
                cursor = connection.cursor() if kept is None or not keeps_cursor else kept
                result = work(cursor)
                if keeps_cursor and self._keeps_spares:
                    kept = cursor
                else:
                    cursor.close()
                if self._driver.doubtful:
                    self._driver.check_commit(connection)
                self._give_back(pool, held, kept)
                return result
            except BaseException as error:
                left: Left = (pool, held, connection, cursor, [])
                try:
                    self._recovery.recover(left, error)
                except BaseException:
                    # What this calls first has to be a call into C: see there.
                    try:
                        self._recovery.start(self._recovery.finish, left)
                    except RuntimeError:  # no thread can be started
                        self._recovery.finish(*left)
                    self._recovery.wait(left)
                    raise
                raise
            finally:
                if self._is_closed or pool is not self.engine.pool:
                    _close_all(self._spares)
                    pool.dispose()  # it was given up while its connection was in use

    def _take(self) -> Lent:
        pool = self.engine.pool
        while (spare := _pop(self._spares)) is not None:
            if spare[0] is pool:
                return spare
            _close_all([spare])  # for the pool was given up meanwhile
        try:
            with self._connecting.lock:
                return pool, pool.connect(), None
        except Exception as error:
            self._translate.raise_for(error)

    def _give_back(self, pool: Any, held: list[Any], cursor: Any) -> None:
        """Takes the connection out of ``held``, and so out of the hands of this thread.

        A few are kept at hand: to give one to the pool and borrow it again takes longer than all
        else that is done about it. None is kept that nobody else could do without.
        """
        is_spared = self._keeps_spares and len(self._spares) < MOST_SPARES
        # That it could make another one is quick to ask, and nearly always so.
        if is_spared and (pool.overflow() < 0 or pool.checkedout() < pool.size()):
            self._spares.append((pool, held.pop(), cursor))
        else:
            held.pop().close()

    def _dbapi(self, lent: Any) -> Any:
        return lent.dbapi_connection

    def _check_free(self) -> None:
        """Raises ProgrammingError if a connection cannot be used now."""

    def before_fork(self) -> None:
        """See :class:`Forkable`."""
        if self._driver.takes_turns:
            self._gate.shut()
            if self.has_several:
                self.engine.dispose()
        self._connecting.shut()  # last, for those whom the gate lets out may have to connect

    def after_fork_in_parent(self) -> None:
        """See :class:`Forkable`."""
        self._gate.open()
        self._connecting.open()

    def after_fork_in_child(self) -> None:
        """See :class:`Forkable`. A database in memory is the child's own copy."""
        self._recovery.reset()
        self._gate.reset()
        self._connecting.reset()
        if not self._is_memory:
            _inherited.extend((self.engine.pool, *self._spares))
            self._spares.clear()
            self.engine.dispose(close=False)


def _pop(spares: list[Lent]) -> Lent | None:
    try:
        return spares.pop()
    except IndexError:
        return None  # another thread may have been quicker


def _close_all(spares: list[Lent]) -> None:
    while (spare := _pop(spares)) is not None:
        spare[1].invalidate()
        spare[1].close()
